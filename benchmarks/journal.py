"""Results that outlive a killed benchmark."""

from __future__ import annotations

import hashlib
import json
import os
import pathlib
from collections.abc import Iterable
from typing import Any

from pipeline.config import RunConfig

# Which no benchmark reads, and which came when results lay in journals already.
_UNREAD = {"cold_start": {"few_rows"}}


class Journal:
    """One JSON object a line, added as results come, and found again by what they are results of.

    Args:
        path: the file; it is created, with its folder, by the first result.

    Example:

    ```python
    journal = Journal(pathlib.Path("gain_sample.jsonl"))
    task = {"arm": "plain", "seed": 1}
    if journal.get(task) is None:
        journal.add(task, {"auc": 0.71})
    ```
    """

    def __init__(self, path: pathlib.Path):
        self._path = path
        self._results: dict[str, dict] = {}
        if path.exists():
            text = path.read_text(encoding="utf-8")
            whole, _, cut = text.rpartition("\n")
            if cut:
                # A kill cut the last line short: its result is computed again.
                path.write_text(f"{whole}\n" if whole else "", encoding="utf-8")
            for line in whole.splitlines():
                entry = json.loads(line)
                self._results[entry["key"]] = entry["result"]

    def get(self, task: dict[str, Any]) -> dict | None:
        """The result of a task, or None."""
        return self._results.get(_key(task))

    def add(self, task: dict[str, Any], result: dict, **shown: Any) -> None:
        """Adds the result of a task.

        Args:
            task: all that the result depends on; plain JSON values.
            result: plain JSON values.
            **shown: what a person wants to see of the task; it is written in front.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with open(self._path, "a", encoding="utf-8") as f:
            f.write(json.dumps({**shown, "key": _key(task), "result": result}) + "\n")
            f.flush()
            os.fsync(f.fileno())
        self._results[_key(task)] = result


def task_config(config: RunConfig, not_read: Iterable[str] = ()) -> dict[str, Any]:
    """What of a configuration a task depends on, without groups and keys that are not read for it.

    Example:

    ```python
    journal.get({"arm": "plain", "config": task_config(config, {"alignment"})})
    ```
    """
    return config.model_dump(mode="json", exclude={**dict.fromkeys(not_read, True), **_UNREAD})


def _key(task: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(task, sort_keys=True).encode()).hexdigest()[:16]

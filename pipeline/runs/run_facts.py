"""What is known of a run when it starts, out of its pipeline and its settings."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from components.example_gen.files import fingerprint
from pipeline.runs.data_file import DataFile

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline


def facts_at_start(
    command: str, dataset: str, pipeline: Pipeline, config: Mapping[str, Any], files: list[str] | None = None,
) -> dict:
    """Attributes of `pipeline.runs.run.Run`, for `RunRecord`.

    Args:
        command: `run` or `refresh`.
        dataset: under which it is listed: that of its folder, which is another with `--smoke`.
        pipeline: what is about to run.
        config: the run configuration, or the part of it that there is, as plain JSON values.
        files: what it reads; those of its ExampleGen when absent.
    """
    properties = {c.id: c.exec_properties for c in pipeline.components if hasattr(c, "exec_properties")}
    # In daily operation there is one a day, and of days before the window the histories alone.
    logs = {found["files"]: found["fingerprint"] for name, found in sorted(properties.items())
            if name.partition("-")[0] in ("ExampleGen", "UserHistories") and found.get("files")}
    if files is None:
        files = [file for log in logs for file in log.split("\n")]
    order = [c.id for c in pipeline.components]
    return {
        "dataset": dataset,
        "command": command,
        "config": dict(config),
        **{name: config.get(name) for name in ("seed", "backbone", "language_model", "text_mode")},
        "files": [dataclasses.asdict(_data_file(f)) for f in files],
        "fingerprint": _of_all(list(logs.values())),
        "graph": {c.id: sorted((u.id for u in c.upstream_nodes), key=order.index) for c in pipeline.components},
    }


def _of_all(fingerprints: list[str]) -> str | None:
    """One fingerprint of several logs; that of a single one stays as it is."""
    if len(fingerprints) < 2:
        return next(iter(fingerprints), None)
    return hashlib.sha256("\n".join(fingerprints).encode()).hexdigest()


def _data_file(path: str) -> DataFile:
    if not os.path.isfile(path):
        return DataFile(path)
    return DataFile(os.path.abspath(path), fingerprint([path]), os.path.getsize(path))

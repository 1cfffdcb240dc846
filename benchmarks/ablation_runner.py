"""Trains every ablation, and writes the table."""

from __future__ import annotations

import logging
import pathlib
import time
from collections.abc import Collection
from typing import Any

from benchmarks.ablation_list import REFERENCE, Ablation
from benchmarks.ablation_table import table
from benchmarks.arms import NOT_READ, Arms
from benchmarks.journal import Journal, task_config
from benchmarks.prepared_data import PreparedData
from benchmarks.search import with_settings
from pipeline.config import RunConfig
from pipeline.console import LOGGER

_log = logging.getLogger(f"{LOGGER}.ablations")
_TEXT_KEYS = {"language_model", "text_form", "adaptation"}


class AblationRunner:
    """The ablations of one dataset and configuration.

    Args:
        data: what is trained on, with the configuration's own text vectors.
        config: the reference.
        ablations: what is measured, the reference among it.
        output: the table; the JSONL file is beside it.
        work: folder of checkpoints and aligned weights.
        heading: the lines above the table.

    Example:

    ```python
    runner = AblationRunner(data, config, ablations(config), pathlib.Path("ablations.md"), work, "# Ablations")
    runner.measure([1, 2, 3], {"cosine", "temperature"})
    ```
    """

    def __init__(self, data: PreparedData, config: RunConfig, ablations: list[Ablation], output: pathlib.Path,
                 work: pathlib.Path, heading: str):
        self._data = data
        self._config = config
        self._ablations = ablations
        self._output = output
        self._work = work
        self._heading = heading
        self._journal = Journal(output.with_suffix(".jsonl"))
        self._arms = {_text(config): Arms(data, work)}

    def measure(self, seeds: list[int], groups: Collection[str]) -> None:
        """Trains and evaluates the reference and the ablations of some groups.

        The table is written after each ablation. It shows all that is known of these seeds,
        what earlier calls found of other groups too.
        """
        chosen = [a for a in self._ablations if a.group in {*groups, REFERENCE}]
        for number, ablation in enumerate(chosen, 1):
            for seed in seeds:
                _log.info("[%d/%d] %s: %s, seed %d", number, len(chosen), ablation.shown, ablation.value, seed)
                overall = self._run(ablation, seed)["all"]
                _log.info("        test AUC %.4f, logloss %.4f", overall["auc"], overall["logloss"])
            self._write(seeds)

    def _run(self, ablation: Ablation, seed: int) -> dict[str, dict]:
        """Figures on the test split."""
        task, config = self._task(ablation, seed)
        result = self._journal.get(task)
        if result is not None:
            _log.info("        known already")
            return result
        arms = self._arms_of(config, ablation)
        started = time.monotonic()
        found = arms.run(ablation.arm, config, joint_weight=ablation.joint_weight)[ablation.arm]
        self._journal.add(
            task, found["test"], group=ablation.group, value=ablation.value, seed=seed,
            validation=found["validation"], seconds=round(time.monotonic() - started, 1))
        return found["test"]

    def _task(self, ablation: Ablation, seed: int) -> tuple[dict[str, Any], RunConfig]:
        """All that a result depends on, so that equal rows of the table are trained once; and its configuration."""
        config = with_settings(self._config.model_copy(update={"seed": seed}), ablation.settings)
        task: dict[str, Any] = {
            "arm": ablation.arm, "config": task_config(config, NOT_READ[ablation.arm]),
            "spec": self._data.spec.to_json(), "rows": self._data.rows,
            "positive": self._data.ingestion["positive"]}
        if ablation.arm == "joint":
            task["joint_weight"] = ablation.joint_weight
        return task, config

    def _arms_of(self, config: RunConfig, ablation: Ablation) -> Arms:
        if ablation.arm == "plain":
            return self._arms[_text(self._config)]
        if _text(config) not in self._arms:
            self._arms[_text(config)] = Arms(self._data.with_text(config), self._work)
        return self._arms[_text(config)]

    def _write(self, seeds: list[int]) -> None:
        known = [(a, {s: r for s in seeds if (r := self._journal.get(self._task(a, s)[0]))}) for a in self._ablations]
        known = [(ablation, runs) for ablation, runs in known if runs]
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.write_text(f"{self._heading}\n\n{table(known, known[0][1])}\n", encoding="utf-8")


def _text(config: RunConfig) -> str:
    """What decides on the text vectors."""
    return config.model_dump_json(include=_TEXT_KEYS)

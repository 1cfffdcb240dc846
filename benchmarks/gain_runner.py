"""Trains all arms of the benchmark `gain`, and writes its table."""

from __future__ import annotations

import logging
import pathlib
import time
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.arms import ARMS, CONTROL, NOT_READ, Arms
from benchmarks.gain_table import slice_table, table, targets
from benchmarks.journal import Journal, task_config
from benchmarks.prepared_data import PreparedData
from benchmarks.search import SEED, candidates, with_settings
from pipeline.config import RunConfig
from pipeline.console import LOGGER

_log = logging.getLogger(f"{LOGGER}.gain")
# The student starts from the aligned weights and takes their settings, without a search of its own: its gain
# can only be understated, and a trial of it costs as much as those of both others.
_SEARCHED = ("plain", "aligned")
_SLICES = """## Where training knows little

*rare*: the rarest tenth of the users (items) that have an embedding of their own. *new*: fewer training rows than the
feature's `min_count`, so that they share the out-of-vocabulary embedding. A user, an item is a value of that side's
categorical feature with the most values. "–": the slice lacks a class."""
_TUNED = """## Tuned settings

Best validation AUC of the trials; "as configured" was one of them."""


class Gain:
    """The benchmark on one dataset.

    Args:
        data: what is trained on.
        config: the configuration that all arms start from.
        output: the table; the JSONL file and the tuned settings are beside it.
        work: folder of checkpoints and aligned weights.
        heading: the lines above the table.

    Example:

    ```python
    gain = Gain(data, config, pathlib.Path("gain_sample.md"), pathlib.Path("/tmp/work"), "# Gain")
    gain.measure({"autoint": [1, 2]}, tuned=gain.tune(["autoint"], trials=4))
    ```
    """

    def __init__(self, data: PreparedData, config: RunConfig, output: pathlib.Path, work: pathlib.Path,
                 heading: str):
        self._data = data
        self._config = config
        self._output = output
        self._heading = heading
        self._arms = Arms(data, work)
        self._journal = Journal(output.with_suffix(".jsonl"))
        self._results: dict[str, dict[str, dict[int, dict]]] = {}

    def tune(self, backbones: list[str], trials: int) -> dict[str, dict[str, dict]]:
        """The settings with the best validation AUC: backbone to arm to settings.

        `plain` and `aligned` are searched with the same trials; their distilled students take theirs.
        """
        chosen: dict[str, dict[str, dict]] = {}
        for backbone in backbones:
            for arm in _SEARCHED:
                found = []
                for i, settings in enumerate(candidates(trials)):
                    _log.info("tuning %s, %s: trial %d of %d: %s", backbone, arm, i + 1, trials,
                              ", ".join(f"{k} {v:g}" for k, v in settings.items()) or "as configured")
                    result = self._run(backbone, arm, SEED, settings, test=False)
                    found.append((result[arm]["validation"]["all"]["auc"], settings))
                # The first of equals: rather the settings that are configured.
                best = max(found, key=lambda pair: pair[0])
                _log.info("tuned %s, %s: validation AUC %.4f with %s", backbone, arm, best[0], best[1] or "no change")
                chosen.setdefault(backbone, {})[arm] = best[1]
            chosen[backbone] |= {"distilled": chosen[backbone]["aligned"], CONTROL: chosen[backbone]["plain"]}
        return chosen

    def measure(self, seeds: Mapping[str, Sequence[int]], tuned: dict[str, dict[str, dict]],
                control: bool = False) -> None:
        """Trains and evaluates every arm, seed by seed, and writes the table after each seed.

        Args:
            seeds: of each backbone.
            tuned: what `tune` found; `{}` for the settings as configured.
            control: whether the plain backbone is distilled too.
        """
        arms = (*ARMS, CONTROL) if control else ARMS
        total, done = sum(map(len, seeds.values())) * len(arms), 0
        for backbone, own in seeds.items():
            for seed in own:
                for arm in arms:
                    done += 1
                    _log.info("[%d/%d] %s, seed %d, %s", done, total, backbone, seed, arm)
                    result = self._run(backbone, arm, seed, tuned.get(backbone, {}).get(arm, {}))
                    for model, figures in result.items():
                        self._results.setdefault(backbone, {}).setdefault(model, {})[seed] = figures["test"]
                        overall = figures["test"]["all"]
                        _log.info("        %s: test AUC %.4f, logloss %.4f", model, overall["auc"], overall["logloss"])
                self._write(tuned)

    def _run(self, backbone: str, arm: str, seed: int, settings: dict, test: bool = True) -> dict[str, dict]:
        config = with_settings(self._config.model_copy(update={"backbone": backbone, "seed": seed}), settings)
        task: dict[str, Any] = {
            "arm": arm, "config": task_config(config, NOT_READ[arm]),
            "spec": self._data.spec.to_json(), "rows": self._data.rows,
            "positive": self._data.ingestion["positive"], "test": test}
        result = self._journal.get(task)
        if result is not None:
            _log.info("        known already")
            return result
        started = time.monotonic()
        result = self._arms.run(arm, config, test)
        self._journal.add(
            task, result, backbone=backbone, arm=arm, seed=seed, settings=settings,
            split="test" if test else "validation", seconds=round(time.monotonic() - started, 1))
        return result

    def _write(self, tuned: dict[str, dict[str, dict]]) -> None:
        parts = [self._heading, table(self._results)]
        if self._data.spec.name == "movielens-1m":
            parts.append(targets(self._results))
        parts += [_SLICES, slice_table(self._results)]
        if tuned:
            parts += [_TUNED, "\n".join(_tuned_lines(tuned))]
        self._output.parent.mkdir(parents=True, exist_ok=True)
        self._output.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


def _tuned_lines(tuned: dict[str, dict[str, dict]]) -> list[str]:
    return [
        f"- {backbone}, {arm}: " + (", ".join(f"`{k}` {v:g}" for k, v in settings.items()) or "as configured")
        for backbone, arms in tuned.items() for arm, settings in arms.items()]

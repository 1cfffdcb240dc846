"""Two or more runs beside each other."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence

from pipeline.evaluated import AUC, CALIBRATION, COUNT, LOGLOSS, Evaluated
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.run import Run

METRICS = (AUC, LOGLOSS, CALIBRATION, COUNT)
_MODELS = ("plain", "student")


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Runs beside each other: what differs in how they were made, and what came out.

    Attributes:
        runs: their ids, in the order that was asked for; the first is what the others are compared with.
        settings: key to one value a run, only of keys whose values differ; None where a run has no
            such key or an earlier version did not write it down.
        figures: model (`plain`, `student`), slice ("" is the whole test split) and metric to one
            value a run, None where there is none.
        sources: where each run's figures were read.

    Example:

    ```python
    comparison = Comparison.of([(a, store.components(a.id)), (b, store.components(b.id))])
    comparison.settings["training.epochs"]  # [6, 8]
    comparison.figures["student"][""]["auc"]  # [0.7268, 0.7301]
    ```
    """

    runs: list[str]
    settings: dict[str, list]
    figures: dict[str, dict[str, dict[str, list[float | None]]]]
    sources: list[str]

    @classmethod
    def of(cls, runs: Sequence[tuple[Run, Sequence[ComponentExecution]]]) -> Comparison:
        """Compares runs.

        Args:
            runs: each with its components, from which the settings of an earlier version are read.
        """
        return cls(
            runs=[run.id for run, _ in runs],
            settings=_differences([_settings(run, components) for run, components in runs]),
            figures={model: _figures([getattr(run, model) for run, _ in runs]) for model in _MODELS},
            sources=[_source(run) for run, _ in runs],
        )


def changes(values: Sequence[float | None]) -> list[float | None]:
    """Each value less the first; None where one of the two is missing.

    Example:

    ```python
    changes([0.5, 0.75, None])  # [0.0, 0.25, None]
    ```
    """
    return [None if value is None or values[0] is None else value - values[0] for value in values]


def _settings(run: Run, components: Sequence[ComponentExecution]) -> dict:
    config = run.config
    if not config:
        # A trainer is given only the settings that it reads; together they are most of them.
        for component in components:
            given = json.loads(component.parameters.get("custom_config") or "null") or {}
            config = {**config, **given.get("config", {})}
    facts = {
        "dataset": run.dataset, "language model": run.language_model, "backbone": run.backbone,
        "code": run.code_version, "rows": run.rows, "data": [f.path for f in run.files] or None,
        "data fingerprint": run.fingerprint}
    # Of these two the configuration has the values already.
    return {**{k: v for k, v in facts.items() if k.replace(" ", "_") not in config}, **_flat(config)}


def _flat(values: Mapping, prefix: str = "") -> dict:
    """A nested configuration by dotted keys, as `--set` takes them."""
    flat = {}
    for key, value in values.items():
        flat.update(_flat(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value})
    return flat


def _differences(settings: Sequence[dict]) -> dict[str, list]:
    keys = dict.fromkeys(key for values in settings for key in values)
    found = {key: [values.get(key) for values in settings] for key in keys}
    return {key: values for key, values in found.items() if any(value != values[0] for value in values)}


def _figures(models: Sequence[Evaluated | None]) -> dict[str, dict[str, list[float | None]]]:
    slices = dict.fromkeys(name for model in models if model for name in sorted(model.slices))
    return {name: {metric: [_metric(model, name, metric) for model in models] for metric in METRICS}
            for name in ("", *slices)} if any(models) else {}


def _metric(model: Evaluated | None, name: str, metric: str) -> float | None:
    if model is None:
        return None
    return (model.slices.get(name, {}) if name else model.overall).get(metric)


def _source(run: Run) -> str:
    if run.student is None and run.plain is None:
        return "it has none: it came to no evaluation that was recorded"
    # A run of an earlier version kept nothing in ML Metadata.
    return f"its summary, {run.summary}" if run.command is None else "ML Metadata, where its end wrote what TFMA found"

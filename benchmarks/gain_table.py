"""The gain as a table: means over seeds, and differences to the plain backbone."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from scipy import stats

from benchmarks.arms import CONTROL
from benchmarks.markdown import head, line, said
from benchmarks.report import mean_and_deviation
from benchmarks.slices import ALL

MODELS = {"plain": "plain", "aligned": "aligned", "distilled": "aligned + distilled", "teacher": "teacher",
          CONTROL: "plain + distilled"}
COLUMNS = ("backbone", "model", "seeds", "AUC", "difference", "p", "logloss", "difference", "p")
# Targets on MovieLens-1M.
GAIN, AUC = 0.0086, 0.8376
# Backbone to model to seed to slice to figures, as `Slices` gives them.
Results = Mapping[str, Mapping[str, Mapping[int, Mapping[str, Mapping[str, float | None]]]]]


def table(results: Results) -> str:
    """Figures on all rows: one line a backbone and model."""
    lines = head(COLUMNS)
    for backbone, models in results.items():
        for model, shown in MODELS.items():
            if models.get(model):
                figures = [cell for metric in ("auc", "logloss") for cell in _cells(models, model, ALL, metric)]
                lines.append(line([backbone, shown, len(models[model]), *figures]))
    return "\n".join(lines)


def slice_table(results: Results) -> str:
    """AUC on the slices: one line a backbone, slice and model."""
    lines = head(("backbone", "slice", "rows", "model", "AUC", "difference", "p"))
    for backbone, models in results.items():
        first = next(iter(models["plain"].values())) if models.get("plain") else {}
        for name in first:
            if name == ALL:
                continue
            for model, shown in MODELS.items():
                if models.get(model):
                    cells = _cells(models, model, name, "auc")
                    lines.append(line([backbone, name, f"{first[name]['rows']:,}", shown, *cells]))
    return "\n".join(lines)


def targets(results: Results) -> str:
    """Whether the students reach what arXiv 2306.02841 claims on MovieLens-1M."""
    lines = [f"Targets, of the paper's: the student at least {GAIN:+.4f} AUC over its own backbone, and above "
             f"{AUC:.4f} in absolute terms.", ""]
    for backbone, models in results.items():
        if models.get("distilled"):
            by, _ = difference(models, "distilled", ALL, "auc")
            auc = np.mean([run[ALL]["auc"] for run in models["distilled"].values()])
            lines.append(f"* {backbone}: {said(by >= GAIN)} ({by:+.4f}); "
                         f"{said(auc > AUC)} ({auc:.4f}).")
    return "\n".join(lines)


def difference(
    models: Mapping[str, Mapping[int, Mapping]], model: str, name: str, metric: str
) -> tuple[float | None, float | None]:
    """Mean difference of a model to `plain` over the seeds of both, and its p-value.

    Returns:
        Both None where there is no seed; the p-value, of a two-sided paired t-test, None with
        one seed, or where all differences are the same.
    """
    seeds = sorted(set(models[model]) & set(models.get("plain", ())))
    pairs = [(models[model][s][name][metric], models["plain"][s][name][metric]) for s in seeds]
    pairs = np.array([pair for pair in pairs if None not in pair], np.float64)
    if not len(pairs):
        return None, None
    differences = pairs[:, 0] - pairs[:, 1]
    p = stats.ttest_rel(pairs[:, 0], pairs[:, 1]).pvalue if len(pairs) > 1 and np.ptp(differences) > 0 else None
    return float(differences.mean()), None if p is None else float(p)


def _cells(models, model: str, name: str, metric: str) -> list[str]:
    """Mean and deviation, difference, p-value."""
    values = [run[name][metric] for run in models[model].values()]
    values = [v for v in values if v is not None]
    if not values:
        return ["–", "–", "–"]
    mean = mean_and_deviation(values)
    if model == "plain":
        return [mean, "", ""]
    by, p = difference(models, model, name, metric)
    return [mean, "–" if by is None else f"{by:+.4f}", "–" if p is None else f"{p:.2g}"]

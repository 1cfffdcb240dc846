"""Ablations as a table: means over seeds, and paired differences to the reference."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy import stats

from benchmarks.ablation_list import Ablation
from benchmarks.markdown import head, line
from benchmarks.report import mean_and_deviation
from benchmarks.slices import ALL

COLUMNS = ("what is changed", "to", "seeds", "AUC", "difference", "p", "logloss", "difference", "p")
# Seed to slice to figures, as `Slices` gives them.
Runs = Mapping[int, Mapping[str, Mapping[str, float | None]]]


def table(results: Sequence[tuple[Ablation, Runs]], reference: Runs) -> str:
    """One line an ablation, in order.

    Args:
        results: an ablation and its figures on the test split, by seed.
        reference: those of the reference. A line with the very same figures is marked as it.
    """
    lines = head(COLUMNS)
    for ablation, runs in results:
        cells = [ablation.shown, ablation.value, str(len(runs))]
        for metric in ("auc", "logloss"):
            cells.append(mean_and_deviation([run[ALL][metric] for run in runs.values()]))
            cells += ["reference", ""] if runs == reference else _difference(runs, reference, metric)
        lines.append(line(cells))
    return "\n".join(lines)


def paired(values: Mapping[int, float], base: Mapping[int, float]) -> tuple[float, float | None, float | None] | None:
    """Differences of two models, seed by seed.

    Returns:
        Mean, standard deviation, and the p-value of a two-sided paired t-test; the latter two
        are None with one seed, the p-value also where all differences are the same. None
        without a seed of both.
    """
    seeds = sorted(set(values) & set(base))
    if not seeds:
        return None
    differences = np.array([values[s] - base[s] for s in seeds])
    if len(seeds) == 1:
        return float(differences[0]), None, None
    p = float(stats.ttest_1samp(differences, 0).pvalue) if np.ptp(differences) > 0 else None
    return float(differences.mean()), float(differences.std(ddof=1)), p


def _difference(runs: Runs, reference: Runs, metric: str) -> list[str]:
    found = paired(*({seed: run[ALL][metric] for seed, run in r.items()} for r in (runs, reference)))
    if found is None:
        return ["–", "–"]
    mean, deviation, p = found
    spread = "" if deviation is None else f" ± {deviation:.4f}"
    return [f"{mean:+.4f}{spread}", "–" if p is None else f"{p:.2g}"]

"""What embeddings made from texts are worth, as a table: means over seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.markdown import head, line, said
from benchmarks.report import mean_and_deviation

COLUMNS = (
    "dataset", "hidden", "entries", "test rows (clicks)", "model", "seeds", "shared row", "mean row", "text row",
    "text - better of the others", "explained")
ROWS = ("shared", "mean", "text")
TARGET = 0.02


def table(results: Sequence[tuple[str, str, Mapping[int, Mapping]]]) -> str:
    """One line a dataset, hidden side and model, and whether the target for hidden items is reached in each.

    Args:
        results: dataset, side, and seed to what was measured: `entries`, `rows`, `clicks`, and in
            `models` by name the AUC with each of `ROWS` and what the texts have `explained` by feature.
    """
    lines, verdicts = head(COLUMNS), []
    for dataset, side, runs in results:
        # Entries and rows are the same for all seeds: a hash chooses them.
        first = next(iter(runs.values()))
        for model in first["models"]:
            found = [run["models"][model] for run in runs.values()]
            gains = [f["text"] - max(f["shared"], f["mean"]) for f in found]
            explained = ", ".join(
                f"{key} {np.mean([f['explained'][key] for f in found]):.2f}" for key in found[0]["explained"])
            cells = [
                dataset, f"{side}s", str(first["entries"]), f"{first['rows']:,} ({first['clicks']:,})", model,
                ", ".join(map(str, runs)), *(mean_and_deviation([f[row] for f in found]) for row in ROWS),
                mean_and_deviation(gains, "+"), explained]
            lines.append(line(cells))
            if side == "item":
                verdicts.append(f"* {dataset}, {model}: {said(np.mean(gains) >= TARGET)} ({np.mean(gains):+.4f}).")
    if verdicts:
        lines += ["", f"Target: on hidden items, the text row at least {TARGET} above both others.", "", *verdicts]
    return "\n".join(lines)

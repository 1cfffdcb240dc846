"""The cost of alignment as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.ablation_table import paired
from benchmarks.markdown import head, line, said

RATE_COLUMNS = ("way", "rows/s", "ratio to naive")
QUALITY_COLUMNS = ("aligned", "seeds", "validation AUC", "difference to naive", "p")
TARGET = 20
_SHOWN = {"naive": "the naive way", "ours": "ours", "plain": "not at all"}


def table(rows: int, encoding: Mapping[str, float], rate: float, epochs: int,
          quality: Mapping[str, Sequence[Mapping[str, float | None]]]) -> str:
    """Both tables, and whether the target is reached with the encoding, though only one epoch follows it.

    Args:
        rows: of the training split.
        encoding: number of distinct texts, `texts`, and the `seconds` that encoding them took.
        rate: rows/s of our alignment on the whole split, without the encoding.
        epochs: over which the encoding is spread besides one.
        quality: way to a list, by seed, of `auc` and `rows_per_second`.
    """
    naive = float(np.mean([q["rows_per_second"] for q in quality["naive"]]))
    encoded = f"{encoding['texts']:,} texts encoded in {encoding['seconds']:,.1f} s"
    lines = head(RATE_COLUMNS)
    for way, found in (
            ("naive: every row's sentence is encoded in every step", naive),
            ("ours, steps alone", rate),
            *((f"ours, with the encoding, {n} epoch{'s' * (n > 1)}: {encoded}",
               amortised(rows, rate, encoding["seconds"], n)) for n in dict.fromkeys((1, epochs)))):
        lines.append(line((way, f"{found:,.0f}", f"{found / naive:,.1f}")))
    lines += ["", *head(QUALITY_COLUMNS)]
    aucs = {way: dict(enumerate(q["auc"] for q in found)) for way, found in quality.items()}
    for way, values in aucs.items():
        numbers = list(values.values())
        spread = f" ± {np.std(numbers, ddof=1):.4f}" if len(numbers) > 1 else ""
        mean, deviation, p = paired(values, aucs["naive"])
        difference = f"{mean:+.4f}" + ("" if deviation is None else f" ± {deviation:.4f}")
        lines.append(line((
            _SHOWN[way], len(numbers), f"{np.mean(numbers):.4f}{spread}", "" if way == "naive" else difference,
            "" if way == "naive" else "–" if p is None else f"{p:.2g}")))
    ratio = amortised(rows, rate, encoding["seconds"], 1) / naive
    return "\n".join([
        *lines, "", f"Target: with the encoding and 1 epoch {TARGET} times the naive way's rows/s: "
        f"{said(ratio >= TARGET)} ({ratio:,.1f})."])


def amortised(rows: int, rate: float, seconds: float, epochs: int) -> float:
    """Rows/s of `epochs` passes at a rate, when the encoding took some seconds first."""
    return epochs * rows / (seconds + epochs * rows / rate)

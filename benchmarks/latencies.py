"""Percentiles of latencies, and the slope of a memory curve."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import median

PERCENTILES = (50, 90, 99)


def percentile(values: Sequence[float], percent: float) -> float:
    """The smallest value that at least `percent` of a hundred values do not exceed: a value that was measured.

    Args:
        values: in any order, at least one.
        percent: above 0, up to 100.

    Example:

    ```python
    percentile([4.0, 1.0, 3.0, 2.0], 50)  # 2.0
    ```
    """
    ordered = sorted(values)
    return ordered[math.ceil(percent / 100 * len(ordered)) - 1]


def summary(seconds: Sequence[float]) -> dict[str, float]:
    """Milliseconds at each of `PERCENTILES`, as `p50` and so on, and the `count`."""
    return {"count": len(seconds), **{f"p{p}": 1000 * percentile(seconds, p) for p in PERCENTILES}}


def median_round(rounds: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """Of each figure the median over rounds, and the sum of their `count`s.

    Example:

    ```python
    median_round([{"count": 10, "p50": 1.0}, {"count": 10, "p50": 9.0}, {"count": 10, "p50": 2.0}])
    # {"count": 30, "p50": 2.0}
    ```
    """
    return {key: (sum if key == "count" else median)(r[key] for r in rounds) for key in rounds[0]}


def slope(times: Sequence[float], values: Sequence[float]) -> float | None:
    """The rise of the line of least squares through the points; None where there is one point only.

    Example:

    ```python
    slope([1, 2, 3], [10, 12, 14])  # 2.0
    ```
    """
    if len(set(times)) < 2:
        return None
    middle, level = sum(times) / len(times), sum(values) / len(values)
    return sum((t - middle) * (v - level) for t, v in zip(times, values)) / sum((t - middle) ** 2 for t in times)

"""Figures with their uncertainty, and the formulas behind it."""

from __future__ import annotations

import dataclasses

import numpy as np

# Of the standard normal distribution: 95 % lie within.
_Z95 = 1.959964


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A figure and its 95 % confidence interval.

    Attributes:
        value: the figure.
        low: the interval's lower end; None where it cannot be said.
        high: its upper end.
    """

    value: float
    low: float | None = None
    high: float | None = None

    @classmethod
    def normal(cls, value: float, error: float | None) -> Estimate:
        """By the normal approximation, from a standard error."""
        if error is None or not np.isfinite(error):
            return cls(float(value))
        return cls(float(value), float(value - _Z95 * error), float(value + _Z95 * error))

    @property
    def differs(self) -> bool | None:
        """Whether 0 lies outside the interval; None without one."""
        return None if self.low is None else self.low > 0 or self.high < 0


def auc_components(labels: np.ndarray, scores: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The AUC and DeLong's structural components of it.

    DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988) 837; by midranks, in the time of a sort: Sun
    and Xu, IEEE Signal Processing Letters 21 (2014) 1389.

    Args:
        labels: 0 or 1, `[rows]`, both of them present.
        scores: float `[rows]`.

    Returns:
        The AUC, ties counted half; of each positive row the share of negatives below it; of each
        negative row the share of positives above it.
    """
    positive = labels == 1
    above, below = scores[positive].astype(float), scores[~positive].astype(float)
    ranks = _midranks(np.concatenate([above, below]))
    of_positive = (ranks[:len(above)] - _midranks(above)) / len(below)
    of_negative = 1 - (ranks[len(above):] - _midranks(below)) / len(above)
    return float(of_positive.mean()), of_positive, of_negative


def auc_error(of_positive: np.ndarray, of_negative: np.ndarray) -> float | None:
    """Standard error of an AUC, or of a difference of two, from (differences of) DeLong's components."""
    if min(len(of_positive), len(of_negative)) < 2:
        return None
    return float(np.sqrt(of_positive.var(ddof=1) / len(of_positive) + of_negative.var(ddof=1) / len(of_negative)))


def mean_error(values: np.ndarray) -> float | None:
    """Standard error of a mean."""
    return float(values.std(ddof=1) / np.sqrt(len(values))) if len(values) > 1 else None


def logloss_rows(labels: np.ndarray, scores: np.ndarray) -> np.ndarray:
    """Binary cross-entropy of each row, as Keras's: probabilities are kept 1e-7 from 0 and 1."""
    kept = np.clip(scores.astype(float), 1e-7, 1 - 1e-7)
    return -np.where(labels == 1, np.log(kept), np.log1p(-kept))


def calibration_error(labels: np.ndarray, scores: np.ndarray) -> float | None:
    """Standard error of mean prediction over mean label, a ratio of means, by the delta method."""
    rate = labels.mean()
    if not rate:
        return None
    error = mean_error(scores - scores.mean() / rate * labels)
    return None if error is None else error / float(rate)


def wilson(hits: int, rows: int) -> Estimate:
    """A share, with Wilson's interval (Journal of the American Statistical Association 22 (1927) 209)."""
    share, z2 = hits / rows, _Z95 ** 2
    middle = (share + z2 / (2 * rows)) / (1 + z2 / rows)
    half = _Z95 / (1 + z2 / rows) * np.sqrt(share * (1 - share) / rows + z2 / (4 * rows ** 2))
    return Estimate(share, float(middle - half), float(middle + half))


def _midranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1; equal values share the mean of theirs."""
    _, where, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[where]

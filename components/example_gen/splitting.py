"""Which split a row belongs to, and what its user did before."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence

from models.spec.feature import Feature
from models.spec.split_rule import SPLITS


def hash_split(key: bytes, fractions: Mapping[str, float]) -> str:
    """A split by a stable hash of `key`: the same key always lands in the same split.

    Args:
        key: what identifies the row.
        fractions: shares of the splits; they need not sum to 1, only their
            proportions count.
    """
    point = int.from_bytes(hashlib.blake2b(key, digest_size=8).digest(), "big") / 2**64
    point *= sum(fractions.values())
    for split in SPLITS:
        if split in fractions:
            if point < fractions[split]:
                return split
            point -= fractions[split]
    return next(s for s in reversed(SPLITS) if s in fractions)


def before_test(fractions: Mapping[str, float]) -> dict[str, float]:
    """What is left to divide by hash once the test is everything from a given time on."""
    return {split: fractions[split] for split in SPLITS if split != "test"}


def time_cuts(ordered: Sequence[float], fractions: Mapping[str, float]) -> tuple[float, float]:
    """The times at which validation and test begin.

    Args:
        ordered: the rows' times, or equally spaced quantiles of them, ascending.
        fractions: shares of the splits.

    Returns:
        Two times; any two where there is no row.
    """
    if not ordered:
        return (0.0, 0.0)
    last = len(ordered) - 1
    begins = (fractions["train"], fractions["train"] + fractions["validation"])
    return tuple(ordered[min(last, round(share * last))] for share in begins)


def time_split(time: float, cuts: Sequence[float]) -> str:
    """A split by two cuts: `train` before the first, `test` from the second on."""
    if time < cuts[0]:
        return "train"
    return "validation" if time < cuts[1] else "test"


def user_time_splits(count: int, fractions: Mapping[str, float]) -> list[str]:
    """The splits of one user's `count` rows, oldest first.

    Validation and test are rounded down, so that a user with few rows is in training.
    """
    test = int(count * fractions["test"] + 1e-9)
    validation = int(count * fractions["validation"] + 1e-9)
    return ["train"] * (count - validation - test) + ["validation"] * validation + ["test"] * test


def history_entries(
    feature: Feature, labels: Sequence[int], entries: Sequence[tuple[str, str]]
) -> list[tuple[str, str] | None]:
    """What each of a user's rows adds to a derived history, or None where it adds nothing.

    Args:
        feature: the derived history.
        labels: the rows' labels.
        entries: the rows' (entry, word) for this history.
    """
    keep_all = feature.derive.where == "any"
    return [e if e[0] and (keep_all or label == 1) else None for label, e in zip(labels, entries)]


def earlier_entries(
    times: Sequence[float], entries: Sequence[tuple[str, str] | None], max_length: int
) -> list[list[tuple[str, str]]]:
    """For each row of one user, the newest entries of strictly earlier rows.

    Args:
        times: the rows' times, ascending.
        entries: what each row adds for later ones: (entry, word), or None.
        max_length: how many are kept, newest last.
    """
    result, seen, waiting = [], [], []
    for position, time in enumerate(times):
        if position and time > times[position - 1]:
            seen = (seen + waiting)[-max_length:]
            waiting = []
        result.append(seen)
        if entries[position] is not None:
            waiting.append(entries[position])
    return result

"""A vocabulary that grows from day to day."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping

import numpy as np
import tensorflow as tf


@dataclasses.dataclass(frozen=True, eq=False)
class RollingVocabulary:
    """Values in the order of their embedding rows, and when each was seen last.

    Args:
        values: bytes; value i has the id i + 1.
        last_seen: int64 [values], TFX's number of the newest window's last day that had it.

    Example:

    ```python
    monday = RollingVocabulary().next_day({b"a": 3, b"b": 2}, min_count=2, span=1)
    tuesday = monday.next_day({b"b": 9, b"c": 2}, min_count=2, span=2)
    tuesday.values  # (b"a", b"b", b"c")
    ```
    """

    values: tuple[bytes, ...] = ()
    last_seen: np.ndarray = dataclasses.field(default_factory=lambda: np.zeros(0, np.int64))

    def next_day(self, counts: Mapping[bytes, int], min_count: int, span: int,
                 keep_departed: int = 1_000_000, max_values: int | None = None) -> RollingVocabulary:
        """The vocabulary of the next window.

        Args:
            counts: how often each value occurs in the window.
            min_count: so often a value must occur to get a row; one that has a row keeps it.
            span: number of the window's last day.
            keep_departed: so many values that do not occur keep their row: those that were
                seen last, and of these the first rows. Beyond, the rows behind move up.
            max_values: so many values have a row at most: those that occur most often in the window,
                and of these the ones that have a row already; the rows behind move up.
        """
        last_seen = np.array([span if value in counts else seen for value, seen in zip(self.values, self.last_seen)],
                             np.int64)
        departed = [i for i, value in enumerate(self.values) if value not in counts]
        dropped = set(sorted(departed, key=lambda i: (-last_seen[i], i))[keep_departed:])
        kept = [i for i in range(len(self.values)) if i not in dropped]
        known = set(self.values)
        new = sorted((value for value, count in counts.items() if count >= min_count and value not in known),
                     key=lambda value: (-counts[value], value))
        values = (*(self.values[i] for i in kept), *new)
        seen = np.concatenate([last_seen[kept], np.full(len(new), span, np.int64)]).astype(np.int64)
        if max_values is not None and len(values) > max_values:
            order = sorted(range(len(values)), key=lambda i: (-counts.get(values[i], 0), -seen[i], i))
            kept = sorted(order[:max_values])
            values, seen = tuple(values[i] for i in kept), seen[kept]
        return RollingVocabulary(values, seen)

    def save(self, folder: str, feature: str) -> None:
        """Writes `<feature>_vocabulary`, as the transform graph reads it, and `<feature>_last_seen.npy`."""
        with tf.io.gfile.GFile(_values_file(folder, feature), "wb") as stream:
            stream.write(b"".join(value + b"\n" for value in self.values))
        with tf.io.gfile.GFile(_last_seen_file(folder, feature), "wb") as stream:
            np.save(stream, self.last_seen)

    @classmethod
    def load(cls, folder: str, feature: str) -> RollingVocabulary | None:
        """Reads what `save` wrote; None where there is nothing of that feature."""
        if not tf.io.gfile.exists(_values_file(folder, feature)):
            return None
        with tf.io.gfile.GFile(_values_file(folder, feature), "rb") as stream:
            values = tuple(stream.read().split(b"\n")[:-1])
        with tf.io.gfile.GFile(_last_seen_file(folder, feature), "rb") as stream:
            return cls(values, np.load(stream))


def _values_file(folder: str, feature: str) -> str:
    return os.path.join(folder, f"{feature}_vocabulary")


def _last_seen_file(folder: str, feature: str) -> str:
    return os.path.join(folder, f"{feature}_last_seen.npy")

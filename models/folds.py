"""Parts of the rows that a model is not trained on, to judge them unseen."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class Folds:
    """Deals rows to folds by a hash of their bytes, so that equal rows are in one fold, in every run the same.

    Args:
        count: how many folds.

    Example:

    ```python
    folds = Folds(4)
    train = make_dataset(files, spec, 2048, keep=folds.without(0))
    unseen = make_dataset(files, spec, 2048, keep=folds.only(0))
    ```
    """

    count: int

    def of(self, rows: tf.Tensor) -> tf.Tensor:
        """The fold of each serialized row: string [n] to int64 [n], from 0."""
        return tf.strings.to_hash_bucket_fast(rows, self.count)

    def only(self, fold: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Says which rows are in a fold; for `make_dataset`'s `keep`."""
        return lambda rows: tf.equal(self.of(rows), fold)

    def without(self, fold: int) -> Callable[[tf.Tensor], tf.Tensor]:
        """Says which rows are in any other fold; for `make_dataset`'s `keep`."""
        return lambda rows: tf.not_equal(self.of(rows), fold)

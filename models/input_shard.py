"""Which rows of each batch a process reads."""

from __future__ import annotations

import dataclasses

import tensorflow as tf


@dataclasses.dataclass(frozen=True)
class InputShard:
    """The replicas of one process, of all that train together.

    A global batch of n rows is cut into as many parts as there are replicas, each of
    `n // replicas` rows or one more; a process reads those of its own replicas, in their order. So the
    global batches, in content and order, are those of a training in one process with the same seed.

    Args:
        first: the first of this process's replicas.
        count: how many it has.
        replicas: how many there are in all.

    Example:

    ```python
    make_dataset(files, spec, 4096, shard=InputShard(first=1, count=1, replicas=2))  # batches of 2,048
    ```
    """

    first: int
    count: int
    replicas: int

    def __post_init__(self):
        if not (self.count >= 1 and 0 <= self.first <= self.replicas - self.count):
            raise ValueError(f"replicas {self.first} to {self.first + self.count - 1} are none of {self.replicas}")

    def steps(self, rows: int, batch_size: int) -> int:
        """Global batches of so many rows that give every replica one row at least, the last, smaller one included."""
        return rows // batch_size + (rows % batch_size >= self.replicas)

    def of(self, batches: tf.data.Dataset) -> tf.data.Dataset:
        """The parts of global batches `[rows, ...]` that this process's replicas take, one after the other.

        A batch with fewer rows than there are replicas is left out.
        """
        def part(batch: tf.Tensor, i: tf.Tensor) -> tf.Tensor:
            rows = tf.shape(batch)[0]
            return batch[rows * i // self.replicas:rows * (i + 1) // self.replicas]

        own = tf.data.Dataset.range(self.first, self.first + self.count, output_type=tf.int32)
        batches = batches.filter(lambda batch: tf.shape(batch)[0] >= self.replicas)
        return batches.flat_map(lambda batch: own.map(lambda i: part(batch, i)))

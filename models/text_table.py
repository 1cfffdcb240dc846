"""Vectors of texts, by the key that transformed examples hold."""

from __future__ import annotations

import dataclasses
import os

import numpy as np
import tensorflow as tf

from models.spec.errors import UserError

KEY = "key"
VECTOR = "vector"
_PREFIX = "Split-"


@dataclasses.dataclass(frozen=True, eq=False)
class TextTable:
    """The vectors of one side's, or one history's, distinct texts.

    Args:
        keys: int64 [N], distinct and not 0; row i + 1 of `vectors` belongs to key i.
        vectors: float32 [N + 1, width]; row 0, for padding and unknown keys, is zeros.

    Example:

    ```python
    table = TextTable.load(text_vectors.uri)["item"]
    table.vectors[table.lookup(tf.constant([key]))]  # float32 [1, width]
    ```
    """

    keys: np.ndarray
    vectors: np.ndarray

    def __post_init__(self):
        if len(self.vectors) != len(self.keys) + 1:
            raise ValueError(f"{len(self.keys)} keys need one vector more, got {len(self.vectors)}")
        # Key 0, padding, stands in it too: TensorFlow has no empty table.
        initializer = tf.lookup.KeyValueTensorInitializer(
            np.concatenate([np.zeros(1, np.int64), self.keys]), np.arange(len(self.vectors), dtype=np.int64))
        table = tf.lookup.StaticHashTable(initializer, default_value=0)
        object.__setattr__(self, "_table", table)

    @property
    def width(self) -> int:
        """Size of a vector."""
        return self.vectors.shape[1]

    def lookup(self, keys: tf.Tensor) -> tf.Tensor:
        """Row of `vectors` for each key.

        Args:
            keys: int64, any shape.

        Returns:
            int32, the same shape; 0 for padding and for a key without a vector.
        """
        return tf.cast(self._table.lookup(keys), tf.int32)

    @classmethod
    def load(cls, uri: str) -> dict[str, TextTable]:
        """Reads every split of a text vectors artifact.

        Args:
            uri: folder with `Split-<name>/*.gz`, gzipped TFRecords of `key` and `vector`.

        Returns:
            Tables by split name: a side or a history. A split without texts has a table
            of one row, as wide as the others.

        Raises:
            UserError: the folder holds no split, or vectors differ in width.
        """
        folders = sorted(tf.io.gfile.glob(os.path.join(uri, f"{_PREFIX}*")))
        if not folders:
            raise UserError(f"{uri}: holds no text vectors: no folder {_PREFIX}<name> for each side")
        read = {os.path.basename(f).removeprefix(_PREFIX): _read(f) for f in folders}
        widths = {vectors.shape[1] for keys, vectors in read.values() if len(keys)}
        if len(widths) > 1:
            raise UserError(f"{uri}: vectors are {sorted(widths)} wide; one language model must make all")
        width = max(widths, default=1)
        tables = {}
        for name, (keys, vectors) in read.items():
            table = np.zeros((len(keys) + 1, width), np.float32)
            table[1:] = vectors.reshape(len(keys), width)
            tables[name] = cls(keys=keys, vectors=table)
        return tables


def _read(folder: str) -> tuple[np.ndarray, np.ndarray]:
    files = sorted(tf.io.gfile.glob(os.path.join(folder, "*.gz")))
    spec = {KEY: tf.io.FixedLenFeature([], tf.int64), VECTOR: tf.io.RaggedFeature(tf.float32)}
    keys, vectors = [np.zeros(0, np.int64)], []
    for batch in tf.data.TFRecordDataset(files, "GZIP").batch(1024):
        parsed = tf.io.parse_example(batch, spec)
        keys.append(parsed[KEY].numpy())
        vectors.append(parsed[VECTOR].to_tensor().numpy())
    # A hash table takes each key once.
    keys, first = np.unique(np.concatenate(keys), return_index=True)
    first = first[keys != 0]
    return keys[keys != 0], np.concatenate(vectors)[first] if vectors else np.zeros((0, 0), np.float32)

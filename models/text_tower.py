"""The text side of a row, read from vectors that a frozen language model made once."""

import keras
import numpy as np
from keras import ops

# A column that varies less than this share of the typical column is (nearly) constant:
# dividing by its own deviation would blow rounding errors up to the size of a signal.
_DEVIATION_FLOOR = 0.1
_BLOCK = 65_536


@keras.saving.register_keras_serializable(package="ctrl")
class TextTower(keras.layers.Layer):
    """Looks up the vectors of a row's texts: the frozen mode's M_sem (CTRL, sec. 4.2).

    Each distinct text was encoded once; this layer holds the vectors, standardised
    column by column over their real rows, and concatenates those of a row's sides with
    the mean of its history's items' vectors, in the order of the tables. Nothing here
    is trained.

    Args:
        tables: dict of a text's name (a side or a history) to a float array
            `[texts + 1, width]` whose row 0, the missing text, is zeros.
        shapes: in place of `tables`: list of `[name, texts + 1, width]`, for a tower
            whose values come from `load_weights`.
        storage_dtype: dtype of the stored vectors; `float16` halves the memory.

    Call arguments:
        inputs: dict with an int tensor `<name>_text_index` for each table: `[batch]`
            for a side, `[batch, length]` for a history. 0 is missing or padding.

    Returns:
        Float tensor `[batch, sum of widths]`; zeros where a text is missing.

    Raises:
        ValueError: a table is no matrix, holds a value that is not finite, or its
            row 0 is not zero.

    Example:

    ```python
    tower = TextTower({"item": np.concatenate([np.zeros((1, 384)), vectors])})
    tower({"item_text_index": np.array([1, 2, 0])}).shape  # (3, 384)
    ```
    """

    def __init__(self, tables=None, shapes=None, storage_dtype="float32", **kwargs):
        super().__init__(**kwargs)
        if (tables is None) == (shapes is None):
            raise ValueError("TextTower needs either tables or shapes")
        self.storage_dtype = storage_dtype
        if tables is not None:
            values = {name: _standardised(name, np.asarray(table)) for name, table in tables.items()}
            shapes = [[name, *value.shape] for name, value in values.items()]
        else:
            values = dict.fromkeys((name for name, _, _ in shapes), "zeros")
        self.names = [name for name, _, _ in shapes]
        self.output_dim = sum(width for _, _, width in shapes)
        self._tables = [
            self.add_weight(
                name=f"{name}_table", shape=(rows, width), initializer=values[name], dtype=storage_dtype,
                trainable=False, autocast=False)
            for name, rows, width in shapes
        ]

    def call(self, inputs, training=False):
        texts = zip(self.names, self._tables, strict=True)
        return ops.concatenate(
            [self._vectors(table, inputs[f"{name}_text_index"]) for name, table in texts], axis=-1)

    def text_keys(self, inputs):
        """Integers that are equal in every column for two rows with the same text.

        The order of a history does not reach its mean, so its indices are sorted.

        Args:
            inputs: dict as for the call.

        Returns:
            Int32 tensor `[batch, columns]`.
        """
        columns = []
        for name in self.names:
            index = ops.cast(inputs[f"{name}_text_index"], "int32")
            columns.append(index[:, None] if len(index.shape) == 1 else ops.sort(index, axis=-1))
        return ops.concatenate(columns, axis=-1)

    def _vectors(self, table, index):
        vectors = ops.cast(ops.take(table, index, axis=0), self.compute_dtype)
        if len(index.shape) == 1:
            return vectors
        # Row 0 is zeros, so padding adds nothing to the sum and needs leaving out of the count only.
        count = ops.sum(ops.cast(ops.not_equal(index, 0), self.compute_dtype), axis=1, keepdims=True)
        return ops.sum(vectors, axis=1) / ops.maximum(count, 1)

    def compute_output_shape(self, input_shape):
        return (input_shape[f"{self.names[0]}_text_index"][0], self.output_dim)

    def get_config(self):
        shapes = [[name, *table.shape] for name, table in zip(self.names, self._tables, strict=True)]
        return {**super().get_config(), "shapes": shapes, "storage_dtype": self.storage_dtype}


def _standardised(name, table):
    """The table with columns of mean 0 and deviation 1 over its real rows, float32."""
    if table.ndim != 2 or not len(table):
        raise ValueError(f"text table {name!r} has the shape {table.shape}; it must be [texts + 1, width]")
    if np.any(table[0]):
        raise ValueError(f"text table {name!r}: row 0 stands for a missing text and must be zeros")
    if not np.isfinite(table).all():
        row = int(np.argmin(np.isfinite(table).all(axis=1)))
        raise ValueError(f"text table {name!r}: row {row} holds a value that is not finite")
    result = table.astype("float32")
    rows = result[1:]
    if len(rows):
        # In blocks, for a double-precision copy of millions of rows must not stand beside them.
        blocks = [rows[start:start + _BLOCK] for start in range(0, len(rows), _BLOCK)]
        mean = sum(block.sum(axis=0, dtype="float64") for block in blocks) / len(rows)
        variance = sum(np.square(block - mean).sum(axis=0) for block in blocks) / len(rows)
        deviation = np.sqrt(variance)
        deviation = np.maximum(deviation, max(_DEVIATION_FLOOR * np.sqrt(variance.mean()), 1e-6))
        for block in blocks:
            block[:] = (block - mean) / deviation
    return result

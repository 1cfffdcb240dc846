"""Rows of an embedding table, without reading the table."""

import keras
import tensorflow as tf
from keras import ops


def take_rows(table, ids):
    """The vectors of ids: `ops.take(table, ids, axis=0)`, by the rows that are read.

    `ops.take` reads the whole table first, which is free of cost only as long as nobody writes single rows
    of it: after that TensorFlow copies it at each read. The gradient names rows in either case.

    Args:
        table: Keras variable `[num_ids, dim]`, made with `autocast=False`, or a tensor.
        ids: int tensor of any shape; each from 0 to `num_ids - 1`.

    Returns:
        Float tensor `[*ids.shape, dim]` of the table's dtype.

    Example:

    ```python
    vectors = take_rows(embedding.tables["user_id"], ops.array([3, 5]))
    ```
    """
    if keras.backend.backend() == "tensorflow" and isinstance(table, keras.Variable):
        return tf.gather(table.value, ids)
    return ops.take(table, ids, axis=0)

"""An output as TF Serving answers it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

_FIELDS = {tf.float32: "float_val", tf.int32: "int_val", tf.int64: "int64_val"}


def answer_tensor(values: np.ndarray) -> tensor_pb2.TensorProto:
    """The output as a message with the values in the field of their type, as a stock server writes it.

    `tf.make_tensor_proto` writes numbers as bytes (`tensor_content`), which clients that read
    `float_val` take for no values.

    Args:
        values: of any shape.

    Example:

    ```python
    answer_tensor(np.array([0.83, 0.2], np.float32)).float_val  # [0.83, 0.2]
    ```
    """
    kind = tf.dtypes.as_dtype(values.dtype)
    if kind not in _FIELDS:
        return tf.make_tensor_proto(values)
    tensor = tensor_pb2.TensorProto(
        dtype=kind.as_datatype_enum, tensor_shape=tf.TensorShape(values.shape).as_proto())
    getattr(tensor, _FIELDS[kind]).extend(values.ravel().tolist())
    return tensor

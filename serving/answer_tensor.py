"""An output as TF Serving answers it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

_FIELDS = {
    np.dtype(np.float32): (types_pb2.DT_FLOAT, "float_val"),
    np.dtype(np.int32): (types_pb2.DT_INT32, "int_val"),
    np.dtype(np.int64): (types_pb2.DT_INT64, "int64_val"),
}


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
    if values.dtype not in _FIELDS:
        return tf.make_tensor_proto(values)
    kind, field = _FIELDS[values.dtype]
    tensor = tensor_pb2.TensorProto(dtype=kind)
    # A scalar's shape is there too, without sizes.
    tensor.tensor_shape.SetInParent()
    for size in values.shape:
        tensor.tensor_shape.dim.add(size=size)
    getattr(tensor, field).extend(values.ravel().tolist())
    return tensor

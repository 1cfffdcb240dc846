"""An output as TF Serving answers it."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, types_pb2

from serving import wire
from serving.tensors import VALUE_FIELDS

_FIELDS = {dtype: (number, field) for number, (field, dtype) in VALUE_FIELDS.items()}


def write_answer(tensor: tensor_pb2.TensorProto, values: np.ndarray) -> None:
    """Writes an output into an empty message, the values in the field of their type, as a stock server does.

    `tf.make_tensor_proto` writes numbers as bytes (`tensor_content`), which clients that read
    `float_val` take for no values.

    Args:
        tensor: the message.
        values: of any shape.

    Example:

    ```python
    write_answer(response.outputs["probability"], np.array([0.83, 0.2], np.float32))
    ```
    """
    if values.dtype not in _FIELDS:
        tensor.CopyFrom(tf.make_tensor_proto(values))
        return
    tensor.dtype, field = _FIELDS[values.dtype]
    # A scalar's shape is there too, without sizes.
    shape = tensor.tensor_shape
    shape.SetInParent()
    for size in values.shape:
        shape.dim.add(size=size)
    if tensor.dtype == types_pb2.DT_FLOAT:
        # What `extend` would write, without a Python object for each value.
        tensor.MergeFromString(wire.PackedFloats(float_val=values.astype("<f4").tobytes()).SerializeToString())
    else:
        getattr(tensor, field).extend(values.ravel().tolist())

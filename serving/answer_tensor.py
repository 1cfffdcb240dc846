"""An output as TF Serving answers it."""

from __future__ import annotations

import functools

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2

from serving import wire
from serving.tensors import VALUE_FIELDS

_FIELDS = {dtype: (number, field) for number, (field, dtype) in VALUE_FIELDS.items()}


def answer_tensor(values: np.ndarray) -> bytes:
    """The serialized `TensorProto` of an output, the values in the field of their type, as a stock server writes it.

    `tf.make_tensor_proto` writes numbers as bytes (`tensor_content`), which clients that read
    `float_val` take for no values.

    Args:
        values: of any shape.

    Example:

    ```python
    response = wire.UndecodedPredictResponse()
    response.outputs["probability"] = answer_tensor(np.array([0.83, 0.2], np.float32))
    ```
    """
    if values.dtype not in _FIELDS:
        return tf.make_tensor_proto(values).SerializeToString()
    number, field = _FIELDS[values.dtype]
    if values.dtype == np.float32:
        # Without a Python object for each value.
        filled = wire.PackedFloats(float_val=values.astype("<f4").tobytes())
    else:
        filled = tensor_pb2.TensorProto(**{field: values.ravel().tolist()})
    # Two messages one after the other are one with the fields of both.
    return _head(number, values.shape) + filled.SerializeToString()


@functools.lru_cache(1024)
def _head(dtype: int, shape: tuple[int, ...]) -> bytes:
    """A `TensorProto` without values; a scalar's shape is there too, without sizes."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in shape]
    return tensor_pb2.TensorProto(
        dtype=dtype, tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims)).SerializeToString()

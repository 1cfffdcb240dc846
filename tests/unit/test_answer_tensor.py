"""Outputs have their values where clients of a stock server look for them."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.answer_tensor import answer_tensor


@pytest.mark.parametrize(("values", "field"), [
    (np.array([0.25, 0.5], np.float32), "float_val"),
    (np.float32([[0.25, 0.5, 1.0], [-1.0, np.inf, 0.0]]).T, "float_val"),
    (np.float32(0.25), "float_val"),
    (np.array([2, 0, 1], np.int32), "int_val"),
    (np.array([1 << 40, -1], np.int64), "int64_val"),
    (np.array([[b"0", b"1"]], object), "string_val"),
    (np.zeros(0, np.float32), "float_val"),
])
def test_values_stand_in_the_field_of_their_type(values, field):
    tensor = tensor_pb2.TensorProto.FromString(answer_tensor(values))
    assert list(getattr(tensor, field)) == values.ravel().tolist()
    assert tensor.tensor_content == b""
    read = tf.make_ndarray(tensor)
    assert (read.shape, read.tolist()) == (values.shape, values.tolist())

"""Inputs of a request, from bytes to arrays."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2, tensor_shape_pb2, types_pb2

from serving.request_error import RequestError
from serving.tensors import InputSpec, to_array

AGES = InputSpec("ages", types_pb2.DT_FLOAT, (-1,))


def _shape(*sizes):
    """The field of a `TensorProto`, serialized."""
    dims = [tensor_shape_pb2.TensorShapeProto.Dim(size=size) for size in sizes]
    return tensor_pb2.TensorProto(tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=dims)).SerializeToString()


def _values(*values):
    return tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=values).SerializeToString()


@pytest.mark.parametrize("values", [np.float32([1.5, 2.5]), np.float32([]), np.float32([3.0] * 5)])
def test_values_are_read_from_either_field(values):
    as_content = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_FLOAT, tensor_shape=tf.TensorShape(values.shape).as_proto(), tensor_content=values.tobytes())
    for serialized in (_values(*values) + _shape(len(values)), as_content.SerializeToString()):
        found = to_array(AGES, serialized)
        assert found.dtype == np.float32 and found.tolist() == values.tolist()


def test_equal_values_at_the_end_may_be_sent_once():
    assert to_array(AGES, _values(1.0, 7.0) + _shape(4)).tolist() == [1.0, 7.0, 7.0, 7.0]


def test_of_two_shapes_the_last_is_the_one_that_is_checked_and_taken():
    # As one they would ask for 4 TiB.
    assert to_array(AGES, _values(1.0, 7.0) + _shape(1 << 40) + _shape(3)).tolist() == [1.0, 7.0, 7.0]
    with pytest.raises(RequestError, match=r"shape \[1099511627776\]"):
        to_array(AGES, _values(1.0, 7.0) + _shape(3) + _shape(1 << 40))


@pytest.mark.parametrize(("serialized", "words"), [
    (b"\xff", "'ages' is no serialized TensorProto"),
    (_values(1.0) + b"\x12\x01\xff", "'ages' is no serialized TensorProto"),  # a shape of one wrong byte
    (_values(1.0, 2.0) + _shape(3) + b"\x7a\x01\xff", "'ages' cannot be read"),  # a field that is not looked at
    (_values(1.0) + b"\x12\x02\x18\x01", "'ages' has no shape"),  # unknown_rank
    (_values(1.0) + _shape(-1), "not negative"),
    (_values(1.0) + _shape(1, 1), "the signature wants \\[any\\]"),
])
def test_what_is_no_input_is_told(serialized, words):
    for _ in range(2):  # What was refused once is refused again.
        with pytest.raises(RequestError, match=words):
            to_array(AGES, serialized)

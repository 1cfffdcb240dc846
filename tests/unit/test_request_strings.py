"""Strings that the graph reads from a message, or refuses."""

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from serving.request_strings import request_strings

NUMBERS = tf.float32.as_datatype_enum


def message(values, sizes, dtype=tf.string.as_datatype_enum, **fields) -> bytes:
    tensor = tensor_pb2.TensorProto(dtype=dtype, string_val=values, **fields)
    for size in sizes:
        tensor.tensor_shape.dim.add(size=size)
    return tensor.SerializeToString()


def read(serialized: bytes, shape) -> list:
    return np.array(tf.function(request_strings)(tf.constant(serialized), tf.TensorShape(shape))).tolist()


@pytest.mark.parametrize(("values", "sizes", "shape", "expected"), [
    ([b"a"], [], [], b"a"),
    ([b"a"], [1], [1], [b"a"]),
    ([b"a", b"", b"\xff\x00"], [3], [None], [b"a", b"", b"\xff\x00"]),
    ([b"a", b"b"], [1, 2], [None, None], [[b"a", b"b"]]),
    ([], [0], [None], []),
    ([], [0, 3], [None, None], []),
    ([b"a"], [1, 1], None, [[b"a"]]),
])
def test_what_it_reads(values, sizes, shape, expected):
    assert read(message(values, sizes), shape) == expected


@pytest.mark.parametrize(("serialized", "shape"), [
    (message([b"a"], [2]), [None]),
    (message([b"a", b"b"], [1]), [None]),
    (message([], [1], tensor_content=b"abc"), [None]),
    (message([b"a"], [-1]), [None]),
    (message([b"a"], [2**62, 4]), None),
    (message([b"a"], [1]), [None, None]),
    (message([b"a", b"b"], [2]), [1]),
    (message([b"a"], [1], NUMBERS), [None]),
    (message([b"a"], [], tensor_shape={"unknown_rank": True}), []),
    (b"", []),
    (b"\xff\xff\xff", [None]),
    (message([b"a"], [1])[:-1], [None]),
])
def test_what_it_refuses(serialized, shape):
    with pytest.raises((tf.errors.InvalidArgumentError, tf.errors.DataLossError)):
        read(serialized, shape)

import tensorflow as tf

from models import raw_example


def test_encode_and_decode_are_inverse():
    values = {"a": ["x", "y"], "b": [1.5], "c": [7], "d": []}
    decoded = raw_example.decode(raw_example.encode(values))
    assert decoded == {"a": [b"x", b"y"], "b": [1.5], "c": [7], "d": []}


def test_serialised_examples_merge_by_concatenation():
    merged = raw_example.encode({"a": ["x"]}) + raw_example.encode({"b": [2.0]})
    assert raw_example.decode(merged) == {"a": [b"x"], "b": [2.0]}
    parsed = tf.io.parse_single_example(
        merged, {"a": tf.io.FixedLenFeature([], tf.string), "b": tf.io.FixedLenFeature([], tf.float32)})
    assert parsed["a"].numpy() == b"x" and parsed["b"].numpy() == 2.0

"""JSON to arrays and back, against signatures written by hand."""

import json
import math

import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import meta_graph_pb2
from tensorflow_serving.apis import classification_pb2, regression_pb2

from serving import json_values, rest_examples, rest_json
from serving.request_error import RequestError
from serving.tensors import check_names

COLUMNS = {"age": (tf.float32, [None]), "book": (tf.string, [None]), "topics": (tf.string, [None, None])}
RANK = {"k": (tf.int32, []), "age": (tf.float32, [1]), "book": (tf.string, [None])}
ALL_TYPES = [tf.float32, tf.float64, tf.int8, tf.int16, tf.int32, tf.int64, tf.uint8, tf.uint32, tf.uint64]


def _signature(inputs):
    signature = meta_graph_pb2.SignatureDef()
    for name, (dtype, shape) in inputs.items():
        signature.inputs[name].dtype = dtype.as_datatype_enum
        signature.inputs[name].tensor_shape.CopyFrom(tf.TensorShape(shape).as_proto())
    return signature


def _arrays(inputs, body):
    return rest_json.to_arrays(json_values.parse(body.encode()), "s", _signature(inputs))[0]


def _values(inputs, body):
    return {name: array.tolist() for name, array in _arrays(inputs, body).items()}


def _message(inputs, body):
    with pytest.raises(RequestError) as caught:
        _arrays(inputs, body)
    assert caught.value.code.name == "INVALID_ARGUMENT"
    return str(caught.value)


@pytest.mark.parametrize(("shape", "body", "expected"), [
    ([None], '{"instances": ["foo", "bar", "ü"]}', [b"foo", b"bar", b"\xc3\xbc"]),
    ([None], '{"instances": [{"x": "foo"}, {"x": {"b64": "AP8="}}]}', [b"foo", b"\x00\xff"]),
    ([None], '{"instances": [{"b64": "AP8="}, {"b64": "AP8"}, {"b64": ""}, ""]}', [b"\x00\xff"] * 2 + [b""] * 2),
    ([None, 2], '{"instances": [["a", "b"], ["c", {"b64": "ZA=="}]]}', [[b"a", b"b"], [b"c", b"d"]]),
    ([None, None], '{"instances": [[], []]}', [[], []]),
    ([None], '{"inputs": ["a"]}', [b"a"]),
    ([None], '{"inputs": []}', []),
    ([None], '{"inputs": {"x": ["a"]}}', [b"a"]),
    ([], '{"inputs": "a"}', b"a"),
    ([], '{"inputs": {"b64": "YQ"}}', b"a"),
    (None, '{"inputs": [["a"]]}', [[b"a"]]),
])
def test_the_only_input_of_strings(shape, body, expected):
    assert _values({"x": (tf.string, shape)}, body) == {"x": expected}


def test_rows_and_columns_of_several_inputs_are_the_same():
    rows = _arrays(COLUMNS, """{"signature_name": "s", "instances": [
        {"age": 31, "book": "b1", "topics": ["sea", ""]}, {"topics": ["war", "air"], "book": "", "age": 2.5}]}""")
    columns = _arrays(COLUMNS, """{"inputs": {
        "age": [31, 2.5], "book": ["b1", ""], "topics": [["sea", ""], ["war", "air"]]}}""")
    for found in (rows, columns):
        assert {name: array.tolist() for name, array in found.items()} == {
            "age": [31.0, 2.5], "book": [b"b1", b""], "topics": [[b"sea", b""], [b"war", b"air"]]}
        assert [a.dtype for a in found.values()] == [np.float32, object, object]


def test_inputs_of_different_sizes_go_by_column():
    found = _arrays(RANK, '{"inputs": {"k": 2, "age": [NaN], "book": ["a", "b", "c"]}}')
    assert (found["k"].tolist(), found["k"].dtype, found["k"].shape) == (2, np.int32, ())
    assert math.isnan(found["age"][0]) and found["book"].tolist() == [b"a", b"b", b"c"]
    assert _message(RANK, '{"instances": [{"k": 2, "age": 1.0, "book": "a"}]}') == (
        "input 'k' of signature 's' has no rows: send the request by 'inputs'")


@pytest.mark.parametrize("dtype", ALL_TYPES)
def test_every_type_of_number(dtype):
    array = _arrays({"x": (dtype, [None])}, '{"inputs": [1, 0]}')["x"]
    assert (array.dtype, array.tolist()) == (dtype.as_numpy_dtype, [1, 0])
    if dtype.is_integer:
        ends = _arrays({"x": (dtype, [None])}, f'{{"inputs": [{dtype.min}, {dtype.max}]}}')["x"]
        assert ends.tolist() == [dtype.min, dtype.max]
        for wrong in (dtype.min - 1, dtype.max + 1):
            assert "input 'x', row 1: is " in _message({"x": (dtype, [None])}, f'{{"inputs": [0, {wrong}]}}')


def test_booleans_and_a_type_that_json_has_not():
    assert _values({"x": (tf.bool, [None])}, '{"inputs": [true, false]}') == {"x": [True, False]}
    with pytest.raises(RequestError, match="'x' is of type half, which JSON cannot hold") as caught:
        _arrays({"x": (tf.float16, [None])}, '{"inputs": [1.0]}')
    assert caught.value.code.name == "UNIMPLEMENTED"


def test_numbers_that_json_does_not_know():
    found = _arrays({"x": (tf.float32, [None])}, '{"inputs": [NaN, Infinity, -Infinity, 1e3, 16777215]}')["x"]
    assert math.isnan(found[0]) and found[1:].tolist() == [math.inf, -math.inf, 1000.0, 16777215.0]


ONE = {"x": (tf.float32, [None])}
TEXT = {"x": (tf.string, [None])}


@pytest.mark.parametrize(("inputs", "body", "message"), [
    (TEXT, "{}", "the request must have one of the keys 'instances' and 'inputs'"),
    (TEXT, '{"instances": ["a"], "inputs": ["a"]}', "the request must have one of the keys 'instances' and 'inputs'"),
    (TEXT, '{"instances": []}', "'instances' is empty; it must be a list of rows"),
    (TEXT, '{"instances": {"x": "a"}}', "'instances' is an object; it must be a list of rows"),
    (TEXT, '{"instances": ["a", 3]}', "input 'x', row 1: is 3; it must be a string, or {\"b64\": \"...\"} for bytes"),
    (TEXT, '{"instances": ["a", null]}',
     "input 'x', row 1: is null; it must be a string, or {\"b64\": \"...\"} for bytes"),
    (TEXT, '{"inputs": [{"b64": 3}]}',
     "input 'x', row 0: is an object; it must be a string, or {\"b64\": \"...\"} for bytes"),
    (TEXT, '{"instances": ["a", ["b"]]}', "input 'x', row 0: is a string, where others are lists"),
    (TEXT, '{"instances": [["a"]]}', "input 'x' has the shape [1, 1]; the signature wants [any]"),
    (TEXT, '{"inputs": "a"}', "input 'x' has the shape []; the signature wants [any]"),
    (TEXT, '{"instances": [{"x": "a"}, "b"]}', "row 1 is a string; it must be an object with the inputs: x"),
    (TEXT, '{"instances": [{"x": "a"}, {"x": "a", "y": 1}]}', "row 1 has the input 'y'; signature 's' takes: x"),
    (TEXT, '{"inputs": {"y": []}}', "the request has the input 'y'; signature 's' takes: x"),
    (COLUMNS, '{"inputs": {"age": [1], "book": ["a"]}}',
     "the request lacks the input 'topics'; signature 's' takes: age, book, topics"),
    (COLUMNS, '{"inputs": [1]}', "'inputs' is a list; it must be an object with the inputs: age, book, topics"),
    (COLUMNS, '{"instances": [1]}', "row 0 is 1; it must be an object with the inputs: age, book, topics"),
    (COLUMNS, '{"instances": [{"b64": "AA=="}]}', "row 0 is an object; it must be an object with the inputs: "
     "age, book, topics"),
    (COLUMNS, '{"instances": [{"age": 1, "book": "a", "topics": ["a"]}, {"age": 1, "book": "a", "topics": []}]}',
     "input 'topics', row 1: is a list of 0, where the first is of 1; all must be as long"),
    (COLUMNS, '{"inputs": {"age": [1], "book": ["a"], "topics": [["a", "b"], ["c", false]]}}',
     "input 'topics', row 1, value 1: is false; it must be a string, or {\"b64\": \"...\"} for bytes"),
    (ONE, '{"instances": [1.0, "2"]}', "input 'x', row 1: is a string; it must be a number"),
    (ONE, '{"instances": [1.0, true]}', "input 'x', row 1: is true; it must be a number"),
    (ONE, '{"instances": [1.0, {"b64": "AA=="}]}', "input 'x', row 1: is an object; it must be a number"),
    (ONE, '{"instances": [1, 16777216]}', "input 'x', row 1: is 16777216, which a float32 may round; write it with a "
     "point if that is right"),
    (ONE, '{"instances": [1, -16777216]}', "input 'x', row 1: is -16777216, which a float32 may round; write it with "
     "a point if that is right"),
    (ONE, '{"instances": [1, -1e39]}', "input 'x', row 1: is -1e+39; the greatest float32 is 3.4028234663852886e+38"),
    (RANK, '{"inputs": {"k": 2.0, "age": [1], "book": []}}',
     "input 'k': is 2.0; it must be a whole number from -2147483648 to 2147483647, without a point"),
    (RANK, '{"inputs": {"k": 123456789012345678901234567890, "age": [1], "book": []}}',
     "input 'k': is 1.2345678901234568e+29; it must be a whole number from -2147483648 to 2147483647, without a point"),
    (RANK, '{"inputs": {"k": [2], "age": [1], "book": []}}', "input 'k' has the shape [1]; the signature wants []"),
    (RANK, '{"inputs": {"k": 2, "age": [1, 2], "book": []}}', "input 'age' has the shape [2]; the signature wants [1]"),
])
def test_a_wrong_input_is_named(inputs, body, message):
    assert _message(inputs, body) == message


@pytest.mark.parametrize("encoded", ["!", "A", "AAAAA", "AA==AA", "é", "A A", "AA=", "===="])
def test_what_is_no_base64(encoded):
    found = _message(TEXT, json.dumps({"instances": ["", {"b64": encoded}]}))
    assert found.startswith("input 'x', row 1: is no base64: ")


def test_lists_of_any_depth_are_refused_by_their_shape():
    deep = "[" * 900 + "]" * 900
    assert "the signature wants [any]" in _message(TEXT, f'{{"inputs": {deep}}}')
    assert "the signature wants [any]" in _message(ONE, f'{{"inputs": {deep}, "y": NaN}}')


@pytest.mark.parametrize(("body", "message"), [
    (b"", "the body is no JSON: Input is a zero-length, empty document: line 1 column 1 (char 0)"),
    (b'{"a": [1,\n 2,]}', "line 2 column 3 (char 12)"),
    (b'{"a": [NaN,\n 2,]}', "line 2 column 4 (char 15)"),
    (b'{"a": nan}', "line 1 column 7 (char 6)"),
    (b'{"a": "\xff"}', "is no JSON"),
    (b'{"a": "\xff", "b": NaN}', "can't decode byte 0xff in position 7"),
    (b'{"a": "\\ud800"}', "(char 7)"),
    (b'{"a": "\\ud800", "b": NaN}', "surrogates not allowed"),
    (b"[" * 100_000, "is no JSON"),
    (b"[" * 100_000 + b"NaN", "nested too deep"),
    (b'{"a": 1' + b"0" * 400 + b"}", "number is infinity"),
    (b"[]", "the body is a list; it must be an object"),
    (b"NaN", "the body is NaN; it must be an object"),
    (b"null", "the body is null; it must be an object"),
])
def test_what_is_no_json_object(body, message):
    with pytest.raises(RequestError) as caught:
        json_values.parse(body)
    assert caught.value.code.name == "INVALID_ARGUMENT" and message in str(caught.value)


def test_great_integers_are_read_alike_with_and_without_nan():
    numbers = "9223372036854775807, -9223372036854775808, 18446744073709551615, 123456789012345678901234567890"
    strict, loose = (json_values.parse(f'{{"a": [{numbers}], "b": {b}}}'.encode())["a"] for b in ("1", "NaN"))
    assert strict == loose == [2**63 - 1, -(2**63), 2**64 - 1, 1.2345678901234568e29]
    assert list(map(type, strict)) == list(map(type, loose)) == [int, int, int, float]
    assert json_values.parse(b'{"a": NaN, "b": ' + b"9" * 5000 + b"}")["b"] == math.inf


@pytest.mark.parametrize("name", ["3", "null", '["a"]', "{}"])
def test_a_signatures_name_is_a_string(name):
    with pytest.raises(RequestError, match="'signature_name' is .*; it must be a string"):
        json_values.signature_name(json_values.parse(f'{{"signature_name": {name}}}'.encode()))
    assert json_values.signature_name({}) == ""


LOGITS, CLICKS = np.float32([0.4, -1]), np.float32([0.1, 0.25])


@pytest.mark.parametrize(("outputs", "rows", "columns"), [
    ({"p": CLICKS}, '{"predictions":[0.1,0.25]}', '{"outputs":[0.1,0.25]}'),
    ({"logit": LOGITS, "p": CLICKS}, '{"predictions":[{"logit":0.4,"p":0.1},{"logit":-1.0,"p":0.25}]}',
     '{"outputs":{"logit":[0.4,-1.0],"p":[0.1,0.25]}}'),
    ({"p": np.float32([[0.1], [np.nan]])}, '{"predictions": [[0.1], [NaN]]}', '{"outputs": [[0.1], [NaN]]}'),
    ({"p": np.float32([np.inf]), "q": np.float64([-np.inf])}, '{"predictions": [{"p": Infinity, "q": -Infinity}]}',
     '{"outputs": {"p": [Infinity], "q": [-Infinity]}}'),
    ({"p": np.float32([np.nan]), "n": np.int64([3]), "t": np.array([True]), "s": np.array([b"a"], object)},
     '{"predictions": [{"p": NaN, "n": 3, "t": true, "s": "a"}]}',
     '{"outputs": {"p": [NaN], "n": [3], "t": [true], "s": ["a"]}}'),
    ({"s": np.array([[b"a", b"\xc3\xbc"]], object), "x_bytes": np.array([b"\x00\xff"], object)},
     '{"predictions":[{"s":["a","ü"],"x_bytes":{"b64":"AP8="}}]}',
     '{"outputs":{"s":[["a","ü"]],"x_bytes":[{"b64":"AP8="}]}}'),
    ({"s": np.array([b"\xff"], object)}, '{"predictions":["\ufffd"]}', '{"outputs":["\ufffd"]}'),
    ({"p": np.zeros(0, np.float32), "q": np.zeros((0, 2), np.float32)}, '{"predictions":[]}',
     '{"outputs":{"p":[],"q":[]}}'),
    ({"b": np.array([True, False]), "n": np.uint8([1, 2])},
     '{"predictions":[{"b":true,"n":1},{"b":false,"n":2}]}', '{"outputs":{"b":[true,false],"n":[1,2]}}'),
])
def test_answers(outputs, rows, columns):
    assert rest_json.from_arrays(outputs, by_row=True).decode() == rows
    assert rest_json.from_arrays(outputs, by_row=False).decode() == columns


@pytest.mark.parametrize(("value", "expected"), [
    (np.float32(0.1), "0.1"), (np.float32(np.nan), "NaN"), (np.int32(3), "3"), (b"a", '"a"'),
    (np.array(b"a", object), '"a"')])
def test_a_scalar_has_no_rows(value, expected):
    body = rest_json.from_arrays({"x": value}, by_row=False).decode()
    assert body.replace(" ", "") == f'{{"outputs":{expected}}}'
    with pytest.raises(RequestError, match=r"no common rows: 'x' \[\]; send the request by 'inputs'"):
        rest_json.from_arrays({"x": value}, by_row=True)


def test_outputs_of_different_sizes_have_no_rows():
    with pytest.raises(RequestError, match=r"no common rows: 'p' \[2\], 'q' \[1\]; send"):
        rest_json.from_arrays({"p": CLICKS, "q": CLICKS[:1]}, by_row=True)


def test_a_features_type_is_that_of_its_values():
    given = rest_examples.to_input(json_values.parse("""{"examples": [
        {"s": "ü", "b": {"b64": "AP8="}, "f": 31.0, "i": 31, "t": true, "n": []},
        {"s": ["a", {"b64": "Yg"}], "f": [0.5, NaN], "i": [1, false]}, {}]}""".encode()))
    assert given.WhichOneof("kind") == "example_list"
    first, second, third = (e.features.feature for e in given.example_list.examples)
    assert {name: f.WhichOneof("kind") for name, f in first.items()} == {
        "s": "bytes_list", "b": "bytes_list", "f": "float_list", "i": "int64_list", "t": "int64_list", "n": None}
    assert (first["s"].bytes_list.value[0], first["b"].bytes_list.value[0]) == (b"\xc3\xbc", b"\x00\xff")
    assert first["f"].float_list.value == [31.0] and first["i"].int64_list.value == [31]
    assert first["t"].int64_list.value == [1]
    assert second["s"].bytes_list.value == [b"a", b"b"] and second["i"].int64_list.value == [1, 0]
    assert second["f"].float_list.value[0] == 0.5 and math.isnan(second["f"].float_list.value[1])
    assert not third


@pytest.mark.parametrize("context", ['{"age": 31.0}', "{}"])
def test_a_context_stands_beside_the_examples(context):
    given = rest_examples.to_input(json_values.parse(f'{{"context": {context}, "examples": [{{}}, {{}}]}}'.encode()))
    assert given.WhichOneof("kind") == "example_list_with_context"
    found = given.example_list_with_context
    assert len(found.examples) == 2 and list(found.context.features.feature) == list(json.loads(context))


@pytest.mark.parametrize(("body", "message"), [
    ("{}", "the request must have the key 'examples'"),
    ('{"examples": []}', "'examples' is empty; it must be a list of objects of features"),
    ('{"examples": {}}', "'examples' is an object; it must be a list of objects of features"),
    ('{"examples": [{}, "a"]}', "row 1 is a string; it must be an object"),
    ('{"examples": [{}], "context": null}', "'context' is null; it must be an object"),
    ('{"examples": [{}], "context": {"a": null}}', "'context', feature 'a': holds null; it must hold strings or"),
    ('{"examples": [{}, {"a": [["b"]]}]}', "row 1, feature 'a': holds a list; it must hold strings or numbers"),
    ('{"examples": [{"a": {"c": "b"}}]}', "row 0, feature 'a': holds an object; it must hold strings or numbers"),
    ('{"examples": [{"a": [1.5, 1]}]}', "row 0, feature 'a': has values of several types: float, int64; numbers with "
     "and without a point are of two"),
    ('{"examples": [{"a": 9223372036854775808}]}',
     "row 0, feature 'a': 9223372036854775808 is more than an int64 can hold"),
    ('{"examples": [{"a": 1e39}]}', "row 0, feature 'a': 1e+39 is more than a float can hold"),
    ('{"examples": [{"a": {"b64": "!"}}]}', "row 0, feature 'a': is no base64: "),
])
def test_a_wrong_feature_is_named(body, message):
    with pytest.raises(RequestError) as caught:
        rest_examples.to_input(json_values.parse(body.encode()))
    assert caught.value.code.name == "INVALID_ARGUMENT" and str(caught.value).startswith(message)


def test_results_of_classify_and_regress():
    classes = classification_pb2.ClassificationResult()
    row = classes.classifications.add()
    row.classes.add(label="0", score=0.9)
    row.classes.add(label="", score=0.1)
    classes.classifications.add()
    assert rest_examples.from_classes(classes) == b'{"results":[[["0",0.9],["",0.1]],[]]}'
    row.classes[0].score = math.nan
    assert rest_examples.from_classes(classes) == b'{"results": [[["0", NaN], ["", 0.1]], []]}'
    values = regression_pb2.RegressionResult()
    for value in (0.1, 3.0):
        values.regressions.add(value=value)
    assert rest_examples.from_values(values) == b'{"results":[0.1,3.0]}'
    values.regressions.add(value=-math.inf)
    assert rest_examples.from_values(values) == b'{"results": [0.1, 3.0, -Infinity]}'


def test_names_of_inputs():
    check_names("the request", ["a", "b"], "s", ["b", "a"])
    with pytest.raises(RequestError, match="^row 3 has the input 'c'; signature 's' takes: a, b$"):
        check_names("row 3", ["a", "c"], "s", ["b", "a"])
    with pytest.raises(RequestError, match="^row 3 lacks the input 'b'; signature 's' takes: a, b$"):
        check_names("row 3", ["a"], "s", ["b", "a"])

"""A thousand and more generated requests that are wrong: each gets its status, and the server goes on."""

import random

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    inference_pb2,
    model_management_pb2,
    predict_pb2,
    regression_pb2,
)

from models import raw_example
from tests.unit import served_model

ROW = raw_example.encode({"age": [3.0], "topics": [b"sea"]})
PREDICTION = "/tensorflow.serving.PredictionService/"
MODEL = "/tensorflow.serving.ModelService/"
METHODS = {
    PREDICTION + "Predict": predict_pb2.PredictRequest,
    PREDICTION + "Classify": classification_pb2.ClassificationRequest,
    PREDICTION + "Regress": regression_pb2.RegressionRequest,
    PREDICTION + "MultiInference": inference_pb2.MultiInferenceRequest,
    PREDICTION + "GetModelMetadata": get_model_metadata_pb2.GetModelMetadataRequest,
    MODEL + "GetModelStatus": get_model_status_pb2.GetModelStatusRequest,
    MODEL + "HandleReloadConfigRequest": model_management_pb2.ReloadConfigRequest,
}
INVALID, ABSENT = grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.NOT_FOUND
TYPES = [tf.float32, tf.float64, tf.int32, tf.int64, tf.uint8, tf.bool, tf.complex64, tf.float16]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    served_model.export(folder / "1", 0.0)
    server = served_model.server(folder, max_message_bytes=1 << 20)
    server.port = server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def ask(server):
    """Sends bytes to a method; returns status and text."""
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:

        def ask(method, request):
            try:
                channel.unary_unary(method)(request, timeout=30)
            except grpc.RpcError as error:
                return error.code(), error.details()
            return grpc.StatusCode.OK, ""

        yield ask


@pytest.fixture(autouse=True)
def goes_on(ask):
    yield
    assert ask(PREDICTION + "Predict", _predict().SerializeToString()) == (grpc.StatusCode.OK, "")


def _predict(examples=(ROW, b""), signature=""):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "books", signature
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto(list(examples)))
    return request


def _rank(draw):
    """A good request for the best of three books."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "books", "rank_top_k"
    values = {"k": np.int32(2), "reader": [b"ann"], "age": np.array([draw.uniform(1, 90)], np.float32),
              "lately": [[b"b1", b"b2"]], "book": [b"b1", b"b2", b"b3"], "topics": [[b"sea"], [b"war"], [b""]]}
    for name, value in values.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _any_text(draw):
    return "".join(chr(draw.choice([draw.randrange(32, 127), draw.randrange(0xA0, 0xD7FF)]))
                   for _ in range(draw.randrange(1, 40)))


@pytest.mark.parametrize("method", METHODS)
def test_random_bytes(ask, method):
    draw = random.Random(1)
    for _ in range(60):
        request = draw.randbytes(draw.randrange(1, 400))
        code, text = ask(method, request)
        try:
            METHODS[method].FromString(request)
        except Exception:
            assert (code, text) == (INVALID, f"the bytes are no {method.rpartition('/')[2]} request")
        else:
            # Unknown fields are skipped, so that some random bytes are an empty request.
            assert code in (INVALID, ABSENT), (request, code, text)


def test_requests_cut_short_or_with_a_wrong_byte(ask):
    draw = random.Random(2)
    for _ in range(300):
        whole = draw.choice([_predict(), _rank(draw)]).SerializeToString()
        place = draw.randrange(1, len(whole))
        changed = draw.choice([
            whole[:place],
            whole[:place - 1] + bytes([whole[place - 1] ^ (1 << draw.randrange(8))]) + whole[place:]])
        code, text = ask(PREDICTION + "Predict", changed)
        # A wrong byte in a value may leave a request that means something else.
        assert code in (grpc.StatusCode.OK, INVALID, ABSENT), (changed, code, text)
        assert code is grpc.StatusCode.OK or text


def test_names_that_do_not_exist(ask):
    draw = random.Random(3)
    for _ in range(150):
        request, name = _predict(), _any_text(draw)
        kind = draw.choice(["model", "signature", "label", "version"])
        if kind == "model":
            request.model_spec.name = name
        elif kind == "signature":
            request.model_spec.signature_name = name
        elif kind == "label":
            request.model_spec.version_label = name
        else:
            request.model_spec.version.value = draw.choice([0, 2, -1, 2**62, -2**63])
        code, text = ask(PREDICTION + "Predict", request.SerializeToString())
        assert code is ABSENT
        assert repr(name) in text or kind == "version"


def test_inputs_of_other_types_shapes_and_numbers_of_values(ask):
    draw = random.Random(4)
    for _ in range(250):
        request = _rank(draw)
        name = draw.choice(sorted(request.inputs))
        tensor = request.inputs[name]
        kind = draw.choice(["dtype", "number", "rank", "sizes", "values", "negative", "huge", "unknown rank"])
        if kind == "dtype":
            other = draw.choice([t for t in TYPES if t.as_datatype_enum != tensor.dtype])
            tensor.CopyFrom(tf.make_tensor_proto(np.zeros(3), other))
        elif kind == "number":
            tensor.dtype = draw.choice([0, 99, 120, 1000])
        elif kind == "rank":
            tensor.tensor_shape.dim.add(size=1)
            tensor.tensor_shape.dim.add(size=1)
        elif kind == "sizes":
            tensor.tensor_shape.dim.add(size=draw.randrange(2, 9))
        elif kind == "values":
            del tensor.string_val[:], tensor.int_val[:], tensor.float_val[:]
            tensor.tensor_content = draw.randbytes(draw.choice([1, 3, 5, 7]))
        elif kind == "negative":
            tensor.tensor_shape.dim.add(size=-draw.randrange(1, 2**40))
        elif kind == "huge":
            for _ in range(draw.randrange(1, 5)):
                tensor.tensor_shape.dim.add(size=draw.choice([2**31, 2**40, 2**62]))
        else:
            tensor.tensor_shape.unknown_rank = True
        code, text = ask(PREDICTION + "Predict", request.SerializeToString())
        assert code is INVALID and f"'{name}'" in text, (kind, name, code, text)


def test_inputs_that_lack_or_are_too_many(ask):
    draw = random.Random(5)
    for _ in range(100):
        request = _rank(draw)
        if draw.random() < 0.5:
            name = draw.choice(sorted(request.inputs))
            del request.inputs[name]
        else:
            name = _any_text(draw)
            request.inputs[name].CopyFrom(tf.make_tensor_proto([1.0]))
        code, text = ask(PREDICTION + "Predict", request.SerializeToString())
        assert code is INVALID and f"'{name}'" in text


def test_examples_that_are_none(ask):
    draw = random.Random(6)
    for _ in range(150):
        bad = draw.randrange(1, 5)
        examples = [ROW] * 6
        examples[bad] = draw.choice([
            b"\xff" + draw.randbytes(draw.randrange(1, 50)), ROW[:-draw.randrange(1, 4)],
            raw_example.encode({"age": [b"old"]}), raw_example.encode({"age": [1.0, 2.0], "topics": [3.0]})])
        code, text = ask(PREDICTION + "Predict", _predict(examples).SerializeToString())
        assert code is INVALID and f"row {bad}" in text, (examples[bad], code, text)


def test_columns_of_different_lengths(ask):
    draw = random.Random(7)
    for _ in range(50):
        request = _rank(draw)
        request.inputs["reader"].CopyFrom(tf.make_tensor_proto([b"ann"] * draw.randrange(2, 9)))
        code, text = ask(PREDICTION + "Predict", request.SerializeToString())
        assert code is INVALID and "'reader'" in text


def test_a_request_that_is_too_large(ask):
    code, text = ask(PREDICTION + "Predict", _predict([b"x" * (1 << 20)]).SerializeToString())
    assert code is grpc.StatusCode.RESOURCE_EXHAUSTED and "1048576" in text


def test_a_method_that_does_not_exist(ask):
    assert ask(PREDICTION + "Guess", b"")[0] is grpc.StatusCode.UNIMPLEMENTED
    assert ask("/tensorflow.serving.SessionService/SessionRun", b"")[0] is grpc.StatusCode.UNIMPLEMENTED

"""The embedded server, asked over a real channel with TF Serving's own stubs."""

import logging
import os
import shutil
import threading
import time
import urllib.request

import grpc
import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import descriptor_pb2
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)

from models import raw_example
from tests.unit import served_model
from tests.waiting import wait_until

SERVING = health_pb2.HealthCheckResponse.SERVING
GOOD = raw_example.encode({"age": [3.0], "topics": [b"sea"]})


@pytest.fixture(scope="module")
def exports(tmp_path_factory):
    """Folders of two exports, by bias, to be copied into a base path."""
    folder = tmp_path_factory.mktemp("exports")
    return {
        bias: (str(folder / str(bias)), served_model.export(folder / str(bias), bias)) for bias in (0.0, 2.0)
    }


@pytest.fixture
def base_path(tmp_path, exports):
    shutil.copytree(exports[0.0][0], tmp_path / "books" / "1")
    return tmp_path / "books"


@pytest.fixture
def server(base_path):
    server = served_model.server(base_path, poll_seconds=0.1, max_message_bytes=1 << 20, rest_port=0)
    server.port = server.start()
    yield server
    server.stop(grace=1.0)


@pytest.fixture
def channel(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


@pytest.fixture
def stub(channel):
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


def _sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_predictions_equal_the_keras_model(stub, exports):
    examples = [
        GOOD,
        b"",
        raw_example.encode({"age": [50.0], "lately": [b"b1", b"b2"], "reader": [b"unseen"]}),
    ]
    response = stub.Predict(served_model.request(examples))
    assert (response.model_spec.name, response.model_spec.version.value) == ("books", 1)
    assert response.model_spec.signature_name == "serving_default"
    got = {name: tf.make_ndarray(tensor) for name, tensor in response.outputs.items()}
    # 0.1 for each year, book and topic.
    np.testing.assert_allclose(got["logit"], [0.4, 0.0, 5.2], atol=1e-5)
    np.testing.assert_allclose(got["probability"], _sigmoid(np.array([0.4, 0.0, 5.2])), atol=1e-6)
    keras_logits = exports[0.0][1](served_model.features_of(examples))
    np.testing.assert_allclose(got["logit"], keras_logits, atol=1e-6)


def test_output_filter_and_an_empty_batch(stub):
    request = served_model.request(np.array([], dtype=object))
    request.inputs["examples"].dtype = tf.string.as_datatype_enum
    request.output_filter.append("probability")
    response = stub.Predict(request)
    assert list(response.outputs) == ["probability"]
    assert tf.make_ndarray(response.outputs["probability"]).shape == (0,)


def _without_input():
    request = served_model.request([GOOD])
    del request.inputs["examples"]
    return request


def _with_more(name, value):
    request = served_model.request([GOOD])
    request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


def _with_shape(*sizes):
    request = served_model.request([GOOD])
    del request.inputs["examples"].tensor_shape.dim[:]
    for size in sizes:
        request.inputs["examples"].tensor_shape.dim.add(size=size)
    return request


def _with_filter(name):
    request = served_model.request([GOOD])
    request.output_filter.append(name)
    return request


def _of_type(number):
    request = served_model.request([GOOD])
    request.inputs["examples"].dtype = number
    return request


@pytest.mark.parametrize(
    ("request_", "code", "words"),
    [
        (served_model.request([GOOD], model="films"), "NOT_FOUND", ["'films'", "'books'"]),
        (served_model.request([GOOD], version=7), "NOT_FOUND", ["version 7", "version 1"]),
        (served_model.request([GOOD], version_label="canary"), "NOT_FOUND", ["canary"]),
        (served_model.request([GOOD], signature_name="rank"), "NOT_FOUND", ["'rank'", "serving_default"]),
        (_without_input(), "INVALID_ARGUMENT", ["lacks", "'examples'"]),
        (_with_more("age", 3.0), "INVALID_ARGUMENT", ["'age'", "examples"]),
        (_with_filter("click"), "INVALID_ARGUMENT", ["'click'", "logit, probability"]),
        (served_model.request([1.0]), "INVALID_ARGUMENT", ["'examples'", "float", "string"]),
        (_of_type(999), "INVALID_ARGUMENT", ["'examples'", "999"]),
        (served_model.request([[GOOD]]), "INVALID_ARGUMENT", ["'examples'", "[1, 1]", "[any]"]),
        (_with_shape(5), "INVALID_ARGUMENT", ["'examples'", "[5]", "1 values"]),
        (_with_shape(-1), "INVALID_ARGUMENT", ["'examples'", "[-1]"]),
        (_with_shape(1 << 60), "INVALID_ARGUMENT", ["'examples'"]),
        (served_model.request([GOOD, b"\xff\xfe\xfd"]), "INVALID_ARGUMENT",
         ["'examples'", "row 1", "tf.train.Example"]),
        (served_model.request([GOOD, GOOD, GOOD[:-2]]), "INVALID_ARGUMENT", ["'examples'", "row 2"]),
        (served_model.request([GOOD, raw_example.encode({"age": ["old"]})]), "INVALID_ARGUMENT", ["row 1", "'age'"]),
        (served_model.request([b"x" * (1 << 20)]), "RESOURCE_EXHAUSTED", []),
    ],
)
def test_a_bad_request_gets_its_status_and_the_server_goes_on(stub, request_, code, words):
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request_)
    assert caught.value.code().name == code, caught.value.details()
    for word in words:
        assert word in caught.value.details()
    assert stub.Predict(served_model.request([GOOD])).model_spec.version.value == 1


def test_metadata_holds_the_signature(stub):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "books"
    response = stub.GetModelMetadata(request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    assert sorted(signatures.signature_def) == ["classify", "rank_top_k", "regress", "serving_default"]
    assert list(signatures.signature_def["serving_default"].inputs) == ["examples"]
    request.metadata_field.append("weights")
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModelMetadata(request)
    assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT


def test_a_new_version_is_taken_up_under_load_without_a_failure(server, stub, base_path, exports):
    answers, failures, stop = [], [], threading.Event()

    def ask():
        while not stop.is_set():
            try:
                response = stub.Predict(served_model.request([GOOD] * 3), timeout=10)
            except grpc.RpcError as error:
                failures.append(error)
            else:
                answers.append(
                    (response.model_spec.version.value, tf.make_ndarray(response.outputs["logit"]))
                )

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    shutil.copytree(exports[2.0][0], base_path / "2")
    wait_until(lambda: any(version == 2 for version, _ in list(answers)))
    stop.set()
    for thread in threads:
        thread.join()
    assert not failures
    assert {version for version, _ in answers} == {1, 2}
    for version, logits in answers:
        # Every answer comes from one whole version: a bias of 0 or of 2.
        np.testing.assert_allclose(logits, [0.4 + (version == 2) * 2.0] * 3, atol=1e-5)
    # The version that was taken away is gone, the older one comes back.
    shutil.rmtree(base_path / "2")
    wait_until(lambda: server.loaded == {"books": [1]})


def test_a_broken_version_is_refused_and_taken_once_it_is_whole(
    server, channel, stub, base_path, exports, caplog
):
    variables = "variables/variables.data-00000-of-00001"
    with caplog.at_level(logging.ERROR):
        (base_path / "3").mkdir()
        (base_path / "3" / "saved_model.pb").write_bytes(b"rubbish")
        shutil.copytree(exports[2.0][0], base_path / "4")
        os.remove(base_path / "4" / variables)
        wait_until(lambda: len(caplog.records) >= 2)
    assert {r.getMessage().split(" of books")[0] for r in caplog.records} == {"version 3", "version 4"}
    assert all("version 1 keeps serving" in r.getMessage() for r in caplog.records)
    assert stub.Predict(served_model.request([GOOD])).model_spec.version.value == 1
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "books"
    states = model_service_pb2_grpc.ModelServiceStub(channel).GetModelStatus(request).model_version_status
    state = get_model_status_pb2.ModelVersionStatus.State
    assert {s.version: state.Name(s.state) for s in states} == {1: "AVAILABLE", 4: "END", 3: "END"}
    assert {s.version for s in states if s.status.error_message} == {3, 4}
    # It is not tried again and again, only when its files change.
    time.sleep(0.4)
    assert len(caplog.records) == 2
    shutil.copy(os.path.join(exports[2.0][0], variables), base_path / "4" / variables)
    wait_until(lambda: server.loaded == {"books": [4]})


def test_status_of_one_version(channel):
    stub = model_service_pb2_grpc.ModelServiceStub(channel)
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = "books"
    request.model_spec.version.value = 1
    assert [s.version for s in stub.GetModelStatus(request).model_version_status] == [1]
    request.model_spec.version.value = 9
    with pytest.raises(grpc.RpcError) as caught:
        stub.GetModelStatus(request)
    assert caught.value.code() == grpc.StatusCode.NOT_FOUND


def test_reflection_tells_which_services_there_are(channel):
    stub = reflection_pb2_grpc.ServerReflectionStub(channel)
    asked = reflection_pb2.ServerReflectionRequest
    listed, described = stub.ServerReflectionInfo(iter([
        asked(list_services=""), asked(file_containing_symbol="tensorflow.serving.PredictionService")]))
    assert [s.name for s in listed.list_services_response.service] == [
        "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection", "tensorflow.serving.ModelService",
        "tensorflow.serving.PredictionService"]
    file = descriptor_pb2.FileDescriptorProto.FromString(
        described.file_descriptor_response.file_descriptor_proto[0])
    assert {m.name for m in file.service[0].method} == {
        "Predict", "Classify", "Regress", "MultiInference", "GetModelMetadata"}


def test_idle_reflection_takes_no_place_of_other_calls(base_path):
    # Without a bound, 24 calls would be all that are let in.
    server = served_model.server(base_path, running=1, waiting=0)
    idle, streams = threading.Event(), []

    def requests():
        yield reflection_pb2.ServerReflectionRequest(list_services="")
        idle.wait(30)

    try:
        with grpc.insecure_channel(f"127.0.0.1:{server.start()}") as channel:
            reflection = reflection_pb2_grpc.ServerReflectionStub(channel)
            streams = [reflection.ServerReflectionInfo(requests()) for _ in range(8)]
            assert all(next(stream).HasField("list_services_response") for stream in streams)
            for _ in range(40):
                with pytest.raises(grpc.RpcError) as caught:
                    next(reflection.ServerReflectionInfo(requests()))
                assert caught.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert caught.value.details() == "8 reflection streams are open, and no more may be; try again later"
            stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
            assert stub.Predict(served_model.request([GOOD]), timeout=10).model_spec.version.value == 1
            # One that ends, whether in order or not, makes room.
            streams.pop().cancel()
            wait_until(lambda: reflection.ServerReflectionInfo(iter([]), timeout=10).code() == grpc.StatusCode.OK)
            idle.set()
            assert [list(stream) for stream in streams] == [[]] * 7
            wait_until(lambda: reflection.ServerReflectionInfo(iter([]), timeout=10).code() == grpc.StatusCode.OK)
    finally:
        idle.set()
        server.stop(grace=1.0)


def test_metrics_of_both_apis(server, stub):
    for _ in range(2):
        stub.Predict(served_model.request([GOOD]))
    for request in (served_model.request([GOOD], model="films"), served_model.request([1.0])):
        with pytest.raises(grpc.RpcError):
            stub.Predict(request)
    address = f"http://127.0.0.1:{server.rest_port}"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    body = b'{"signature_name": "regress", "examples": [{"age": 3.0}]}'
    assert opener.open(f"{address}/v1/models/books:regress", body).status == 200
    text = opener.open(f"{address}/monitoring/prometheus/metrics").read().decode()
    lines = text.splitlines()
    for line in (
        ':tensorflow:serving:request_count{model_name="books",status="OK"} 3.0',
        ':tensorflow:serving:request_count{model_name="books",status="INVALID_ARGUMENT"} 1.0',
        ':tensorflow:serving:request_count{model_name="",status="NOT_FOUND"} 1.0',
        ':tensorflow:serving:request_latency_count{API="Predict",entrypoint="GRPC",model_name="books"} 3.0',
        ':tensorflow:serving:runtime_latency_count{API="Predict",model_name="books",runtime="TF1"} 2.0',
        ':tensorflow:serving:runtime_latency_count{API="Regress",model_name="books",runtime="TF1"} 1.0',
        'ctrl:serving:loaded_version{model_name="books",version="1"} 1.0',
        "ctrl:serving:waiting_requests 0.0",
    ):
        assert line in lines, text


def test_many_strings_are_read_as_few_are(stub):
    # Hundreds are not made Python objects; the answers and the refusals are the same.
    rows = [raw_example.encode({"age": [float(i % 90)], "topics": [b"sea"]}) for i in range(400)]
    logits = tf.make_ndarray(stub.Predict(served_model.request(rows)).outputs["logit"])
    np.testing.assert_allclose(logits, [0.1 * (i % 90) + 0.1 for i in range(400)], atol=1e-5)
    # Bytes of content beside strings are passed over, few or many.
    for count in (3, 400):
        request = served_model.request(rows[:count])
        request.inputs["examples"].tensor_content = b"rubbish"
        np.testing.assert_allclose(tf.make_ndarray(stub.Predict(request).outputs["logit"]), logits[:count], atol=1e-5)
    rows[270] = b"\xff\xfe"
    for request, words in [
            (served_model.request(rows), "input 'examples', row 270: is no serialized tf.train.Example"),
            (served_model.request([rows[:270]]), "input 'examples' has the shape [1, 270]; the signature wants [any]")]:
        with pytest.raises(grpc.RpcError) as caught:
            stub.Predict(request)
        assert caught.value.code() == grpc.StatusCode.INVALID_ARGUMENT and words in caught.value.details()


def test_the_best_of_many_items(stub):
    request = predict_pb2.PredictRequest()
    request.model_spec.name, request.model_spec.signature_name = "books", "rank_top_k"
    topics = [[b"a", b"b"] if i in (7, 411) else [b"a", b""] for i in range(500)]
    for name, value in {"k": np.int32(3), "reader": [b"ann"], "age": np.array([20], np.float32), "lately": [[b"b1"]],
                        "book": [b"" if i == 411 else b"b%d" % i for i in range(500)], "topics": topics}.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    answer = stub.Predict(request)
    # Two topics beat one; a book without a name is last.
    assert tf.make_ndarray(answer.outputs["index"]).tolist() == [7, 0, 1]
    np.testing.assert_allclose(tf.make_ndarray(answer.outputs["logit"]), [2.3, 2.2, 2.2], atol=1e-5)
    del request.inputs["topics"].string_val[-1]
    with pytest.raises(grpc.RpcError) as caught:
        stub.Predict(request)
    assert "input 'topics' has the shape [500, 2], but 999 values" in caught.value.details()

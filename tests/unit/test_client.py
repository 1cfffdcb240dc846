"""The client: messages, errors, and a real server at the other end."""

import json
import socket
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from models.spec.errors import UserError
from serving import wire
from serving.client import PredictClient
from serving.file_requests import predict_file, rank_file
from serving.model_config import ModelConfig
from serving.predict_calls import retries
from serving.render import render
from serving.request_tensors import numbers
from serving.rows import to_example
from serving.server import ModelServer
from serving.server_options import ServerOptions
from tests.unit import served_model
from tests.unit.stub_server import StubServer

SPEC = served_model.SPEC


@pytest.fixture(scope="module")
def target(tmp_path_factory):
    folder = tmp_path_factory.mktemp("books")
    served_model.export(folder / "1", 0.0)
    model = ModelConfig("books", str(folder), labels={"stable": 1})
    server = ModelServer([model], ServerOptions(port=0))
    yield f"127.0.0.1:{server.start()}"
    server.stop(grace=1.0)


@pytest.fixture
def client(target):
    with PredictClient(target, "books") as client:
        yield client


def _sigmoid(x):
    return 1 / (1 + np.exp(-np.array(x)))


@pytest.mark.parametrize("choice", ["version", "version_label", None])
def test_messages_are_tf_servings(choice):
    examples = [b"\x00a", b""]
    ours, theirs = wire.PredictRequest(), predict_pb2.PredictRequest()
    for request in (ours, theirs):
        request.model_spec.name = "books"
        request.model_spec.signature_name = "rank"
        if choice == "version":
            request.model_spec.version.value = 3
        elif choice == "version_label":
            request.model_spec.version_label = "canary"
        request.output_filter.append("probability")
        tensor = request.inputs["examples"]
        tensor.dtype = wire.DT_STRING
        tensor.tensor_shape.dim.add(size=2)
        tensor.string_val.extend(examples)
    assert ours.SerializeToString() == theirs.SerializeToString()

    answer = predict_pb2.PredictResponse()
    answer.model_spec.version.value = 3
    answer.outputs["a"].CopyFrom(tf.make_tensor_proto([0.25, 0.5]))
    answer.outputs["b"].dtype = wire.DT_FLOAT
    answer.outputs["b"].float_val.extend([1.5])
    read = wire.PredictResponse.FromString(answer.SerializeToString())
    assert np.frombuffer(read.outputs["a"].tensor_content, "<f4").tolist() == [0.25, 0.5]
    assert (read.outputs["a"].dtype, read.outputs["a"].tensor_shape.dim[0].size) == (wire.DT_FLOAT, 2)
    assert (list(read.outputs["b"].float_val), read.model_spec.version.value) == ([1.5], 3)


@pytest.mark.parametrize("values", [[0.25, 0.5], [0.5, 0.5, 0.5], [3, 4]])
def test_numbers_are_read_as_tensorflow_writes_them(values):
    whole = tf.make_tensor_proto(values)
    fields = tf.compat.v1.make_tensor_proto(values)
    fields.ClearField("tensor_content")
    # A last value that repeats may be left out.
    kept = values[:1] if len(set(values)) == 1 else values
    (fields.int_val if isinstance(values[0], int) else fields.float_val)[:] = kept
    for tensor in (whole, fields):
        read = wire.PredictResponse()
        answer = predict_pb2.PredictResponse()
        answer.outputs["a"].CopyFrom(tensor)
        read.ParseFromString(answer.SerializeToString())
        assert numbers(read.outputs["a"]).tolist() == values
    assert numbers(wire.PredictResponse().outputs["none"]) is None


def test_predicts_in_batches(target):
    examples = [to_example(SPEC, {"age": age}) for age in range(7)]
    with PredictClient(target, "books", batch_size=3) as client:
        got = client.predict(examples)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, _sigmoid([0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]), atol=1e-6)
        assert client.predict([]).shape == (0,)


def test_a_column_that_no_row_has_is_told(client, tmp_path, caplog):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"age": 10, "topics": null}\n{"reader_id": 7, "book": "b1"}\n', encoding="utf-8")
    assert len(predict_file(client, rows, SPEC)) == 2
    assert [r.getMessage() for r in caplog.records] == [
        f"{rows}: no row has lately, which the model reads; scored as missing"]
    caplog.clear()
    rows.write_text('{"age": 1, "topics": "", "reader_id": 7, "book": "b1", "lately": null}\n', encoding="utf-8")
    predict_file(client, rows, SPEC)
    assert not caplog.records


def test_rows_of_another_specification_are_told_of_by_their_types(client, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text('{"age": "old", "reader_id": 7, "topics": "", "book": "", "lately": ""}\n', encoding="utf-8")
    features = tuple(f.model_copy(update={"kind": "categorical"}) if f.name == "age" else f for f in SPEC.features)
    other = SPEC.model_copy(update={"features": features})
    with pytest.raises(UserError, match="feature 'age'.*; the model was trained with another dataset specification"):
        predict_file(client, rows, other)
    with pytest.raises(UserError) as caught:
        client.predict([b"\xff"])
    assert "specification" not in str(caught.value)


def test_predicts_a_file(client, tmp_path):
    lines = tmp_path / "rows.jsonl"
    lines.write_text('{"age": 10}\n{"topics": ["sea", "war"], "lately": "b1"}\n', encoding="utf-8")
    rows = predict_file(client, lines, SPEC)
    assert [row for row, _ in rows] == [{"age": 10}, {"topics": ["sea", "war"], "lately": "b1"}]
    np.testing.assert_allclose([p for _, p in rows], _sigmoid([1.0, 0.3]), atol=1e-6)


def test_ranks_a_users_items(client, tmp_path):
    user = {"reader_id": "7", "age": "3", "lately": "b1|b2"}
    items = [{"book": "b1"}, {"book": "b2", "topics": ["sea", "war"]}, {}, {"book": "b4", "topics": "sea", "age": 99}]
    best = client.rank(SPEC, user, items, k=2)
    assert [index for index, _ in best] == [1, 3]
    # 0.1 for each year, book read and topic; an item's row says nothing of the user.
    np.testing.assert_allclose([p for _, p in best], _sigmoid([0.7, 0.6]), atol=1e-6)
    assert [index for index, _ in client.rank(SPEC, user, items)] == [1, 3, 0, 2]
    assert [index for index, _ in client.rank(SPEC, {}, items[:2], k=9)] == [1, 0]
    lines = tmp_path / "items.jsonl"
    lines.write_text("".join(json.dumps(item) + "\n" for item in items), encoding="utf-8")
    ((row, probability),) = rank_file(client, user, lines, SPEC, k=1)
    assert row == items[1] and probability == pytest.approx(_sigmoid(0.7))
    assert rank_file(client, user, lines, SPEC)[1][0] == {"book": "b4", "topics": "sea"}


def test_columns_that_user_and_items_lack_are_told(client, tmp_path, caplog):
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"book": "b1", "age": 3}\n{"book": "b2"}\n', encoding="utf-8")
    rank_file(client, {"age": "3", "lately": ""}, lines, SPEC)
    rank_file(client, {}, lines, SPEC)
    items = f"{lines}: no row has topics, which the model reads; scored as missing"
    assert [r.getMessage() for r in caplog.records] == [
        "the user has no reader_id, which the model reads; scored as missing", items,
        "the user has no reader_id, age, lately, which the model reads; scored as missing", items]
    caplog.clear()
    lines.write_text('{"book": "b1"}\n{"topics": "sea"}\n', encoding="utf-8")
    rank_file(client, {"reader_id": "7", "age": "3", "lately": ""}, lines, SPEC)
    assert not caplog.records


@pytest.mark.parametrize("column", ["user", "clicked", "book", "reader"])
def test_a_user_s_column_that_is_not_read_is_told(client, tmp_path, column):
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"book": "b1"}\n', encoding="utf-8")
    with pytest.raises(UserError, match=f"the user: unknown column '{column}'; the model of the dataset books reads of "
                                        "the user and the context: reader_id, age, lately$"):
        rank_file(client, {"age": "3", column: "7"}, lines, SPEC)


def test_a_wrong_ranking_is_told(client, tmp_path):
    lines = tmp_path / "items.jsonl"
    lines.write_text('{"book": "b1"}\n{"book": ["b1", "b2"]}\n', encoding="utf-8")
    with pytest.raises(UserError, match="items.jsonl, line 2: column 'book' holds 2 values"):
        rank_file(client, {}, lines, SPEC)
    for user, items, k, words in (
            ({"age": "old"}, [{"book": "b1"}], 1, "the user: column 'age' is 'old'"),
            ({"reader": "7"}, [{"book": "b1"}], 1, "the user: unknown column 'reader'"),
            ({}, [{"book": "b1"}, {"cover": "red"}], 1, "item 1: has none of the columns"),
            ({}, [], 1, "no item"),
            ({}, [{"book": "b1"}], 0, "k is 0; it must be 1 or more")):
        with pytest.raises(UserError, match=words):
            client.rank(SPEC, user, items, k)
    of_users = SPEC.model_copy(update={"features": tuple(f for f in SPEC.features if f.side == "user")})
    with pytest.raises(UserError, match="reads no feature of the item"):
        client.rank(of_users, {}, [{}])


def test_the_servers_reason_is_told(target):
    with (
        PredictClient(target, "films") as client,
        pytest.raises(UserError, match="NOT_FOUND.*'films'.*'books'"),
    ):
        client.predict([b""])
    with PredictClient(target, "books") as client, pytest.raises(UserError, match="INVALID_ARGUMENT.*row 1"):
        client.predict([b"", b"\xff"])


def _free_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def test_nothing_listens():
    target = f"127.0.0.1:{_free_port()}"
    with PredictClient(target, "books", timeout=1.0) as client, pytest.raises(UserError) as caught:
        client.predict([b""])
    assert target in str(caught.value)
    assert "ctrl serve" in str(caught.value)


def test_a_proxy_is_not_asked_for_this_machine(target, monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with PredictClient(target, "books") as client:
        assert client.predict([b""]).tolist() == [0.5]


def test_unavailable_is_tried_again():
    with StubServer(unavailable=3) as server, PredictClient(server.target, "books", timeout=2.0) as client:
        assert client.predict([b"abc"]).tolist() == [3.0]
        assert len(server.requests) == 4


@pytest.mark.parametrize("size", [300 << 10, 3 << 20])
def test_a_large_request_is_tried_again_too(size):
    with StubServer(unavailable=1) as server, PredictClient(server.target, "books") as client:
        assert client.predict([b"x" * size]).tolist() == [size]
        assert len(server.requests) == 2


def test_unavailable_for_good_is_told_after_five_tries():
    with StubServer(unavailable=99) as server, PredictClient(server.target, "books", timeout=1.0) as client:
        with pytest.raises(UserError, match="restarting"):
            client.predict([b""])
        assert len(server.requests) == 5


@pytest.mark.parametrize(("timeout", "waits"), [
    (10.0, [0.078125, 0.3125, 1.25, 5.0]), (300.0, [0.25, 1.0, 4.0, 16.0]), (0.01, [0.001, 0.004, 0.016, 0.064])])
def test_tries_are_spread_over_the_timeout(timeout, waits):
    """A server that takes some seconds to restart is waited for; a long timeout does not put off the error."""
    policy = retries(timeout)["methodConfig"][0]["retryPolicy"]
    first, last = (float(policy[key].removesuffix("s")) for key in ("initialBackoff", "maxBackoff"))
    assert [first * policy["backoffMultiplier"] ** i for i in range(policy["maxAttempts"] - 1)] == pytest.approx(waits)
    assert last == pytest.approx(waits[-1])


def test_a_slow_connection_is_not_given_up():
    """A distant server, or a busy one, may take longer than a tenth of a second for it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        with PredictClient(f"127.0.0.1:{listener.getsockname()[1]}", "books", timeout=1.0) as client:
            with pytest.raises(UserError, match="did not answer within 1 s"):
                client.predict([b""])
            listener.setblocking(False)
            with listener.accept()[0], pytest.raises(BlockingIOError):
                listener.accept()


def test_a_late_answer_and_a_wrong_one_are_told():
    with StubServer(delay=1.0) as server, PredictClient(server.target, "books", timeout=0.2) as client:
        with pytest.raises(UserError, match="within 0.2 s"):
            client.predict([b""])
    with StubServer(values=[0.25]) as server, PredictClient(server.target, "books") as client:
        with pytest.raises(UserError, match="1 values as probability where 2 values"):
            client.predict([b"", b""])


def test_asks_for_a_version_or_a_label(target):
    with StubServer() as server:
        for options in ({}, {"version": 0}, {"version_label": "canary"}):
            with PredictClient(server.target, "books", **options) as client:
                client.predict([b""])
                client.rank(SPEC, {"age": 3}, [{"book": "b1"}])
        specs = [request.model_spec for request in server.requests]
    assert [(s.HasField("version"), s.version.value, s.version_label) for s in specs] == 2 * [
        (False, 0, "")] + 2 * [(True, 0, "")] + 2 * [(False, 0, "canary")]
    for options in ({"version": 1}, {"version_label": "stable"}):
        with PredictClient(target, "books", **options) as client:
            assert client.predict([b""]).tolist() == [0.5]
    for options, words in (({"version": 7}, "version 7"), ({"version_label": "canary"}, "canary")):
        with PredictClient(target, "books", **options) as client, pytest.raises(UserError, match=words):
            client.predict([b""])


def test_a_version_that_can_be_none_is_told():
    with pytest.raises(UserError, match="version 3 and label 'stable': a call asks for one of the two"):
        PredictClient("127.0.0.1:1", version=3, version_label="stable")
    for version in (-1, 1 << 63):
        with pytest.raises(UserError, match=f"version {version}: must be a whole number of 0 or more"):
            PredictClient("127.0.0.1:1", version=version)


def test_renders_tables_json_and_csv():
    rows = [
        ({"id": "1", "when": 978300760.0, "title": "a" * 40}, 0.5),
        ({"id": "20", "topics": ["x", "y"]}, 0.125),
    ]
    assert render(rows, "csv").splitlines() == [
        "id,when,title,topics,probability",
        f"1,978300760.0,{'a' * 40},,0.500000",
        "20,,,x|y,0.125000",
    ]
    assert json.loads(render(rows, "json"))[1] == {"id": "20", "topics": ["x", "y"], "probability": 0.125}
    table = render(rows, "table").splitlines()
    assert table[0].split() == ["probability", "id", "when", "title", "topics"]
    assert table[1].startswith("0.500000     1   978300760.0  ") and table[1].endswith("a" * 31 + "…")
    assert table[2].startswith("0.125000     20  ") and table[2].index("x|y") == table[0].index("topics")
    with pytest.raises(UserError, match="'xml'"):
        render(rows, "xml")


@pytest.mark.parametrize("modules", [
    "serving.client, serving.file_requests, serving.render", "serving.async_client", "serving.client_tls"])
def test_starts_without_tensorflow(modules):
    heavy = {"tensorflow", "tfx", "keras"}
    code = f"import sys, {modules}; print(sorted({heavy!r} & set(sys.modules)))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")

"""The warm-up requests of an exported model: real rows, every signature, and each can be answered."""

import os

import keras
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models import raw_example
from models.ctr_model import CTRModel
from models.preprocessing import fields
from models.spec.dataset_spec import DatasetSpec
from pipeline.run_fns import warmup_rows
from serving.export import export_ctr_model
from serving.warmup_requests import WARMUP_FILE, warmup_requests
from tests.executor_case import write_examples
from tests.unit.exported_books import ROWS, SPEC, transform_output

# As the pipeline's rows are: with a label and sentences.
LOG = [{**row, "label": [i % 2], "cover": [b"red"], "item_sentence": [b"a book."]} for i, row in enumerate(ROWS)]


@pytest.fixture(scope="module")
def export_dir(tmp_path_factory):
    keras.utils.set_random_seed(7)
    tft_output = transform_output(str(tmp_path_factory.mktemp("transform")))
    model = CTRModel(fields(SPEC, tft_output), embedding_dim=4)
    folder = str(tmp_path_factory.mktemp("export") / "1")
    export_ctr_model(model, tft_output, SPEC, folder, warmup_rows=LOG, model_name="shop")
    return folder


@pytest.fixture(scope="module")
def logs(export_dir):
    # Read without a compression, as TensorFlow Serving reads it.
    records = tf.data.TFRecordDataset(os.path.join(export_dir, WARMUP_FILE)).as_numpy_iterator()
    return [prediction_log_pb2.PredictionLog.FromString(record) for record in records]


def request_of(log):
    return getattr(log, log.WhichOneof("log_type")).request


def inputs_of(log) -> dict[str, np.ndarray]:
    """A request's tensors, as TensorFlow Serving hands them to the graph."""
    request = request_of(log)
    if log.WhichOneof("log_type") == "predict_log":
        return {name: tf.make_ndarray(tensor) for name, tensor in request.inputs.items()}
    return {"inputs": np.array([e.SerializeToString() for e in request.input.example_list.examples], object)}


def test_every_signature_answers_its_requests(export_dir, logs):
    loaded = tf.saved_model.load(export_dir)
    sizes = {}
    for log in logs:
        name = request_of(log).model_spec.signature_name
        answer = loaded.signatures[name](**{key: tf.constant(value) for key, value in inputs_of(log).items()})
        for key, values in answer.items():
            if values.dtype.is_floating:
                assert np.isfinite(values).all(), (name, key)
        sizes.setdefault(name, []).append(len(next(iter(answer.values()))))
    assert sizes == {
        **dict.fromkeys(("serving_default", "classify", "regress", "predict_columns"), [1, 100]),
        "rank": [1, 100, 500], "rank_top_k": [1, 10, 10]}
    assert set(sizes) == set(loaded.signatures)


def test_each_is_of_its_signatures_kind_and_for_any_version_of_the_model(logs):
    for log in logs:
        model_spec = request_of(log).model_spec
        own = {"classify": "classify_log", "regress": "regress_log"}
        assert log.WhichOneof("log_type") == own.get(model_spec.signature_name, "predict_log")
        assert model_spec.name == "shop" and model_spec.WhichOneof("version_choice") is None


def test_they_hold_the_logs_rows_without_labels_and_texts(logs):
    by_name = {(request_of(log).model_spec.signature_name, len(next(iter(inputs_of(log).values())))): inputs_of(log)
               for log in logs[:8]}
    expected = [{k: v for k, v in row.items() if k in ("reader", "age", "lately", "book", "topics")} for row in ROWS]
    for name, key in (("serving_default", "examples"), ("classify", "inputs"), ("regress", "inputs")):
        found = [raw_example.decode(example) for example in by_name[name, 100][key]]
        assert found[:4] == expected and found[4:8] == expected
    columns = by_name["predict_columns", 100]
    assert set(columns) == {"reader", "age", "lately", "book", "topics"}
    assert columns["reader"][:5].tolist() == [b"ann", b"bob", b"cid", b"ann", b"ann"]
    np.testing.assert_array_equal(columns["age"][:4], np.float32([31, 54, np.nan, 12]))
    assert columns["topics"][1].tolist() == [b"sea", b"", b""]


def test_all_items_are_ranked_for_the_user_of_whom_most_is_known(logs):
    rank, top = (inputs_of(log) for log in logs[-2:])
    assert rank["book"][:5].tolist() == [b"b3", b"b1", b"b2", b"b2", b"b3"] and len(rank["book"]) == 500
    assert rank["reader"].tolist() == [b"ann"] and rank["age"].tolist() == [12]
    assert rank["lately"].tolist() == [[b"b3", b"b2", b"b1", b"b3", b"b9"]]
    assert top.pop("k") == 10 and top["topics"].shape == (500, 3)
    assert set(top) == set(rank)


def test_a_model_without_features_of_the_item_ranks_nothing():
    spec = DatasetSpec.parse("""
name: visits
source: {format: csv, path: visits.csv}
label: {column: clicked}
features: [{name: city, side: user, kind: categorical}]
""", where="visits.yaml")
    names = [request_of(log).model_spec.signature_name for log in warmup_requests(spec, [{"city": [b"ulm"]}])]
    assert names == ["serving_default", "classify", "regress", "predict_columns"] * 2


def test_no_rows_are_refused(tmp_path):
    with pytest.raises(ValueError, match="at least one row"):
        next(warmup_requests(SPEC, []))


def test_the_first_rows_of_the_training_split_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(warmup_rows, "MAX_ROWS", 3)
    written = write_examples(tmp_path, {"train": LOG, "test": [{"book": [b"b9"]}]})
    found = warmup_rows.of_raw_examples(written.uri)
    assert [row["book"] for row in found] == [[b"b3"], [b"b1"], [b"b2"]]
    assert found == warmup_rows.of_raw_examples(written.uri)

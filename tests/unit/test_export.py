"""The exported model: the same numbers as Keras, and nothing but the ID model."""

import json
import os

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_text

from models import backbones, raw_example
from models.ctr_model import CTRModel
from models.embedding_rows import rows_of, with_more_rows
from models.preprocessing import fields
from models.served_transform import ServedTransform
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.export import assert_pure_id, export_ctr_model, restore_weights
from tests.unit.exported_books import ROWS, SPEC, UNSEEN, examples, transform_output


@pytest.fixture(scope="module")
def tft_output(tmp_path_factory):
    return transform_output(str(tmp_path_factory.mktemp("transform")))


@pytest.fixture(scope="module")
def model(tft_output):
    keras.utils.set_random_seed(7)
    return CTRModel(fields(SPEC, tft_output), embedding_dim=4)


@pytest.fixture(scope="module")
def export_dir(tft_output, model, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("export") / "1")
    export_ctr_model(model, tft_output, SPEC, folder)
    return folder


def test_same_probability_as_keras_on_the_full_transform_graph(tft_output, model, export_dir):
    rows = ROWS + UNSEEN
    signature = tf.saved_model.load(export_dir).signatures["serving_default"]
    answer = signature(examples=examples(rows))
    full = {
        **raw_example.feature_spec(SPEC), "label": tf.io.VarLenFeature(tf.int64),
        **{f"{side}_sentence": tf.io.VarLenFeature(tf.string) for side in SPEC.text_sides},
    }
    transformed = tft_output.transform_features_layer()(tf.io.parse_example(examples(rows), full))
    assert "row_sentence" in transformed
    logits = np.asarray(model(transformed, training=False))
    np.testing.assert_allclose(answer["logit"], logits, atol=1e-5)
    np.testing.assert_allclose(answer["probability"], 1 / (1 + np.exp(-logits)), atol=1e-5)
    assert len(set(np.round(logits, 6))) > 4, "the rows must differ for the comparison to mean something"


@pytest.mark.parametrize("name", backbones.names())
def test_every_backbone_is_served_as_it_was_trained(name, tft_output, tmp_path):
    keras.utils.set_random_seed(3)
    model = CTRModel(
        fields(SPEC, tft_output), backbone=name, embedding_dim=4, history_pooling="din",
        backbone_options={"hidden_units": [8]})
    export_ctr_model(model, tft_output, SPEC, str(tmp_path / "1"))
    served = tf.saved_model.load(str(tmp_path / "1")).signatures["serving_default"]
    transform = ServedTransform(SPEC, tft_output)
    transformed = tf.function(
        lambda rows: transform(tf.io.parse_example(rows, raw_example.feature_spec(SPEC))))(examples(ROWS + UNSEEN))
    answer = served(examples=examples(ROWS + UNSEEN))
    probability = answer["probability"]
    # One of the rows has an absurd price.
    assert np.abs(answer["logit"]).max() < 100
    np.testing.assert_allclose(probability, tf.sigmoid(model(transformed)), atol=1e-5)


def test_a_row_scores_alike_alone_and_in_a_batch(export_dir):
    signature = tf.saved_model.load(export_dir).signatures["serving_default"]
    rows = ROWS + UNSEEN
    together = signature(examples=examples(rows))["probability"].numpy()
    alone = [signature(examples=examples([row]))["probability"].numpy()[0] for row in rows]
    np.testing.assert_allclose(alone, together, atol=1e-6)
    assert signature(examples=tf.constant([], tf.string))["probability"].shape == (0,)


def test_signature_is_the_contract(export_dir):
    signature = tf.saved_model.load(export_dir).signatures["serving_default"]
    (inputs,) = signature.structured_input_signature[1].values()
    assert (inputs.name, inputs.dtype, inputs.shape.as_list()) == ("examples", tf.string, [None])
    assert {k: v.dtype for k, v in signature.structured_outputs.items()} == {
        "probability": tf.float32,
        "logit": tf.float32,
    }


def test_holds_the_students_weights_only(export_dir, model):
    assert_pure_id(export_dir, model)
    other = CTRModel(model.fields, embedding_dim=8)
    with pytest.raises(ValueError, match="shapes"):
        assert_pure_id(export_dir, other)


def test_specification_lies_beside_the_model_without_the_logs_place(export_dir):
    with open(os.path.join(export_dir, "assets.extra", "dataset.json"), encoding="utf-8") as stream:
        text = stream.read()
    assert "private" not in text
    assert json.loads(text)["source"]["path"] == "books.csv"
    assert DatasetSpec.from_json(text).features == SPEC.features


def test_without_rows_there_is_nothing_to_warm_up_with(export_dir):
    assert os.listdir(os.path.join(export_dir, "assets.extra")) == ["dataset.json"]


# New and known values, in the features themselves, in a history and in a set.
COLD = [
    {"reader": [b"ann"], "age": [31.0], "lately": [b"new", b"b1"], "book": [b"new"], "topics": [b"sea"]},
    {"reader": [b"eve"], "age": [31.0], "lately": [b"b3", b"b2", b"x", b"n\xc3\xa4w"], "book": [b"n\xc3\xa4w"]},
    {"reader": [b"ann"], "age": [31.0], "lately": [b"b3", b"b2"], "book": [b"b2"], "topics": [b"?", b"fog", b"fog"]},
]


@pytest.mark.parametrize("name", ["autoint", "deepfm"])
def test_a_catalogue_gives_new_values_rows_of_their_own(name, tft_output, tmp_path):
    keras.utils.set_random_seed(3)
    model = CTRModel(
        fields(SPEC, tft_output), backbone=name, embedding_dim=4, backbone_options={"hidden_units": [8]})
    random = np.random.default_rng(0)
    width = rows_of(model, "book").shape[1]
    new = {table: random.normal(size=(n, width)) for table, n in (("book", 3), ("reader", 1), ("topics", 1))}
    catalogue = {
        # A value of the log may be given another row.
        "book": dict(zip(("new", "näw", "b2"), new["book"])),
        "reader": {"eve": new["reader"][0]}, "topics": {"fog": new["topics"][0]}}
    plain, cold = str(tmp_path / "plain"), str(tmp_path / "cold")
    export_ctr_model(model, tft_output, SPEC, plain)
    export_ctr_model(model, tft_output, SPEC, cold, catalogue)
    larger = with_more_rows(model, new)
    assert_pure_id(cold, larger)
    rows = [*ROWS, *UNSEEN, *COLD]

    def scores(folder):
        return tf.saved_model.load(folder).signatures["serving_default"](examples=examples(rows))["logit"].numpy()

    transform = ServedTransform(SPEC, tft_output)
    ids = {k: v.numpy() for k, v in tf.function(
        lambda x: transform(tf.io.parse_example(x, raw_example.feature_spec(SPEC))))(examples(rows)).items()}
    np.testing.assert_allclose(scores(plain), model(ids), atol=1e-5)
    # By hand: new ids stand behind the vocabulary in the order of the catalogue; of a history the newest three count.
    first = {f.name: f.num_ids for f in model.fields}
    new_id, umlaut_id, b2_id = range(first["book"], first["book"] + 3)
    ids["book"][[2, 3, 8, 9, 10]] = [b2_id, b2_id, new_id, umlaut_id, b2_id]
    ids["lately"][[0, 8, 9, 9, 10], [1, 0, 0, 2, 1]] = [b2_id, new_id, b2_id, umlaut_id, b2_id]
    ids["reader"][9] = first["reader"]
    ids["topics"][10, 1] = first["topics"]
    answer = scores(cold)
    np.testing.assert_allclose(answer, larger(ids), atol=1e-5)
    unchanged = [4, 5, 6, 7]
    np.testing.assert_allclose(answer[unchanged], scores(plain)[unchanged], atol=1e-6)
    assert np.abs(answer - scores(plain))[8:].min() > 1e-3


def test_without_entries_the_catalogue_changes_nothing(tft_output, model, export_dir, tmp_path):
    export_ctr_model(model, tft_output, SPEC, str(tmp_path / "1"), {"book": {}})
    graphs = []
    for folder in (export_dir, str(tmp_path / "1")):
        assert_pure_id(folder, model)
        graphs.append(tf.saved_model.load(folder).signatures["serving_default"](examples=examples(ROWS))["logit"])
    np.testing.assert_allclose(graphs[0], graphs[1], atol=1e-6)


def test_a_wrong_catalogue_is_refused(tft_output, model, tmp_path):
    row = np.zeros(4)
    for catalogue, message in (
        ({"lately": {"b9": row}}, "'lately' is no categorical"),
        ({"age": {"9": row}}, "'age' is no categorical"),
        ({"book": {"": row}}, "no value"),
        ({"book": {"b\n9": row}}, "line break"),
        ({"book": {"b9": row, "b10": row[:3]}}, "differ"),
        ({"book": {"b9": row[:3]}}, r"\[rows, 4\]"),
    ):
        with pytest.raises(UserError, match=message):
            export_ctr_model(model, tft_output, SPEC, str(tmp_path / "1"), catalogue)


def test_weights_can_be_read_back(model, export_dir):
    other = CTRModel(model.fields, embedding_dim=4)
    restore_weights(other, export_dir)
    for a, b in zip(model.weights, other.weights):
        np.testing.assert_array_equal(a, b)
    with pytest.raises(ValueError, match="shapes"):
        restore_weights(CTRModel(model.fields, embedding_dim=8), export_dir)


def test_a_text_operation_anywhere_is_refused(tmp_path):
    module = tf.Module()

    @tf.function
    def tokenize(text):
        return tensorflow_text.WhitespaceTokenizer().tokenize(text).to_tensor()

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def score(examples):
        return {"words": tokenize(examples)}

    module.score = score
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": score})
    with pytest.raises(ValueError, match="WhitespaceTokenize"):
        assert_pure_id(str(tmp_path / "m"))


def test_a_variable_that_is_not_the_students_is_refused(tmp_path):
    module = tf.Module()
    module.bert = tf.Variable([1.0])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32)])
    def score(x):
        return {"y": x * module.bert}

    module.score = score
    tf.saved_model.save(module, str(tmp_path / "m"), signatures={"serving_default": score})
    with pytest.raises(ValueError, match="bert"):
        assert_pure_id(str(tmp_path / "m"))

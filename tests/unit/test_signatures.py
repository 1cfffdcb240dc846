"""Every signature of the exported model is a contract: names, types, shapes, and one answer to one row."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.ctr_model import CTRModel
from models.embedding_rows import rows_of
from models.preprocessing import fields
from serving.export import export_ctr_model
from tests.unit.exported_books import ROWS, SPEC, UNSEEN, examples, transform_output

_COLUMNS = {"reader": (tf.string, [None]), "age": (tf.float32, [None]), "lately": (tf.string, [None, None]),
            "book": (tf.string, [None]), "topics": (tf.string, [None, None])}
_RANKED = {**_COLUMNS, "reader": (tf.string, [1]), "age": (tf.float32, [1]), "lately": (tf.string, [1, None])}
_SCORES = {"probability": (tf.float32, [None]), "logit": (tf.float32, [None])}
_CONTRACT = {
    "serving_default": ({"examples": (tf.string, [None])}, _SCORES),
    "classify": ({"inputs": (tf.string, [None])},
                 {"classes": (tf.string, [None, 2]), "scores": (tf.float32, [None, 2])}),
    "regress": ({"inputs": (tf.string, [None])}, {"outputs": (tf.float32, [None])}),
    "predict_columns": (_COLUMNS, _SCORES),
    "rank": (_RANKED, _SCORES),
    "rank_top_k": ({**_RANKED, "k": (tf.int32, [])}, {**_SCORES, "index": (tf.int32, [None])}),
}


@pytest.fixture(scope="module")
def tft_output(tmp_path_factory):
    return transform_output(str(tmp_path_factory.mktemp("transform")))


@pytest.fixture(scope="module")
def export_dir(tft_output, tmp_path_factory):
    return _export(tft_output, tmp_path_factory.mktemp("export") / "1", "autoint", "mean")


@pytest.fixture(scope="module")
def signatures(export_dir):
    loaded = tf.saved_model.load(export_dir)
    # Kept alive: the signatures hold its tables weakly.
    yield loaded.signatures


def _export(tft_output, folder, backbone, pooling, catalogue=()):
    keras.utils.set_random_seed(7)
    model = CTRModel(fields(SPEC, tft_output), backbone=backbone, embedding_dim=4, history_pooling=pooling,
                     backbone_options={"hidden_units": [8]})
    # A backbone with a linear part has its weight in the row too.
    row = np.full(rows_of(model, "book").shape[1], 0.5, np.float32)
    export_ctr_model(model, tft_output, SPEC, str(folder), {"book": dict.fromkeys(catalogue, row)})
    return str(folder)


def _strings(lists):
    """Lists of bytes as a matrix, filled up with empty strings."""
    width = max(map(len, lists))
    return tf.constant([values + [b""] * (width - len(values)) for values in lists], tf.string, [len(lists), width])


def _columns(rows):
    def first(name, missing):
        return [([row[name]] if isinstance(row.get(name), str) else row.get(name) or [missing])[0] for row in rows]

    return {
        "reader": tf.constant(first("reader", b"")), "age": tf.constant(first("age", float("nan")), tf.float32),
        "book": tf.constant(first("book", b"")),
        **{name: _strings([list(row.get(name) or ()) for row in rows]) for name in ("lately", "topics")}}


def test_names_types_and_shapes(export_dir):
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        found = tf.compat.v1.saved_model.load(session, ["serve"], export_dir).signature_def
    methods = {name: found[name].method_name.rpartition("/")[2] for name in _CONTRACT}
    assert methods == {name: name if name in ("classify", "regress") else "predict" for name in _CONTRACT}
    found = {name: tuple({key: (tf.dtypes.as_dtype(info.dtype), tf.TensorShape(info.tensor_shape).as_list())
                          for key, info in side.items()} for side in (signature.inputs, signature.outputs))
             for name, signature in found.items() if not name.startswith("__")}
    assert found == _CONTRACT


def test_columns_score_as_examples_do(signatures):
    # Empty in a column is missing; an Example says that by having no value.
    rows = [{k: [v for v in values if v != b""] if isinstance(values, list) else values for k, values in row.items()}
            for row in ROWS + UNSEEN]
    expected = signatures["serving_default"](examples=examples(rows))
    answer = signatures["predict_columns"](**_columns(ROWS + UNSEEN))
    np.testing.assert_allclose(answer["logit"], expected["logit"], atol=1e-6)
    np.testing.assert_allclose(answer["probability"], expected["probability"], atol=1e-6)
    assert len(np.unique(answer["logit"].numpy().round(6))) > 4


def test_holes_between_values_do_not_count(signatures):
    full = _columns(ROWS[:1])
    holes = {**full, "lately": tf.constant([[b"", b"b1", b"", b"b2", b""]])}
    np.testing.assert_array_equal(
        signatures["predict_columns"](**holes)["logit"], signatures["predict_columns"](**full)["logit"])


def test_classify_and_regress_say_the_same(signatures):
    probability = signatures["serving_default"](examples=examples(ROWS))["probability"].numpy()
    classified = signatures["classify"](inputs=examples(ROWS))
    np.testing.assert_allclose(classified["scores"], np.stack([1 - probability, probability], axis=1), atol=1e-6)
    assert classified["classes"].numpy().tolist() == [[b"0", b"1"]] * len(ROWS)
    np.testing.assert_allclose(signatures["regress"](inputs=examples(ROWS))["outputs"], probability, atol=1e-6)


# What is broadcast are vectors of fields, before any backbone: with and without a linear part beside them.
@pytest.mark.parametrize(("backbone", "pooling", "catalogue"), [
    ("autoint", "mean", ()), ("autoint", "din", ("b9",)), ("deepfm", "din_softmax", ("b9",))])
def test_a_user_s_items_rank_as_rows_of_their_own(tft_output, tmp_path, backbone, pooling, catalogue):
    loaded = tf.saved_model.load(_export(tft_output, tmp_path / "1", backbone, pooling, catalogue))
    items = [*({k: row[k] for k in ("book", "topics") if k in row} for row in (*ROWS, *UNSEEN)), {"book": [b"b9"]}]
    for user in (*ROWS[:2], {}):
        user = {k: user[k] for k in ("reader", "age", "lately") if k in user}
        rows = [{**user, **item} for item in items]
        expected = loaded.signatures["predict_columns"](**_columns(rows))["logit"].numpy()
        columns = {**_columns(rows), **{k: v for k, v in _columns([user]).items() if k in ("reader", "age", "lately")}}
        ranked = loaded.signatures["rank"](**columns)
        np.testing.assert_allclose(ranked["logit"], expected, atol=1e-5)
        np.testing.assert_allclose(ranked["probability"], tf.sigmoid(expected), atol=1e-5)
        best = loaded.signatures["rank_top_k"](**columns, k=tf.constant(3))
        np.testing.assert_allclose(best["logit"], np.sort(expected)[::-1][:3], atol=1e-5)
        np.testing.assert_allclose(expected[best["index"].numpy()], best["logit"], atol=1e-5)
        every = loaded.signatures["rank_top_k"](**columns, k=tf.constant(99))
        assert sorted(every["index"].numpy()) == list(range(len(items)))


def test_no_items_and_no_rows_are_no_error(signatures):
    none = {k: v[:0] for k, v in _columns(ROWS).items()}
    assert signatures["predict_columns"](**none)["logit"].shape == (0,)
    columns = {**none, **{k: v[:1] for k, v in _columns(ROWS).items() if k in ("reader", "age", "lately")}}
    assert signatures["rank"](**columns)["logit"].shape == (0,)
    assert signatures["rank_top_k"](**columns, k=tf.constant(5))["index"].shape == (0,)


def test_columns_of_different_lengths_are_refused_by_name(signatures):
    columns = _columns(ROWS)
    for name, signature in (("book", "predict_columns"), ("topics", "rank")):
        wrong = {**columns, name: columns[name][:1]}
        if signature == "rank":
            wrong |= {k: columns[k][:1] for k in ("reader", "age", "lately")}
        with pytest.raises(tf.errors.InvalidArgumentError, match=f"the column {name} has not as many rows as"):
            signatures[signature](**wrong)

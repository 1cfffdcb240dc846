"""Masked-feature modelling: what is hidden, how it is scored, and that it is learnt from the text."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.field import Field
from models.masked_feature_model import MaskedFeatureModel, recovery_scores
from models.spec.errors import UserError
from tests.unit.latent_clicks import LatentClicks

FIELDS = [
    Field("user", "categorical", 9, "user"), Field("film", "categorical", 6, "film"),
    Field("age", "numeric", 5, "age"), Field("seen", "history", 6, "film", max_length=3),
    Field("tags", "set", 4, "tags", max_length=2)]
ROWS = 12


def inputs():
    rng = np.random.default_rng(1)
    return {
        "user": rng.integers(1, 9, ROWS), "film": rng.integers(1, 6, ROWS), "age": rng.integers(1, 5, ROWS),
        "age_value": rng.normal(size=ROWS).astype("float32"), "seen": rng.integers(0, 6, (ROWS, 3)),
        "tags": rng.integers(0, 4, (ROWS, 2))}


def layer(share=0.5, **options):
    keras.utils.set_random_seed(2)
    small = {"hidden_units": [8], "dropout": 0.0}
    return MaskedFeatureModel(CTRModel(FIELDS, "deepfm", 4, small, **options), text_dim=3, share=share)


def test_scores_by_hand():
    queries, table = np.array([[1.0, 0.0], [2.0, 1.0]]), np.array([[0.0, 0.0], [3.0, 4.0], [5.0, 6.0]])
    own, others = recovery_scores(queries, table, np.array([1, 2]), np.array([2, 1, 2]))
    np.testing.assert_allclose(own, [3, 16])
    np.testing.assert_allclose(others, [[5, -1e9, 5], [-1e9, 10, -1e9]])


def test_loss_by_hand(monkeypatch):
    model = layer()
    table = np.array([[0, 0, 0, 0], [1, 0, 0, 0], [2, 0, 0, 0], [3, 0, 0, 0], [4, 0, 0, 0], [5, 0, 0, 0]])
    model.ctr_model.embedding.tables["film"].assign(table)
    # Two draws, whose films are 1 and 3.
    monkeypatch.setattr(keras.random, "randint", lambda *args, **options: np.array([0, 2]))
    rows = {**{name: x[:3] for name, x in inputs().items()}, "film": np.array([1, 2, 3])}
    queries = np.zeros((3, 3, 4), "float32")
    queries[:, 1, 0] = [1, 1, -1]
    # Hidden is the film, and only in the last two rows; of the last row's own id the draw does not count.
    chosen = np.array([[0, 0, 0], [0, 1, 0], [0, 1, 0]], "float32")
    loss, accuracy = model.loss(rows, queries, chosen)
    second = math.log(math.exp(2) + math.exp(1) + math.exp(3)) - 2
    third = math.log(math.exp(-3) + math.exp(-1)) + 3
    assert float(loss) == pytest.approx((second + third) / 2, rel=1e-5)
    assert float(accuracy) == 0


@pytest.mark.parametrize("pooling", ["mean", "din"])
def test_what_is_hidden_does_not_reach_the_queries(pooling):
    rows, text = inputs(), np.ones((ROWS, 3), "float32")
    model = layer(share=0.6, history_pooling=pooling)
    seed = np.asarray(model._mask_seeds.state)
    queries, chosen = (np.asarray(x) for x in model(rows, text))
    # 0.6 of three fields.
    np.testing.assert_array_equal(chosen.sum(axis=1), 2)
    assert (chosen.sum(axis=0) > 0).all()
    hidden = {name: chosen[:, i] == 1 for i, name in enumerate(("user", "film", "age"))}
    changed = {**rows, **{name: np.where(hidden[name], 1 + rows[name] % 4, rows[name]) for name in hidden}}
    changed["age_value"] = np.where(hidden["age"], 7, rows["age_value"]).astype("float32")
    model._mask_seeds.state.assign(seed)
    np.testing.assert_allclose(model(changed, text)[0], queries, atol=1e-6)
    # What is not hidden does, and so does the text.
    model._mask_seeds.state.assign(seed)
    shown = {**rows, "user": 1 + rows["user"] % 8}
    differs = np.abs(np.asarray(model(shown, text)[0]) - queries).max(axis=(1, 2)) > 1e-7
    np.testing.assert_array_equal(differs, ~hidden["user"])
    model._mask_seeds.state.assign(seed)
    assert (np.abs(np.asarray(model(rows, text + 1)[0]) - queries).max(axis=(1, 2)) > 1e-4).all()


def graph(model, rows):
    """The operations of a model's graph, in order."""
    signature = {name: tf.TensorSpec([None, *x.shape[1:]], tf.as_dtype(x.dtype)) for name, x in rows.items()}
    return [op.type for op in tf.function(lambda x: model(x)).get_concrete_function(signature).graph.get_operations()]


def test_ids_are_recovered_from_the_text_and_the_id_model_stays_as_it_is():
    keras.utils.set_random_seed(3)
    clicks = LatentClicks()
    rows, _ = clicks.rows(512, seed=4)
    ctr_model = clicks.ctr_model()
    plain, operations = [w.path for w in ctr_model.weights], graph(ctr_model, rows)
    model = AlignmentModel(ctr_model, clicks.tower(), num_subspaces=2, width=8, temperature=0.2,
                           masked_features=1.0)
    model.compile(optimizer=keras.optimizers.AdamW(0.05), jit_compile=False)
    history = model.fit(rows, batch_size=256, epochs=12, verbose=0).history
    # At first chance: 65 candidates, less those that are the same as the right one.
    assert 3.8 < history["masked_feature_loss"][0] < math.log(65)
    assert history["masked_feature_loss"][-1] < 2.5
    assert history["masked_feature_accuracy"][-1] > 0.4 > 0.2 > history["masked_feature_accuracy"][0]
    assert [w.path for w in ctr_model.weights] == plain
    assert ctr_model.count_params() == clicks.ctr_model().count_params()
    assert graph(ctr_model, rows) == operations


def test_in_chunks_it_is_the_same_step():
    moved = []
    for chunk_size in (0, 16):
        keras.utils.set_random_seed(5)
        clicks = LatentClicks()
        # All rows in one chunk, for each chunk hides fields of its own choice.
        rows, _ = clicks.rows(16, seed=6)
        model = AlignmentModel(clicks.ctr_model(), clicks.tower(), chunk_size=chunk_size, masked_features=0.5)
        # Without a graph, which takes longer to make than to run.
        model.compile(optimizer=keras.optimizers.SGD(0.1), run_eagerly=True)
        before = model.get_weights()
        metrics = {name: float(x) for name, x in model.train_on_batch(rows, return_dict=True).items()}
        moved.append((metrics, [y - x for x, y in zip(before, model.get_weights(), strict=True)]))
    assert moved[0][0] == pytest.approx(moved[1][0], rel=1e-5)
    assert "masked_feature_loss" in moved[0][0]
    for x, y in zip(moved[0][1], moved[1][1], strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


def test_nothing_to_hide_and_a_share_out_of_range_are_refused():
    lists = CTRModel(FIELDS[3:], "deepfm", 4, {"hidden_units": [8]})
    with pytest.raises(UserError, match="there is none among the model's; set alignment.masked_features to 0"):
        MaskedFeatureModel(lists, text_dim=3)
    with pytest.raises(UserError, match="share of masked fields is 1; it must be between 0 and 1"):
        layer(share=1)

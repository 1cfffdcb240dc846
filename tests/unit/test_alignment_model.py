"""Alignment: metrics against numpy, quiet training, and that it aligns."""

import math
import warnings

import keras
import numpy as np
import pytest

from models.alignment_model import AlignmentModel
from models.language_tower import LanguageTower
from tests.unit.latent_clicks import LatentClicks


@pytest.fixture
def clicks():
    keras.utils.set_random_seed(7)
    return LatentClicks()


def compiled(model, learning_rate=5e-3):
    model.compile(optimizer=keras.optimizers.AdamW(learning_rate), jit_compile=False)
    return model


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def test_alignment_lifts_retrieval_far_above_chance(clicks):
    train, _ = clicks.rows(2048, seed=1)
    held_out, _ = clicks.rows(128, seed=2)
    model = compiled(AlignmentModel(
        clicks.ctr_model(), clicks.tower(), num_subspaces=2, width=16, temperature=0.2))
    before = model.evaluate(held_out, batch_size=128, verbose=0, return_dict=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(train, batch_size=128, epochs=8, verbose=0).history
    after = model.evaluate(held_out, batch_size=128, verbose=0, return_dict=True)
    # Chance is 1 in 128.
    for direction in ("text_to_tabular_accuracy", "tabular_to_text_accuracy"):
        assert before[direction] < 0.1
        assert after[direction] > 0.5
    assert after["loss"] < 0.5 * before["loss"]
    assert after["alignment"] < before["alignment"]
    assert history["loss"][-1] < history["loss"][0]


def test_metrics_equal_numpy(clicks):
    inputs, _ = clicks.rows(40, seed=3)
    model = compiled(AlignmentModel(
        clicks.ctr_model(), clicks.tower(), num_subspaces=3, width=4, temperature=0.5))
    result = model.evaluate(inputs, batch_size=40, verbose=0, return_dict=True)
    text, tabular = (np.asarray(x) for x in model(inputs))
    products = np.einsum("imw,jnw->ijmn", text, tabular)
    forth, back = products.max(3).sum(2), products.max(2).sum(2).T
    key = inputs["user_text_index"] * 1000 + inputs["item_text_index"]
    duplicates = (key[:, None] == key[None, :]) & ~np.eye(40, dtype=bool)
    assert duplicates.any()
    losses = []
    for similarity, name in ((forth, "text_to_tabular_accuracy"), (back, "tabular_to_text_accuracy")):
        similarity = np.where(duplicates, -np.inf, similarity)
        losses.append(np.mean(np.log(np.exp(similarity / 0.5).sum(1)) - np.diag(similarity) / 0.5))
        assert result[name] == pytest.approx(np.mean(similarity.argmax(1) == np.arange(40)))
    assert result["loss"] == pytest.approx(np.mean(losses), rel=1e-4)
    own = products[np.arange(40), np.arange(40)]
    for winners, name in ((own.argmax(2), "text_to_tabular"), (own.argmax(1), "tabular_to_text")):
        shares = np.bincount(winners.reshape(-1), minlength=3) / winners.size
        entropy = -np.sum(shares * np.log(shares))
        assert result[f"{name}_subspace_usage"] == pytest.approx(entropy / np.log(3), rel=1e-4)
    text, tabular = unit(text.reshape(40, 12)), unit(tabular.reshape(40, 12))
    assert result["alignment"] == pytest.approx(np.mean(np.sum((text - tabular) ** 2, axis=1)), rel=1e-4)
    potentials = [
        np.exp(-2 * np.sum((x[:, None] - x[None]) ** 2, axis=-1))[~np.eye(40, dtype=bool)].mean()
        for x in (text, tabular)]
    assert result["uniformity"] == pytest.approx(np.mean(np.log(potentials)), rel=1e-3)


def test_masking_duplicates_is_an_option(clicks):
    inputs, _ = clicks.rows(8, seed=4)
    same = {name: np.repeat(values[:1], 8) for name, values in inputs.items()}
    losses = {}
    for masked in (True, False):
        model = compiled(AlignmentModel(
            clicks.ctr_model(), clicks.tower(), num_subspaces=1, mask_duplicates=masked))
        result = model.evaluate(same, batch_size=8, verbose=0, return_dict=True)
        losses[masked] = result["loss"]
        # Of a single sub-space there is nothing to say.
        assert not any("usage" in name for name in result)
    assert losses[True] == pytest.approx(0, abs=1e-5)
    assert losses[False] == pytest.approx(math.log(8), rel=1e-4)


def test_a_batch_of_one_row_and_missing_texts_stay_finite(clicks):
    inputs, _ = clicks.rows(5, seed=5)
    inputs["user_text_index"][:] = 0
    inputs["item_text_index"][::2] = 0
    model = compiled(AlignmentModel(clicks.ctr_model(), clicks.tower(), temperature=0.01))
    history = model.fit(inputs, batch_size=4, epochs=2, verbose=0).history
    assert all(np.isfinite(values).all() for values in history.values())
    assert all(np.isfinite(np.asarray(weight)).all() for weight in model.weights)


def test_learned_temperature_is_trained_and_reported(clicks):
    inputs, _ = clicks.rows(256, seed=6)
    model = compiled(AlignmentModel(
        clicks.ctr_model(), clicks.tower(), temperature=0.5, learn_temperature=True))
    history = model.fit(inputs, batch_size=64, epochs=10, verbose=0).history
    assert float(model.contrastive_loss.temperature) < history["temperature"][-1] < history["temperature"][0]


def test_every_trainable_weight_moves_and_the_output_layer_does_not(clicks):
    inputs, labels = clicks.rows(256, seed=8)
    ctr_model = clicks.ctr_model()
    ctr_model(inputs)
    output = [np.asarray(w) for w in ctr_model.output_layer.weights]
    model = compiled(AlignmentModel(ctr_model, clicks.tower()))
    model(inputs)
    before = [np.asarray(w) for w in model.trainable_weights]
    model.fit(inputs, labels, batch_size=256, epochs=2, verbose=0)
    for old, weight in zip(before, model.trainable_weights, strict=True):
        assert not np.array_equal(old, np.asarray(weight)), weight.path
    for old, weight in zip(output, ctr_model.output_layer.weights, strict=True):
        np.testing.assert_array_equal(old, np.asarray(weight))
    assert all(weight.trainable for weight in ctr_model.output_layer.trainable_weights)


def test_weights_round_trip(clicks, tmp_path):
    inputs, _ = clicks.rows(16, seed=9)
    model = AlignmentModel(clicks.ctr_model(), clicks.tower())
    before = model(inputs)
    model.save_weights(tmp_path / "alignment.weights.h5")
    copy = AlignmentModel(clicks.ctr_model(), LatentClicks(seed=5).tower())
    copy(inputs)
    copy.load_weights(tmp_path / "alignment.weights.h5")
    for x, y in zip(before, copy(inputs), strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)


def test_a_language_model_is_trained_along(clicks):
    keras_hub = pytest.importorskip("keras_hub")
    inputs, _ = clicks.rows(64, seed=10)
    # The sentence: [CLS] user item [SEP] and padding.
    inputs["token_ids"] = np.stack([
        np.full(64, 1), inputs["user_id"] + 2, inputs["item_id"] + 40, np.full(64, 2), np.zeros(64)], axis=1
    ).astype("int64")
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=90, num_layers=1, num_heads=2, hidden_dim=16, intermediate_dim=16,
        max_sequence_length=8)
    model = compiled(AlignmentModel(clicks.ctr_model(), LanguageTower(backbone), temperature=0.2), 3e-3)
    embedding = np.asarray(backbone.token_embedding.embeddings)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        history = model.fit(inputs, batch_size=64, epochs=25, verbose=0).history
    assert history["text_to_tabular_accuracy"][-1] > 0.3
    assert not np.array_equal(embedding, np.asarray(backbone.token_embedding.embeddings))

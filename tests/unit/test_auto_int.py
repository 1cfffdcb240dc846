import keras
import numpy as np
import pytest

from models.auto_int import AutoInt
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    return np.random.default_rng(1).normal(size=(batch, fields, dim)).astype("float32")


def _by_loops(x, weights, num_heads):
    """One row's interacting layer as the paper's equations 5 to 8 write it: loops over heads and fields."""
    query, key, value, residual = weights
    head_dim = query.shape[1] // num_heads
    result = []
    for m in x:
        heads = []
        for h in range(num_heads):
            part = slice(h * head_dim, (h + 1) * head_dim)
            scores = np.array([(m @ query[:, part]) @ (k @ key[:, part]) for k in x])
            share = np.exp(scores) / np.exp(scores).sum()
            heads.append(sum(a * (k @ value[:, part]) for a, k in zip(share, x)))
        result.append(np.maximum(np.concatenate(heads) + m @ residual, 0))
    return np.array(result)


def _unpacked(projections, num_heads):
    """Query, key, value and residual, `[dim, width]` each, of the one weight that holds them head after head."""
    projections = np.asarray(projections)
    return [np.concatenate(projections[i : i + num_heads], axis=1) for i in range(0, 4 * num_heads, num_heads)]


class TestAutoInt(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 3 * 4 + 64),
        ({"hidden_units": ()}, 3 * 4),
        ({"num_layers": 1, "num_heads": 3, "head_dim": 5, "hidden_units": [7, 2]}, 3 * 15 + 2),
        ({"num_layers": 0, "hidden_units": (5,), "batch_norm": False, "dropout": 0.0}, 3 * 4 + 5),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: AutoInt(**options), _inputs(), (6, width), tmp_path)

    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize("num_heads", [1, 2, 4])
    def test_attention_is_the_papers(self, num_heads, training):
        layer = AutoInt(num_layers=2, num_heads=num_heads, hidden_units=())
        x = _inputs()
        output = np.asarray(layer(x, training=training))
        first, second = (_unpacked(w, num_heads) for w in layer.trainable_weights)
        for row, found in zip(x, output):
            expected = _by_loops(_by_loops(row, first, num_heads), second, num_heads)
            np.testing.assert_allclose(found, expected.ravel(), rtol=1e-4, atol=1e-6)

    def test_every_projection_is_drawn_by_itself(self):
        keras.utils.set_random_seed(3)
        layer = AutoInt(num_layers=1, hidden_units=())
        layer.build((None, 3, 4))
        keras.utils.set_random_seed(3)
        for found in _unpacked(layer.trainable_weights[0], 2):
            expected = keras.initializers.GlorotUniform()((4, 4))
            np.testing.assert_array_equal(found, expected)

    @pytest.mark.parametrize("training", [False, True])
    def test_scores_of_any_size_are_finite(self, training):
        layer = AutoInt(num_layers=1, hidden_units=())
        assert np.isfinite(layer(1000 * _inputs(), training=training)).all()

    def test_tower_reads_the_embeddings_not_the_attention(self):
        layer = AutoInt(hidden_units=(5,), batch_norm=False, dropout=0.0)
        x = _inputs()
        output = np.asarray(layer(x))
        kernel, bias = (np.asarray(w) for w in layer.trainable_weights if "dense" in w.path)
        expected = np.maximum(x.reshape(6, 12) @ kernel + bias, 0)
        np.testing.assert_allclose(output[:, 12:], expected, rtol=1e-5, atol=1e-6)

    def test_dropout_and_batch_norm_in_training_only(self):
        layer = AutoInt(dropout=0.5)
        x = _inputs()
        np.testing.assert_array_equal(layer(x), layer(x))
        assert not np.array_equal(layer(x, training=True), layer(x, training=True))

    @pytest.mark.parametrize("options, words", [
        ({"num_heads": 3}, "width 4 is no multiple of num_heads 3"),
        ({"num_layers": -1}, "num_layers is -1"),
        ({"num_heads": 0}, "num_heads is 0"),
        ({"head_dim": 0}, "head_dim is 0"),
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            AutoInt(**options).build((None, 3, 4))

    def test_output_shape_before_the_first_row(self):
        layer = AutoInt(hidden_units=(8,))
        layer.build((None, 3, 4))
        assert layer.compute_output_shape((None, 3, 4)) == (None, 20)
        assert keras.ops.shape(layer(_inputs(batch=1))) == (1, 20)

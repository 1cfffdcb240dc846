"""Gradient caching: chunk by chunk, the gradient is the whole batch's."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.gradient_caching import cached_gradients, map_chunks
from tests.unit.latent_clicks import LatentClicks

ROWS = 11


def test_chunks_are_concatenated_and_differentiable():
    x = tf.constant([1.0, 2.0, 3.0, 4.0, 5.0])
    with tf.GradientTape() as tape:
        tape.watch(x)
        squares, thirds = map_chunks(lambda start, stop: (x[start:stop] ** 2, x[start:stop] / 3), 5, 2, [(None,)] * 2)
        result = tf.reduce_sum(squares * [1.0, 10.0, 100.0, 1000.0, 10000.0])
    np.testing.assert_allclose(squares, [1, 4, 9, 16, 25])
    np.testing.assert_allclose(thirds * 3, x)
    np.testing.assert_allclose(tape.gradient(result, x), [2, 40, 600, 8000, 100000])


class TestDropoutAndBatchNormalisation:
    """Against one tape over chunks written out one after the other."""

    @pytest.fixture
    def model(self):
        keras.utils.set_random_seed(3)
        return keras.Sequential([
            keras.Input((6,)), keras.layers.Dense(16), keras.layers.BatchNormalization(momentum=0.5),
            keras.layers.Dropout(0.5), keras.layers.Dense(4)])

    @pytest.fixture
    def rows(self):
        return {"x": tf.constant(np.random.default_rng(4).normal(size=(ROWS, 6)), "float32")}

    @staticmethod
    def loss(z):
        # No sum over rows: a row's loss depends on all others.
        return tf.reduce_mean(tf.reduce_logsumexp(tf.matmul(z, z, transpose_b=True), axis=1) - z[:, 0])

    @staticmethod
    def state(model):
        return [v for v in model.variables if not v.trainable]

    def test_gradients_and_state(self, model, rows):
        before = [np.asarray(v) for v in self.state(model)]
        with tf.GradientTape() as tape:
            parts = [model(rows["x"][i:i + 4], training=True) for i in range(0, ROWS, 4)]
            result = self.loss(tf.concat(parts, axis=0))
        expected = tape.gradient(result, [v.value for v in model.trainable_variables])
        after = [np.asarray(v) for v in self.state(model)]
        assert all(not np.array_equal(x, y) for x, y in zip(before, after, strict=True))

        for variable, value in zip(self.state(model), before, strict=True):
            variable.assign(value)
        found = tf.function(lambda inputs: cached_gradients(
            lambda chunk: [model(chunk["x"], training=True)], lambda z: self.loss(z[0]), inputs,
            model.trainable_variables, self.state(model), 4, [(None, 4)]))(rows)
        for x, y in zip(expected, found, strict=True):
            np.testing.assert_allclose(x, y, atol=1e-5)
        # Moving averages and seeds have moved once, as in the plain step.
        for variable, value in zip(self.state(model), after, strict=True):
            np.testing.assert_allclose(np.asarray(variable), value, atol=1e-6)


def step(chunk_size, **options):
    """Metrics before and after a step of the whole model with SGD, and what it moved its weights by: the gradient."""
    keras.utils.set_random_seed(5)
    clicks = LatentClicks()
    small = {"hidden_units": [8], "dropout": 0.0, "batch_norm": False}
    ctr_model = CTRModel(
        clicks.ctr_model().fields, "deepfm", embedding_dim=8, backbone_options=small, embedding_l2=0.01)
    model = AlignmentModel(
        ctr_model, clicks.tower(), num_subspaces=3, width=4, temperature=0.5, learn_temperature=True,
        chunk_size=chunk_size)
    model.compile(optimizer=keras.optimizers.SGD(0.1), jit_compile=False, **options)
    before = model.get_weights()
    inputs, _ = clicks.rows(23, seed=6)
    trained = model.train_on_batch(inputs, return_dict=True)
    moved = [y - x for x, y in zip(before, model.get_weights(), strict=True)]
    evaluated = model.test_on_batch(inputs, return_dict=True)
    return moved, *({name: float(value) for name, value in found.items()} for found in (trained, evaluated))


def test_a_step_of_alignment_equals_the_plain_one():
    (plain, *expected), (chunked, *metrics) = step(0, run_eagerly=True), step(5)
    for x, y in zip(plain, chunked, strict=True):
        np.testing.assert_allclose(x, y, atol=1e-6)
    # All but the text's two tables and the output layer's two weights: tables, tower, projections, temperature.
    assert sum(np.abs(x).max() > 1e-5 for x in plain) == len(plain) - 4
    for x, y in zip(expected, metrics, strict=True):
        assert y == pytest.approx(x, rel=1e-5)

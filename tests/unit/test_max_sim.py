"""Max-sim against loops and numbers worked out by hand."""

import keras
import numpy as np
import pytest
from keras import ops

from models.max_sim import MaxSimProjection, max_sim, max_sim_both, unit_length
from tests.model_test_case import ModelTestCase


def loop_max_sim(queries, keys):
    result = np.zeros((len(queries), len(keys)))
    for i, query in enumerate(queries):
        for j, key in enumerate(keys):
            result[i, j] = sum(max(float(np.dot(q, k)) for k in key) for q in query)
    return result


def test_by_hand():
    queries = np.array([[[1.0, 0.0], [0.0, 2.0]]], "float32")
    keys = np.array([[[3.0, 1.0], [0.5, 4.0]], [[-1.0, 0.0], [0.0, -1.0]]], "float32")
    # First key: max(3, .5) + max(2, 8); second: max(-1, 0) + max(0, -2).
    np.testing.assert_allclose(max_sim(queries, keys), [[11.0, 0.0]])


def test_is_asymmetric():
    a = np.array([[[1.0, 0.0], [1.0, 0.0]]], "float32")
    b = np.array([[[1.0, 0.0], [0.0, 1.0]]], "float32")
    assert float(max_sim(a, b)[0, 0]) == 2.0
    assert float(max_sim(b, a)[0, 0]) == 1.0


def test_both_directions_equal_the_loop():
    rng = np.random.default_rng(0)
    text, tabular = rng.normal(size=(5, 3, 4)).astype("float32"), rng.normal(size=(7, 3, 4)).astype("float32")
    text_to_tabular, tabular_to_text = max_sim_both(text, tabular)
    np.testing.assert_allclose(text_to_tabular, loop_max_sim(text, tabular), rtol=1e-5)
    np.testing.assert_allclose(tabular_to_text, loop_max_sim(tabular, text), rtol=1e-5)
    np.testing.assert_allclose(text_to_tabular, max_sim(text, tabular), rtol=1e-6)


def test_one_subspace_is_cosine():
    projection = MaxSimProjection(num_subspaces=1, width=6)
    x = np.random.default_rng(1).normal(size=(4, 5)).astype("float32")
    sub_vectors = projection(x)
    raw = np.asarray(projection.linear(x))
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    np.testing.assert_allclose(max_sim(sub_vectors, sub_vectors), unit @ unit.T, atol=1e-5)


@pytest.mark.parametrize("normalize", [True, False])
def test_projection_is_linear_then_unit_per_subvector(normalize):
    projection = MaxSimProjection(num_subspaces=3, width=2, normalize=normalize)
    x = np.random.default_rng(2).normal(size=(4, 5)).astype("float32")
    result = np.asarray(projection(x))
    expected = (x @ np.asarray(projection.linear.kernel)).reshape(4, 3, 2)
    if normalize:
        expected /= np.linalg.norm(expected, axis=-1, keepdims=True)
    np.testing.assert_allclose(result, expected, atol=1e-5)
    assert projection.compute_output_shape((4, 5)) == (4, 3, 2)


class TestMaxSimProjection(ModelTestCase):
    def test_basics(self, tmp_path):
        inputs = np.random.default_rng(3).normal(size=(4, 5)).astype("float32")
        self.check_all(lambda: MaxSimProjection(num_subspaces=2, width=7), inputs, (4, 2, 7), tmp_path)


def test_zero_vector_has_zero_value_and_zero_gradient():
    import tensorflow as tf

    x = tf.Variable([[0.0, 0.0], [3.0, 4.0]])
    with tf.GradientTape() as tape:
        y = unit_length(x)
        loss = ops.sum(y * ops.convert_to_tensor([[1.0, 1.0], [1.0, 0.0]]))
    np.testing.assert_allclose(y, [[0.0, 0.0], [0.6, 0.8]], atol=1e-6)
    gradient = tape.gradient(loss, x).numpy()
    assert np.isfinite(gradient).all()
    # d(x / |x|) / dx of (3, 4) in the direction (1, 0): (16, -12) / 125.
    np.testing.assert_allclose(gradient[1], [16 / 125, -12 / 125], atol=1e-6)


def test_projection_has_no_more_weights_than_one_linear_map():
    projection = MaxSimProjection(num_subspaces=4, width=32)
    projection(keras.ops.ones((2, 10)))
    assert projection.count_params() == 10 * 128 + 128

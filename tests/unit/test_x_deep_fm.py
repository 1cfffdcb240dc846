import numpy as np
import pytest

from models.spec.errors import UserError
from models.x_deep_fm import XDeepFM
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    rng = np.random.default_rng(1)
    return (rng.normal(size=(batch, fields, dim)).astype("float32"),
            rng.normal(size=(batch, fields)).astype("float32"))


def _cin_layer(x, x_0, kernel):
    """One row's CIN layer as the paper's formula writes it: loops over rows, and over pairs of vectors."""
    weights = kernel.reshape(len(x), len(x_0), -1)
    return np.array([sum(weights[i, j, h] * x[i] * x_0[j] for i in range(len(x)) for j in range(len(x_0)))
                     for h in range(weights.shape[-1])])


class TestXDeepFM(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 1 + 32 + 32 + 64),
        ({"cin_units": [5, 3, 2], "hidden_units": [4], "batch_norm": False, "dropout": 0.0}, 1 + 10 + 4),
        ({"cin_units": (5,), "hidden_units": ()}, 1 + 5),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: XDeepFM(**options), _inputs(), (6, width), tmp_path)

    def test_by_hand(self):
        layer = XDeepFM(cin_units=(1, 1), hidden_units=())
        layer.build((None, 2, 2))
        # First layer: a a, a b, b a, b b weighed 1, 10, 0, 2; second: its row times a and b weighed 1 and -1.
        layer.set_weights([np.array([[1], [10], [0], [2]]), np.array([[1], [-1]])])
        v = np.array([[[1, 2], [3, -1]]], "float32")
        w = np.array([[0.25, -1]], "float32")
        # Row 1: 1 + 30 + 18 = 49 and 4 - 20 + 2 = -14; row 2: 49 (1 - 3) = -98 and -14 (2 + 1) = -42.
        np.testing.assert_allclose(layer(v, w), [[-0.75, 35, -140]])

    def test_interaction_network_is_the_papers(self):
        layer = XDeepFM(cin_units=(5, 2, 3), hidden_units=())
        v, w = _inputs()
        output = np.asarray(layer(v, w))
        kernels = [np.asarray(x) for x in layer.trainable_weights]
        assert [x.name for x in layer.trainable_weights] == ["cin_kernel_0", "cin_kernel_1", "cin_kernel_2"]
        for row, first_order, found in zip(v, w, output):
            x, expected = row, [first_order.sum()]
            for kernel in kernels:
                x = _cin_layer(x, row, kernel)
                expected += list(x.sum(axis=-1))
            np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)

    def test_tower_reads_the_vectors(self):
        layer = XDeepFM(cin_units=(2,), hidden_units=(5,), batch_norm=False, dropout=0.0)
        v, w = _inputs()
        output = np.asarray(layer(v, w))
        kernel, bias = (np.asarray(x) for x in layer.tower.weights)
        expected = np.maximum(v.reshape(6, 12) @ kernel + bias, 0)
        np.testing.assert_allclose(output[:, 3:], expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("options, words", [
        ({"cin_units": ()}, r"cin_units is \(\); it must be a list of 1 or more widths"),
        ({"cin_units": (4, 0)}, "cin_units has 0"),
        ({"hidden_units": (0,)}, "hidden_units has 0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            XDeepFM(**options)

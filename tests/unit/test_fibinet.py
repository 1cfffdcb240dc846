import numpy as np
import pytest

from models.fibinet import FiBiNET
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=4, dim=3):
    rng = np.random.default_rng(1)
    return (rng.normal(size=(batch, fields, dim)).astype("float32"),
            rng.normal(size=(batch, fields)).astype("float32"))


def _products_by_loops(v, kernels, factors):
    """The paper's products of one row; `kernels` is a matrix for each pair."""
    weighed = v * factors[:, None]
    return np.concatenate([vectors[i] @ kernel * vectors[j] for vectors in (v, weighed)
                           for (i, j), kernel in kernels.items()])


class TestFiBiNET(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 1 + 64),
        ({"bilinear_type": "all", "reduction_ratio": 1, "hidden_units": ()}, 1 + 2 * 6 * 3),
        ({"bilinear_type": "each", "hidden_units": [7, 2], "batch_norm": False, "dropout": 0.0}, 1 + 2),
        ({"reduction_ratio": 9, "senet_activation": "sigmoid", "hidden_units": (5,)}, 1 + 5),
    ])
    def test_basics(self, options, width, tmp_path):
        # So many rows that their ReLU shuts none of SENET's few units for all.
        self.check_all(lambda: FiBiNET(**options), _inputs(50), (50, width), tmp_path)

    def test_by_hand(self):
        layer = FiBiNET(hidden_units=())
        layer.build((None, 2, 2))
        squeeze, excite, kernel = layer.weights
        squeeze.assign([[1], [2]])
        excite.assign([[0.5, -1]])
        kernel.assign([[1, 0], [1, -1]])
        v, w = np.array([[[1, 3], [-2, 4]]], "float32"), np.array([[0.25, -1]], "float32")
        # Means 2 and 1 make 4, so the factors are 2 and 0 (by ReLU); [1, 3] W = [4, -3].
        np.testing.assert_allclose(layer(v, w), [[-0.75, -8, -12, 0, 0]])
        excite.assign([[0.5, 0.25]])
        np.testing.assert_allclose(layer(v, w), [[-0.75, -8, -12, -16, -24]])

    @pytest.mark.parametrize("bilinear_type, matrices", [("all", 1), ("each", 3), ("interaction", 6)])
    @pytest.mark.parametrize("activation", ["relu", "sigmoid"])
    def test_products_are_the_papers(self, bilinear_type, matrices, activation):
        layer = FiBiNET(bilinear_type, reduction_ratio=2, senet_activation=activation, hidden_units=())
        v, w = _inputs()
        output = np.asarray(layer(v, w))
        squeeze, excite, kernel = (np.asarray(x) for x in layer.weights)
        assert squeeze.shape == (4, 2) and kernel.shape == (3, matrices * 3)
        pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
        kernels = {}
        for number, (i, j) in enumerate(pairs):
            start = 3 * {"all": 0, "each": i, "interaction": number}[bilinear_type]
            kernels[i, j] = kernel[:, start : start + 3]
        np.testing.assert_allclose(output[:, 0], w.sum(1), rtol=1e-5)
        for row, found in zip(v, output):
            factors = np.maximum(row.mean(1) @ squeeze, 0) @ excite
            factors = np.maximum(factors, 0) if activation == "relu" else 1 / (1 + np.exp(-factors))
            expected = _products_by_loops(row, kernels, factors)
            np.testing.assert_allclose(found[1:], expected, rtol=1e-4, atol=1e-6)

    def test_tower_reads_the_products(self):
        layer = FiBiNET(hidden_units=(5,), batch_norm=False, dropout=0.0)
        v, w = _inputs()
        output = np.asarray(layer(v, w))
        kernel, bias = (np.asarray(x) for x in layer.tower.weights)
        expected = np.maximum(np.asarray(layer._products(v)) @ kernel + bias, 0)
        np.testing.assert_allclose(output[:, 1:], expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("options, words", [
        ({"bilinear_type": "none"}, "bilinear_type is 'none'; it must be one of: all, each, interaction"),
        ({"reduction_ratio": 0}, "reduction_ratio is 0"),
        ({"senet_activation": "tanh"}, "senet_activation is 'tanh'"),
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            FiBiNET(**options)

    def test_refuses_a_field_alone(self):
        with pytest.raises(UserError, match="fibinet: it models pairs of fields"):
            FiBiNET().build((None, 1, 4))

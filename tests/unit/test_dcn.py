import numpy as np
import pytest

from models.dcn import DCN
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    return np.random.default_rng(1).normal(size=(batch, fields, dim)).astype("float32")


class TestDCN(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 12 + 64),
        ({"num_layers": 1, "hidden_units": ()}, 12),
        ({"num_layers": 2, "hidden_units": [7, 2], "batch_norm": False, "dropout": 0.0}, 12 + 2),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: DCN(**options), _inputs(), (6, width), tmp_path)

    def test_by_hand(self):
        layer = DCN(num_layers=2, hidden_units=())
        layer.build((None, 1, 2))
        kernels, biases = layer.weights
        kernels.assign([[1.0, 0.5], [2.0, -1.0]])
        biases.assign([[0.1, 0.2], [10.0, 20.0]])
        # x_1 = [3, 1] * (3 + 2) + [.1, .2] + [3, 1]; x_2 = [3, 1] * (9.05 - 6.2) + [10, 20] + x_1.
        np.testing.assert_allclose(layer(np.array([[[3, 1]]], "float32")),
                                   [[3 * 2.85 + 10 + 18.1, 2.85 + 20 + 6.2]], rtol=1e-6)

    @pytest.mark.parametrize("num_layers", [1, 2, 5])
    def test_cross_is_the_papers(self, num_layers):
        layer = DCN(num_layers=num_layers, hidden_units=())
        x = _inputs()
        layer.build(x.shape)
        rng = np.random.default_rng(0)
        kernels, biases = rng.normal(0, 0.3, (12, num_layers)), rng.normal(size=(num_layers, 12))
        for weight, value in zip(layer.weights, (kernels, biases)):
            weight.assign(value)
        for row, found in zip(x.reshape(6, 12), np.asarray(layer(x))):
            crossed = row
            for i in range(num_layers):
                crossed = row * (crossed @ kernels[:, i]) + biases[i] + crossed
            np.testing.assert_allclose(found, crossed, rtol=1e-4, atol=1e-4)

    def test_tower_reads_the_vectors(self):
        layer = DCN(hidden_units=(5,), batch_norm=False, dropout=0.0)
        x = _inputs()
        output = np.asarray(layer(x))
        kernel, bias = (np.asarray(w) for w in layer.tower.weights)
        expected = np.maximum(x.reshape(6, 12) @ kernel + bias, 0)
        np.testing.assert_allclose(output[:, 12:], expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("options, words", [
        ({"num_layers": 0}, "num_layers is 0"),
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            DCN(**options)

import numpy as np
import pytest

from models.dcnv2 import DCNv2
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    return np.random.default_rng(1).normal(size=(batch, fields, dim)).astype("float32")


def _randomised(layer, x):
    """The layer with random weights, biases too, and these by cross layer."""
    layer.build(x.shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    return [[np.asarray(w, "float64") for w in cross.weights] for cross in layer._crosses]


class TestDCNv2(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 12 + 64),
        ({"structure": "stacked", "hidden_units": [7, 5]}, 5),
        ({"structure": "stacked", "hidden_units": ()}, 12),
        ({"num_layers": 1, "low_rank": 2, "hidden_units": (), "batch_norm": False, "dropout": 0.0}, 12),
        ({"num_layers": 2, "low_rank": 2, "num_experts": 3, "hidden_units": (5,)}, 12 + 5),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: DCNv2(**options), _inputs(), (6, width), tmp_path)

    def test_by_hand(self):
        layer = DCNv2(num_layers=1, hidden_units=())
        layer.build((None, 1, 2))
        kernel, bias = layer.weights
        kernel.assign([[1, 10], [2, 20]])
        bias.assign([0.5, -1])
        # [3, 1] * [3 + 2 + .5, 30 + 20 - 1] + [3, 1].
        np.testing.assert_allclose(layer(np.array([[[3, 1]]], "float32")), [[3 * 5.5 + 3, 49 + 1]])

    def test_matrices_are_the_papers(self):
        layer, x = DCNv2(num_layers=3, hidden_units=()), _inputs()
        weights = _randomised(layer, x)
        for row, found in zip(x.reshape(6, 12), np.asarray(layer(x))):
            crossed = row
            for kernel, bias in weights:
                crossed = row * (kernel.T @ crossed + bias) + crossed
            np.testing.assert_allclose(found, crossed, rtol=1e-4, atol=1e-4)

    def test_low_rank_is_the_papers(self):
        layer, x = DCNv2(num_layers=2, low_rank=3, hidden_units=()), _inputs()
        weights = _randomised(layer, x)
        assert layer.count_params() == 2 * (2 * 12 * 3 + 12)
        for row, found in zip(x.reshape(6, 12), np.asarray(layer(x))):
            crossed = row
            for v, u_transposed, bias in weights:
                crossed = row * (u_transposed.T @ (v.T @ crossed) + bias) + crossed
            np.testing.assert_allclose(found, crossed, rtol=1e-4, atol=1e-4)

    def test_mixture_is_the_papers(self):
        layer, x = DCNv2(num_layers=2, low_rank=2, num_experts=3, hidden_units=()), _inputs()
        weights = _randomised(layer, x)
        for row, found in zip(x.reshape(6, 12), np.asarray(layer(x))):
            crossed = row
            for gate, down, up, middle, bias in weights:
                shares = np.exp(crossed @ gate)
                shares /= shares.sum()
                total = 0
                for i in range(3):
                    part = slice(2 * i, 2 * i + 2)
                    hidden = np.tanh(middle[i].T @ np.tanh(down[:, part].T @ crossed))
                    total = total + shares[i] * row * (up[part].T @ hidden + bias)
                crossed = total + crossed
            np.testing.assert_allclose(found, crossed, rtol=1e-4, atol=1e-4)

    def test_tower_reads_the_vectors_or_the_crosses(self):
        x = _inputs()
        for structure in ("parallel", "stacked"):
            layer = DCNv2(structure=structure, hidden_units=(5,), batch_norm=False, dropout=0.0)
            output = np.asarray(layer(x))
            kernel, bias = (np.asarray(w) for w in layer.tower.weights)
            flat = crossed = x.reshape(6, 12)
            for cross in layer._crosses:
                crossed = flat * np.asarray(cross(crossed)) + crossed
            read = flat if structure == "parallel" else crossed
            expected = np.maximum(read @ kernel + bias, 0)
            np.testing.assert_allclose(output[:, -5:], expected, rtol=1e-4, atol=1e-4)
            if structure == "parallel":
                np.testing.assert_allclose(output[:, :12], crossed, rtol=1e-4, atol=1e-4)

    @pytest.mark.parametrize("options, words", [
        ({"num_layers": 0}, "num_layers is 0"),
        ({"low_rank": 0}, "low_rank is 0"),
        ({"num_experts": 0}, "num_experts is 0"),
        ({"num_experts": 4}, "give low_rank too"),
        ({"structure": "serial"}, "structure is 'serial'; it must be one of: parallel, stacked"),
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            DCNv2(**options)

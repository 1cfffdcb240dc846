import numpy as np
import pytest

from models.deep_fm import DeepFM
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    rng = np.random.default_rng(1)
    return (rng.normal(size=(batch, fields, dim)).astype("float32"),
            rng.normal(size=(batch, fields)).astype("float32"))


class TestDeepFM(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 2 + 64),
        ({"hidden_units": [5, 2], "batch_norm": False, "dropout": 0.0}, 2 + 2),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: DeepFM(**options), _inputs(), (6, width), tmp_path)

    def test_by_hand(self):
        v = np.array([[[1, 2], [3, 4], [0, -1]]], "float32")
        w = np.array([[0.25, -1, 2]], "float32")
        # Pairs: 1 * 3 + 2 * 4, 1 * 0 + 2 * -1, 3 * 0 + 4 * -1.
        np.testing.assert_allclose(DeepFM(hidden_units=())(v, w), [[1.25, 11 - 2 - 4]])

    def test_second_order_is_the_sum_over_pairs(self):
        v, w = _inputs(fields=5)
        pairs = [sum(row[i] @ row[j] for i in range(5) for j in range(i + 1, 5)) for row in v]
        output = np.asarray(DeepFM()(v, w))
        np.testing.assert_allclose(output[:, 0], w.sum(1), rtol=1e-5)
        np.testing.assert_allclose(output[:, 1], pairs, rtol=1e-4, atol=1e-5)

    def test_tower_reads_the_vectors(self):
        layer = DeepFM(hidden_units=(5,), batch_norm=False, dropout=0.0)
        v, w = _inputs()
        output = np.asarray(layer(v, w))
        kernel, bias = (np.asarray(x) for x in layer.weights)
        expected = np.maximum(v.reshape(6, 12) @ kernel + bias, 0)
        np.testing.assert_allclose(output[:, 2:], expected, rtol=1e-5, atol=1e-6)

    @pytest.mark.parametrize("options, words", [
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            DeepFM(**options)

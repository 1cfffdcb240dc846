import numpy as np
import pytest

from models.pnn import PNN
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    return np.random.default_rng(1).normal(size=(batch, fields, dim)).astype("float32")


class TestPNN(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 64),
        ({"product": "outer", "hidden_units": [5, 2]}, 2),
        ({"product": "both", "hidden_units": [5], "batch_norm": False, "dropout": 0.0}, 5),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: PNN(**options), _inputs(), (6, width), tmp_path)

    @pytest.mark.parametrize("product, products", [
        # 1 * 3 + 2 * 4, 1 * 0 + 2 * -1, 3 * 0 + 4 * -1
        ("inner", [11, -2, -4]),
        # The sum is [4, 5].
        ("outer", [16, 20, 20, 25]),
        ("both", [11, -2, -4, 16, 20, 20, 25]),
    ])
    def test_by_hand(self, product, products):
        v = np.array([[[1, 2], [3, 4], [0, -1]]], "float32")
        layer = PNN(product=product, hidden_units=())
        np.testing.assert_allclose(layer(v), [[1, 2, 3, 4, 0, -1, *products]])
        assert layer.compute_output_shape((None, 3, 2)) == (None, 6 + len(products))

    def test_first_layer_is_the_papers(self):
        layer = PNN(product="both", hidden_units=(5,), batch_norm=False, dropout=0.0)
        v = _inputs(fields=4, dim=3)
        output = np.asarray(layer(v))
        kernel, bias = (np.asarray(w) for w in layer.weights)
        linear, inner, outer = np.split(kernel, [12, 12 + 6])
        for row, found in zip(v, output):
            signal = row.ravel() @ linear + bias
            pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
            signal += sum(weights * (row[i] @ row[j]) for weights, (i, j) in zip(inner, pairs))
            superposed = sum(np.outer(a, b) for a in row for b in row)
            signal += np.einsum("de,deh->h", superposed, outer.reshape(3, 3, 5))
            np.testing.assert_allclose(found, np.maximum(signal, 0), rtol=1e-4, atol=1e-5)

    def test_one_field_has_no_pairs(self):
        assert PNN(hidden_units=())(_inputs(fields=1)).shape == (6, 4)

    @pytest.mark.parametrize("options, words", [
        ({"product": "cross"}, "product is 'cross'; it must be one of: inner, outer, both"),
        ({"hidden_units": (4, 0)}, "hidden_units has 0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            PNN(**options)

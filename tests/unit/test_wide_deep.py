import numpy as np
import pytest

from models.spec.errors import UserError
from models.wide_deep import WideDeep
from tests.model_test_case import ModelTestCase


def _inputs(batch=6, fields=3, dim=4):
    rng = np.random.default_rng(1)
    return (rng.normal(size=(batch, fields, dim)).astype("float32"),
            rng.normal(size=(batch, fields)).astype("float32"))


class TestWideDeep(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 1 + 64),
        ({"hidden_units": [5, 2], "batch_norm": False, "dropout": 0.0}, 1 + 2),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: WideDeep(**options), _inputs(), (6, width), tmp_path)

    def test_by_hand(self):
        layer = WideDeep(hidden_units=(2,), batch_norm=False, dropout=0.0)
        layer.build((None, 2, 2))
        layer.set_weights([np.array([[1, 0], [0, 1], [1, 0], [0, -1]]), np.array([0.5, 0])])
        v = np.array([[[1, 2], [3, 4]], [[-5, 1], [1, 0]]], "float32")
        w = np.array([[0.25, -1], [2, 3]], "float32")
        # Tower: relu(1 + 3 + 0.5, 2 - 4) and relu(-5 + 1 + 0.5, 1 - 0).
        np.testing.assert_allclose(layer(v, w), [[-0.75, 4.5, 0], [5, 0, 1]])

    @pytest.mark.parametrize("options, words", [
        ({"hidden_units": ()}, r"hidden_units is \(\); it must be a list of 1 or more widths"),
        ({"dropout": -0.1}, "dropout is -0.1"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            WideDeep(**options)

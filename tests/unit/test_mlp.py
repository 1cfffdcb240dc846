import numpy as np
import pytest

from models.mlp import MLP
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase


def _inputs(*shape):
    return np.random.default_rng(1).normal(size=shape).astype("float32")


class TestMLP(ModelTestCase):
    @pytest.mark.parametrize("options, shape, width", [
        ({"hidden_units": (7, 3)}, (6, 5), 3),
        ({"hidden_units": [4], "batch_norm": False, "dropout": 0.0, "activation": "sigmoid"}, (6, 2, 5), 4),
    ])
    def test_basics(self, options, shape, width, tmp_path):
        self.check_all(lambda: MLP(**options), _inputs(*shape), (*shape[:-1], width), tmp_path)

    def test_by_hand(self):
        layer = MLP((2, 1), dropout=0.0, batch_norm=False)
        layer.build((None, 2))
        layer.set_weights(
            [np.array([[1, -1], [2, 0.5]]), np.array([0, 1]), np.array([[3], [10]]), np.array([-4])])
        # [1, 1]: relu(3, 0.5) = (3, 0.5), 9 + 5 - 4; [-1, -1]: relu(-3, 1.5) = (0, 1.5), 15 - 4;
        # [0, -2]: relu(-4, 0) = (0, 0), relu(-4).
        np.testing.assert_allclose(layer(np.array([[1, 1], [-1, -1], [0, -2]], "float32")), [[10], [11], [0]])

    def test_normalises_before_the_activation(self):
        layer = MLP((3,), dropout=0.0)
        x = _inputs(50, 4)
        output = np.asarray(layer(x, training=True))
        before = x @ np.asarray(layer.weights[0])
        expected = np.maximum((before - before.mean(0)) / np.sqrt(before.var(0) + 1e-3), 0)
        np.testing.assert_allclose(output, expected, rtol=1e-3, atol=1e-4)
        assert [w.name for w in layer.trainable_weights] == ["kernel", "gamma", "beta"]

    def test_dropout_in_training_only(self):
        layer = MLP((20,), dropout=0.5, batch_norm=False)
        x = _inputs(6, 4)
        np.testing.assert_array_equal(layer(x), layer(x))
        dropped, kept = np.asarray(layer(x, training=True)), np.asarray(layer(x))
        assert (np.isclose(dropped, 0) | np.isclose(dropped, 2 * kept, rtol=1e-4)).all()
        assert 0 < ((dropped == 0) & (kept > 0)).sum() < (kept > 0).sum()

    def test_no_layers_pass_inputs_on(self):
        layer, x = MLP(()), _inputs(3, 4)
        np.testing.assert_array_equal(layer(x), x)
        assert layer.compute_output_shape((None, 4)) == (None, 4)

    @pytest.mark.parametrize("options, words", [
        ({"hidden_units": (4, 0)}, "hidden_units has 0; a width is a whole number, 1 or more"),
        ({"hidden_units": (4, 1.5)}, "hidden_units has 1.5"),
        ({"hidden_units": 64}, "hidden_units is 64; it must be a list of widths"),
        ({"dropout": 1.0}, "dropout is 1.0; it must be a number, at least 0 and below 1"),
        ({"dropout": "some"}, "dropout is 'some'"),
        ({"batch_norm": "no"}, "batch_norm is 'no'; it must be true or false"),
        ({"activation": "rleu"}, "activation is 'rleu'"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError, match=words):
            MLP(**options)

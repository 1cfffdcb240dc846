import numpy as np
import pytest

from models.final_mlp import FinalMLP
from models.spec.errors import UserError
from tests.model_test_case import ModelTestCase

PLAIN = {"batch_norm": False, "dropout": 0.0}


def _inputs(batch=6, fields=3, dim=4):
    return np.random.default_rng(1).normal(size=(batch, fields, dim)).astype("float32")


def _randomised(layer, x):
    """The layer with random weights, biases too."""
    layer.build(x.shape)
    rng = np.random.default_rng(0)
    for weight in layer.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return layer


def _dense(x, weights):
    return x @ np.asarray(weights[0]) + np.asarray(weights[1])


class TestFinalMLP(ModelTestCase):
    @pytest.mark.parametrize("options, width", [
        ({}, 3 * 64),
        ({"hidden_units": [8, 6], "hidden_units_2": [4], "num_heads": 1, "feature_gating": False}, 6 + 2 * 4),
        ({"hidden_units": (6,), "hidden_units_2": (9,), "num_heads": 3, "gate_fields_1": [0, 2],
          "gate_units": [], **PLAIN}, 6 + 2 * 9),
    ])
    def test_basics(self, options, width, tmp_path):
        self.check_all(lambda: FinalMLP(**options), _inputs(), (6, width), tmp_path)

    def test_sum_of_the_products_is_the_papers_bilinear_form(self):
        layer = FinalMLP((6,), (4,), num_heads=2, feature_gating=False, **PLAIN)
        x = _inputs()
        output = np.asarray(_randomised(layer, x)(x))
        first, second = (np.maximum(_dense(x.reshape(6, 12), tower.weights), 0) for tower in layer.towers)
        np.testing.assert_allclose(output[:, :10], np.concatenate([first, second], 1), rtol=1e-4, atol=1e-5)
        kernels = np.asarray(layer._kernel)
        assert kernels.shape == (2, 3, 2)
        for i in range(6):
            expected = sum(first[i, 3 * h : 3 * h + 3] @ kernels[h] @ second[i, 2 * h : 2 * h + 2]
                           for h in range(2))
            np.testing.assert_allclose(output[i, 10:].sum(), expected, rtol=1e-4, atol=1e-5)

    def test_gates_by_fields_and_by_a_learnt_vector(self):
        layer = FinalMLP((5,), num_heads=1, gate_units=(7,), gate_fields_2=(2, 0), **PLAIN)
        x = _inputs()
        output = np.asarray(_randomised(layer, x)(x))
        learnt, by_fields = layer._gates
        contexts = (np.repeat(np.asarray(learnt._context), 6, 0), np.concatenate([x[:, 2], x[:, 0]], 1))
        for i, (gate, context) in enumerate(zip((learnt, by_fields), contexts)):
            hidden = np.maximum(_dense(context, gate._inner.weights), 0)
            factors = 2 / (1 + np.exp(-_dense(hidden, gate._outer.weights)))
            stream = np.maximum(_dense(x.reshape(6, 12) * factors, layer.towers[i].weights), 0)
            np.testing.assert_allclose(output[:, 5 * i : 5 * i + 5], stream, rtol=1e-4, atol=1e-5)

    def test_second_stream_is_as_wide_as_the_first_but_its_own(self):
        layer = FinalMLP((6, 4), feature_gating=False)
        layer(_inputs())
        first, second = (tower.weights for tower in layer.towers)
        assert [w.shape for w in first] == [w.shape for w in second]
        assert not np.array_equal(first[0], second[0])

    @pytest.mark.parametrize("options, words", [
        ({"num_heads": 3}, "hidden_units ends with 64, which is no multiple of num_heads 3"),
        ({"hidden_units_2": (8, 5)}, "hidden_units_2 ends with 5"),
        ({"hidden_units": ()}, "hidden_units is ()"),
        ({"num_heads": 0}, "num_heads is 0"),
        ({"gate_units": (0,)}, "gate_units has 0"),
        ({"gate_fields_1": 2}, "gate_fields_1 is 2"),
        ({"gate_fields_2": ["user"]}, "a position in gate_fields_2 is 'user'"),
        ({"gate_fields_2": (1, 3)}, "gate_fields_2 has 3, but the last of the 3 fields is 2"),
        ({"feature_gating": "yes"}, "feature_gating is 'yes'"),
        ({"dropout": 1.0}, "dropout is 1.0"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError) as error:
            FinalMLP(**options).build((None, 3, 4))
        assert words in str(error.value)

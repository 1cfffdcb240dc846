import numpy as np
import pytest

from models.spec.errors import UserError
from models.target_attention import TargetAttention
from tests.model_test_case import ModelTestCase


def _inputs(batch=5, length=4, dim=3):
    rng = np.random.default_rng(1)
    present = np.arange(length) < np.array([4, 2, 1, 0, 3])[:batch, None]
    return (rng.normal(size=(batch, dim)).astype("float32"),
            rng.normal(size=(batch, length, dim)).astype("float32"), present)


def _by_loops(target, history, present, layer):
    """One row's attention as the paper writes it, on the concatenation of all four parts."""
    kernel, bias = np.asarray(layer._kernel), np.asarray(layer._bias)
    scores = []
    for entry in history:
        x = np.concatenate([entry, target, entry - target, entry * target])
        x = np.maximum(x @ kernel + bias, 0)
        if layer._inner.weights:
            inner_kernel, inner_bias = (np.asarray(w) for w in layer._inner.weights)
            x = np.maximum(x @ inner_kernel + inner_bias, 0)
        outer_bias = 0 if layer.softmax else np.asarray(layer._outer.bias)[0]
        scores.append((x @ np.asarray(layer._outer.kernel))[0] + outer_bias)
    scores = np.array(scores)[present]
    if layer.softmax:
        scores = np.exp(scores) / np.exp(scores).sum()
    return sum((a * h for a, h in zip(scores, history[present])), np.zeros(3))


class TestTargetAttention(ModelTestCase):
    @pytest.mark.parametrize("options", [{}, {"softmax": True}, {"hidden_units": [6]}])
    def test_basics(self, options, tmp_path):
        self.check_all(lambda: TargetAttention(**options), _inputs(), (5, 3), tmp_path)

    @pytest.mark.parametrize("hidden_units", [(6,), (6, 5)])
    @pytest.mark.parametrize("softmax", [False, True])
    def test_is_the_papers(self, hidden_units, softmax):
        layer = TargetAttention(hidden_units, softmax)
        target, history, present = _inputs()
        layer.build(target.shape)
        rng = np.random.default_rng(0)
        for weight in layer.weights:
            weight.assign(rng.normal(size=weight.shape))
        output = np.asarray(layer(target, history, present))
        for i in range(5):
            expected = _by_loops(target[i], history[i], present[i], layer)
            np.testing.assert_allclose(output[i], expected, rtol=1e-4, atol=1e-5)
        assert not output[3].any(), "an empty history"

    @pytest.mark.parametrize("softmax", [False, True])
    def test_padding_does_not_matter(self, softmax):
        layer = TargetAttention(softmax=softmax)
        target, history, present = _inputs()
        expected = np.asarray(layer(target, history, present))
        history[~present] = 1e3
        np.testing.assert_allclose(layer(target, history, present), expected, rtol=1e-5, atol=1e-6)

    def test_starts_near_the_sum_of_the_entries(self):
        target, history, present = _inputs()
        small = 0.01 * history
        output = TargetAttention()(0.01 * target, small, present)
        np.testing.assert_allclose(output, (small * present[..., None]).sum(1), atol=2e-3)
        output = TargetAttention(softmax=True)(0.01 * target, small, present)
        counts = np.maximum(present.sum(1), 1)[:, None]
        np.testing.assert_allclose(output, (small * present[..., None]).sum(1) / counts, atol=1e-3)

    @pytest.mark.parametrize("options, words", [
        ({"hidden_units": ()}, "hidden_units is ()"),
        ({"hidden_units": (0,)}, "hidden_units has 0"),
        ({"softmax": 1}, "softmax is 1"),
    ])
    def test_refuses_what_cannot_be(self, options, words):
        with pytest.raises(UserError) as error:
            TargetAttention(**options)
        assert words in str(error.value)

"""Attention of a history to the row's target."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_flag, check_units


@keras.saving.register_keras_serializable(package="ctrl")
class TargetAttention(keras.layers.Layer):
    """Sums a history up by how much each entry says about the target: DIN (arXiv 1706.06978, sec. 4.3).

    The activation unit, a small tower, gives every entry `h` its weight by the target `t`:

        a(h, t) = w . tower([h, t, h - t, h * t]) + b,    result = sum_h a(h, t) h

    The weights need not add up to 1, so that a long history of what resembles the target
    counts for more than a short one; `softmax` normalises them over the entries. Without
    it, `b` starts at 1, so that the sum is at first nearly that of the entries, the paper's
    base model (sec. 4.2), and their vectors learn from the first step. The unit has ReLU in
    place of the paper's Dice, whose statistics padding would distort.

    Args:
        hidden_units: widths of the unit's inner layers, at least one.
        softmax: whether an entry's weight is the softmax of the units' outputs.

    Call arguments:
        target: float tensor `[batch, dim]`.
        history: float tensor `[batch, length, dim]`.
        present: bool tensor `[batch, length]`, false where the history is padded.

    Returns:
        Float tensor `[batch, dim]`; the zero vector where no entry is present.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    target, history = keras.random.normal((4, 8)), keras.random.normal((4, 10, 8))
    TargetAttention()(target, history, np.ones((4, 10), bool)).shape  # (4, 8)
    ```
    """

    def __init__(self, hidden_units=(64, 32), softmax=False, **kwargs):
        super().__init__(**kwargs)
        check_units("hidden_units", hidden_units, 1)
        check_flag("softmax", softmax)
        self.hidden_units = tuple(hidden_units)
        self.softmax = softmax

    def build(self, target_shape, history_shape=None, present_shape=None):
        dim = target_shape[-1]
        units = self.hidden_units[0]
        # The first layer's weights for h, t, h - t and h * t, one below the other; initial values as of one
        # dense layer on all four.
        self._kernel = self.add_weight(name="kernel", shape=(4 * dim, units), initializer="glorot_uniform")
        self._bias = self.add_weight(name="bias", shape=(units,), initializer="zeros")
        self._inner = MLP(self.hidden_units[1:], dropout=0.0, batch_norm=False)
        self._inner.build((None, units))
        # The softmax would cancel a bias.
        self._outer = keras.layers.Dense(1, use_bias=not self.softmax, bias_initializer="ones")
        self._outer.build((None, self.hidden_units[-1]))
        self.built = True

    def call(self, target, history, present):
        length, dim = history.shape[1:]
        of_history, of_target, of_difference, of_product = ops.split(self._kernel, 4, axis=0)
        # [h, t, h - t, h * t] @ kernel with like terms collected: half the products, the target's once a row
        # and not once an entry, and nothing four times as wide as the history.
        pair = ops.concatenate([history, history * target[:, None]], axis=-1)
        by_entry = ops.matmul(ops.reshape(pair, (-1, 2 * dim)),
                              ops.concatenate([of_history + of_difference, of_product], axis=0))
        by_row = ops.matmul(target, of_target - of_difference) + self._bias
        hidden = ops.reshape(by_entry, (-1, length, self.hidden_units[0])) + by_row[:, None]
        hidden = ops.reshape(ops.relu(hidden), (-1, self.hidden_units[0]))
        scores = ops.reshape(self._outer(self._inner(hidden)), (-1, length))
        if self.softmax:
            # Finite also in half precision; a row without entries is zeroed below.
            scores = ops.softmax(ops.where(present, scores, -1e4), axis=-1)
        weights = scores * ops.cast(present, scores.dtype)
        return ops.squeeze(ops.matmul(weights[:, None], history), axis=1)

    def compute_output_shape(self, target_shape, history_shape=None, present_shape=None):
        return tuple(target_shape)

    def get_config(self):
        return {**super().get_config(), "hidden_units": list(self.hidden_units), "softmax": self.softmax}

"""The DCN backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_whole


@keras.saving.register_keras_serializable(package="ctrl")
class DCN(keras.layers.Layer):
    """Learns feature crosses of bounded degree beside a tower: Deep & Cross Network (arXiv 1708.05123).

    The cross network (sec. 2.2) multiplies the flattened vectors `x_0` with themselves,
    one degree more a layer, at the cost of two vectors of weights a layer:

        x_{l+1} = x_0 (x_l . w_l) + b_l + x_l

    Its output stands beside that of a feed-forward tower on the same vectors (sec. 2.3),
    so that a linear layer on both is the paper's combination layer (sec. 2.4). See
    `models/backbones.py` for the interface.

    Args:
        num_layers: cross layers; the crosses' highest degree is one more.
        hidden_units: widths of the tower's layers; empty for no tower.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, fields * dim + last of hidden_units]`: crosses, then tower.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    DCN(num_layers=2, hidden_units=(64,))(keras.random.normal((4, 9, 32))).shape  # (4, 9 * 32 + 64)
    ```
    """

    def __init__(self, num_layers=3, hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        check_whole("num_layers", num_layers, 1)
        self.num_layers = num_layers
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        width = num_fields * dim
        self._kernels = self.add_weight(
            name="kernels", shape=(width, self.num_layers), initializer="glorot_uniform")
        self._biases = self.add_weight(name="biases", shape=(self.num_layers, width), initializer="zeros")
        self.tower.build((None, width))
        self.built = True

    def call(self, inputs, training=False):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        crossed = self._cross(flat)
        if not self.tower.hidden_units:
            return crossed
        return ops.concatenate([crossed, self.tower(flat, training=training)], axis=-1)

    def _cross(self, x_0):
        """The last cross layer's output, `[batch, fields * dim]`.

        Every layer's output is a multiple of `x_0` plus the biases so far, `x_l = a_l x_0 + s_l`, so only the
        factor `a_l`, one number a row, has to go through the layers: all inner products with `x_0` are one
        matrix product.
        """
        products = ops.split(ops.matmul(x_0, self._kernels), self.num_layers, axis=-1)
        sums = ops.cumsum(self._biases, axis=0)
        # s_l . w_l of the second layer on; the first has no biases before it.
        of_sums = ops.sum(sums[:-1] * ops.transpose(self._kernels)[1:], axis=-1)
        factor = 1 + products[0]
        for layer in range(1, self.num_layers):
            factor = factor + factor * products[layer] + of_sums[layer - 1]
        return factor * x_0 + sums[-1]

    def compute_output_shape(self, input_shape):
        width = input_shape[1] * input_shape[2]
        return (input_shape[0], width + sum(self.tower.hidden_units[-1:]))

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }

"""The xDeepFM backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_units


@keras.saving.register_keras_serializable(package="ctrl")
class XDeepFM(keras.layers.Layer):
    """A compressed interaction network beside a linear part and a tower: xDeepFM (arXiv 1803.05170).

    The compressed interaction network, CIN (sec. 3.1), crosses vectors entry by
    entry, one degree more a layer. Row `h` of layer `k` is a weighted sum of the products of
    all rows of the layer before with all fields' vectors `x_0`:

        x_k[h] = sum_{i,j} W_k[h, i, j] (x_{k-1}[i] * x_0[j])

    The sums over each row's entries are the layer's contribution to the logit, beside a
    weight an id and a feed-forward tower (sec. 3.3). The representation is the
    first-order sum, those sums of all CIN layers, and the tower's output: the linear layer
    on it is the paper's output unit, with a factor on the first-order sum. As in the paper,
    no activation stands between the CIN's layers. See `models/backbones.py` for the
    interface.

    The products that a layer reads take `batch * dim * fields * rows` floats of memory, the
    rows being those of the layer before: that is what bounds `cin_units`.

    Args:
        cin_units: rows of the CIN's layers, at least one layer.
        hidden_units: widths of the tower's layers; empty for no tower.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        first_order: float tensor `[batch, fields]`, the weight of each field's id.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, 1 + sum of cin_units + last of hidden_units]`: first-order
        sum, CIN, tower.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    v, w = keras.random.normal((4, 9, 32)), keras.random.normal((4, 9))
    XDeepFM(cin_units=(16, 16), hidden_units=(64,))(v, w).shape  # (4, 1 + 32 + 64)
    ```
    """

    first_order = True

    def __init__(self, cin_units=(32, 32), hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1,
                 **kwargs):
        super().__init__(**kwargs)
        check_units("cin_units", cin_units, least=1)
        self.cin_units = tuple(cin_units)
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        before = (num_fields, *self.cin_units)
        self._cin_kernels = [
            self.add_weight(name=f"cin_kernel_{layer}", shape=(num_fields * rows, units),
                            initializer="glorot_uniform")
            for layer, (rows, units) in enumerate(zip(before, self.cin_units))
        ]
        self.tower.build((None, num_fields * dim))
        self.built = True

    def call(self, inputs, first_order, training=False):
        parts = [ops.sum(first_order, axis=-1, keepdims=True), self._interact(inputs)]
        if self.tower.hidden_units:
            flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
            parts.append(self.tower(flat, training=training))
        return ops.concatenate(parts, axis=-1)

    def _interact(self, inputs):
        """The sums over the rows of all CIN layers, `[batch, sum of cin_units]`."""
        num_fields, dim = inputs.shape[1:]
        # Fields come first, so that all products and sums run along the long axis of batch and vector:
        # measured on a CPU, up to twice as fast as with the fields last.
        x_0 = ops.reshape(ops.transpose(inputs, (1, 0, 2)), (num_fields, -1))
        x, sums = x_0, []
        for kernel in self._cin_kernels:
            inputs_of_layer, units = kernel.shape
            products = ops.reshape(x[:, None] * x_0, (inputs_of_layer, -1))
            x = ops.matmul(ops.transpose(kernel), products)
            sums.append(ops.sum(ops.reshape(x, (units, -1, dim)), axis=-1))
        return ops.transpose(ops.concatenate(sums, axis=0))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 + sum(self.cin_units) + sum(self.tower.hidden_units[-1:]))

    def get_config(self):
        return {
            **super().get_config(),
            "cin_units": list(self.cin_units),
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }

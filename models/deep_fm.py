"""The DeepFM backbone."""

import keras
from keras import ops

from models.mlp import MLP


@keras.saving.register_keras_serializable(package="ctrl")
class DeepFM(keras.layers.Layer):
    """A factorisation machine and a tower on the same vectors: DeepFM (arXiv 1703.04247).

    The factorisation machine adds a weight an id and the inner products of all pairs of
    fields' vectors, the latter in time linear in the fields (Rendle,
    doi.org/10.1109/ICDM.2010.127) by

        sum_{i<j} v_i . v_j = 1/2 sum_d ((sum_i v_id)^2 - sum_i v_id^2)

    The tower reads the same vectors. Their sum is the logit (sec. 2.1):

        logit = sum_i w_i + sum_{i<j} v_i . v_j + w_deep . tower(v) + b

    The representation is the two sums and the tower's output: the linear layer on it is
    the formula above, with a factor on each sum. See `models/backbones.py` for the
    interface.

    Args:
        hidden_units: widths of the tower's layers; with none this is a plain
            factorisation machine.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        first_order: float tensor `[batch, fields]`, the weight of each field's id.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, 2 + last of hidden_units]`: first-order sum, second-order
        sum, tower.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    v, w = keras.random.normal((4, 9, 32)), keras.random.normal((4, 9))
    DeepFM(hidden_units=(128, 64))(v, w).shape  # (4, 2 + 64)
    ```
    """

    first_order = True

    def __init__(self, hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        self.tower.build((None, num_fields * dim))
        self.built = True

    def call(self, inputs, first_order, training=False):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        first = ops.sum(first_order, axis=-1, keepdims=True)
        square_of_sum = ops.square(ops.sum(inputs, axis=1))
        second = 0.5 * (ops.sum(square_of_sum, axis=-1, keepdims=True)
                        - ops.sum(ops.square(flat), axis=-1, keepdims=True))
        parts = [first, second]
        if self.tower.hidden_units:
            parts.append(self.tower(flat, training=training))
        return ops.concatenate(parts, axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 2 + sum(self.tower.hidden_units[-1:]))

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }

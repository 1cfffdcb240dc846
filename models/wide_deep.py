"""The Wide & Deep backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_units


@keras.saving.register_keras_serializable(package="ctrl")
class WideDeep(keras.layers.Layer):
    """Trains a linear model of the ids and a tower jointly: Wide & Deep (arXiv 1606.07792).

    The wide part (sec. 3.1) memorises: a weight an id, summed. The deep part (sec. 3.2)
    generalises: a feed-forward tower on the fields' vectors. Both are added to the logit
    (sec. 3.3):

        logit = sum_i w_i + w_deep . tower(v) + b

    The paper's wide part also has products of ids that people chose; here there are none,
    since a log's specification names none. The representation is the wide sum and the
    tower's output: the linear layer on it is the formula above, with a factor on the
    sum. See `models/backbones.py` for the interface.

    Args:
        hidden_units: widths of the tower's layers, at least one.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        first_order: float tensor `[batch, fields]`, the weight of each field's id.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, 1 + last of hidden_units]`: wide sum, then tower.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    v, w = keras.random.normal((4, 9, 32)), keras.random.normal((4, 9))
    WideDeep(hidden_units=(128, 64))(v, w).shape  # (4, 1 + 64)
    ```
    """

    first_order = True

    def __init__(self, hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        # Without a tower nothing would read the fields' vectors.
        check_units("hidden_units", hidden_units, least=1)
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        self.tower.build((None, num_fields * dim))
        self.built = True

    def call(self, inputs, first_order, training=False):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        wide = ops.sum(first_order, axis=-1, keepdims=True)
        return ops.concatenate([wide, self.tower(flat, training=training)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], 1 + self.tower.hidden_units[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }

"""The feed-forward tower that backbones share."""

import keras

from models.options import check_flag, check_share, check_units
from models.spec.errors import UserError


@keras.saving.register_keras_serializable(package="ctrl")
class MLP(keras.layers.Layer):
    """Dense layers, each followed by batch normalisation, an activation and dropout.

    The "DNN" of the backbones' papers, without an output layer. The defaults are CTRL's
    setting: hidden layers of 256, 128 and 64, batch norm and dropout (arXiv 2306.02841).

    Args:
        hidden_units: widths of the layers; with none, inputs pass as they are.
        dropout: share of each layer's activations dropped in training.
        batch_norm: whether each layer is normalised over the batch, before its
            activation.
        activation: name of a Keras activation.

    Call arguments:
        inputs: float tensor `[batch, ..., dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, ..., last of hidden_units]`.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    MLP((64, 16))(keras.random.normal((4, 9))).shape  # (4, 16)
    ```
    """

    def __init__(self, hidden_units=(256, 128, 64), dropout=0.1, batch_norm=True, activation="relu",
                 **kwargs):
        super().__init__(**kwargs)
        check_units("hidden_units", hidden_units)
        check_share("dropout", dropout)
        check_flag("batch_norm", batch_norm)
        try:
            keras.activations.get(activation)
        except ValueError:
            raise UserError(f"activation is {activation!r}, which Keras does not have; "
                            "there are relu, sigmoid, tanh, gelu and more") from None
        self.hidden_units = tuple(hidden_units)
        self.dropout = dropout
        self.batch_norm = batch_norm
        self.activation = activation

    def build(self, input_shape):
        shape = tuple(input_shape)
        self._stack = []
        for units in self.hidden_units:
            # The normalisation's own offset makes a bias before it useless.
            block = [keras.layers.Dense(units, use_bias=not self.batch_norm)]
            if self.batch_norm:
                # Momentum 0.99, the default, would leave the moving averages near their initial
                # values through the first epochs of a small log.
                block.append(keras.layers.BatchNormalization(momentum=0.9))
            block += [keras.layers.Activation(self.activation), keras.layers.Dropout(self.dropout)]
            for layer in block:
                layer.build(shape)
                shape = (*shape[:-1], units)
            self._stack += block
        self.built = True

    def call(self, inputs, training=False):
        x = inputs
        for layer in self._stack:
            x = layer(x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.hidden_units[-1] if self.hidden_units else input_shape[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": list(self.hidden_units),
            "dropout": self.dropout,
            "batch_norm": self.batch_norm,
            "activation": self.activation,
        }

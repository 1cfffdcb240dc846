"""The text side of a row, read by a language model that is trained along."""

import keras
from keras import ops

from models.spec.errors import UserError

_INPUTS = {"token_ids", "padding_mask", "segment_ids"}


@keras.saving.register_keras_serializable(package="ctrl")
class LanguageTower(keras.layers.Layer):
    """Reads a row's sentence with a language model: the fine-tune mode's M_sem.

    A row's vector is the mean of the last hidden states over its real tokens (CTRL,
    arXiv 2306.02841, sec. 4.2).

    Args:
        backbone: a `keras_hub.models.Backbone` with the inputs `token_ids` and
            `padding_mask`, and `segment_ids` or not (BERT, RoBERTa, DistilBERT, ALBERT).
            Its layers are shared, not copied. A pooler on top is left out.
        pad_id: the id of the padding token.
        trainable: whether the language model's weights are. When they are not, its
            dropout is off too.

    Call arguments:
        inputs: dict with `token_ids`, int tensor `[batch, tokens]`.
        training: whether dropout is on.

    Returns:
        Float tensor `[batch, width]`; zeros where a row is all padding.

    Raises:
        UserError: the backbone wants other inputs.

    Example:

    ```python
    tower = LanguageTower(keras_hub.models.BertBackbone.from_preset("bert_tiny_en_uncased"), pad_id=0)
    tower({"token_ids": np.array([[101, 7592, 102, 0]])}).shape  # (1, 128)
    ```
    """

    def __init__(self, backbone, pad_id=0, trainable=True, **kwargs):
        super().__init__(trainable=trainable, **kwargs)
        self.pad_id = pad_id
        self._input_names = [tensor.name for tensor in backbone.inputs]
        unknown = sorted(set(self._input_names) - _INPUTS)
        if unknown or "token_ids" not in self._input_names:
            raise UserError(
                f"language model {backbone.name!r} reads {', '.join(self._input_names)}; one that reads "
                f"{', '.join(sorted(_INPUTS))} is needed, as BERT, RoBERTa, DistilBERT and ALBERT do")
        output = backbone.output
        # A model that ends at the hidden states: the pooler of BERT gets no gradient, and Keras would
        # warn of it at every fit.
        self.encoder = keras.Model(
            dict(zip(self._input_names, backbone.inputs, strict=True)),
            output["sequence_output"] if isinstance(output, dict) else output,
            name="encoder",
        )
        self.encoder.trainable = trainable
        self.output_dim = self.encoder.output.shape[-1]

    def call(self, inputs, training=False):
        hidden, real = self.hidden_states(inputs, training=training)
        weights = ops.cast(real, hidden.dtype)[:, :, None]
        return ops.sum(hidden * weights, axis=1) / ops.maximum(ops.sum(weights, axis=1), 1)

    def hidden_states(self, inputs, training=False):
        """The last hidden states of all tokens.

        Args:
            inputs: dict as for the call.
            training: whether dropout is on.

        Returns:
            Float tensor `[batch, tokens, width]`, and int32 `[batch, tokens]`: 1 for a
            real token, 0 for padding.
        """
        token_ids = ops.cast(inputs["token_ids"], "int32")
        real = ops.cast(ops.not_equal(token_ids, self.pad_id), "int32")
        arguments = {"token_ids": token_ids, "padding_mask": real, "segment_ids": ops.zeros_like(token_ids)}
        hidden = self.encoder(
            {name: arguments[name] for name in self._input_names}, training=bool(training) and self.trainable)
        return hidden, real

    def text_keys(self, inputs):
        """Integers that are equal in every column for two rows with the same text.

        Args:
            inputs: dict as for the call.

        Returns:
            Int32 tensor `[batch, tokens]`.
        """
        return ops.cast(inputs["token_ids"], "int32")

    def compute_output_shape(self, input_shape):
        return (input_shape["token_ids"][0], self.output_dim)

    def get_config(self):
        return {
            **super().get_config(),
            "backbone": keras.saving.serialize_keras_object(self.encoder),
            "pad_id": self.pad_id,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**{**config, "backbone": keras.saving.deserialize_keras_object(config["backbone"])})

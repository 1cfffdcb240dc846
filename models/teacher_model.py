"""The teacher: a click model that reads both modalities."""

import math

import keras
from keras import ops

from models.alignment_model import without_output_layer


class TeacherModel(keras.Model):
    """Predicts the click from a row's IDs and its text together.

    An addition to CTRL (arXiv 2306.02841), whose second stage has no teacher: the
    aligned ID model's representation and a linear map of the text tower's vector go
    through one perceptron. Fine-tuned on clicks, it labels softly for `Distiller`.

    Args:
        ctr_model: `CTRModel`, aligned; its `represent` is trained along. A copy of its
            own, not the one that becomes the student. Its output layer takes no part.
        tower: `TextTower` or `LanguageTower`.
        projection_dim: dimensions the text is mapped to.
        hidden: units of the hidden layers.
        dropout: rate after each hidden layer.
        text_projection: layer to start from in place of a new linear one, as the
            `text_projection` of an `AlignmentModel`; then `projection_dim` says nothing.

    Call arguments:
        inputs: dict of the transformed features and what the tower reads.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Logits, float32 tensor `[batch]`.

    Example:

    ```python
    teacher = TeacherModel(ctr_model, tower, text_projection=alignment.text_projection)
    teacher.compile("adam", loss=keras.losses.BinaryCrossentropy(from_logits=True))
    teacher.fit(dataset)
    ```
    """

    def __init__(self, ctr_model, tower, projection_dim=128, hidden=(128, 64), dropout=0.1,
                 text_projection=None, **kwargs):
        super().__init__(**kwargs)
        self.ctr_model = ctr_model
        self.tower = tower
        self.text_projection = text_projection or keras.layers.Dense(projection_dim, name="text_projection")
        self.hidden_layers = [
            keras.layers.Dense(units, activation="relu", name=f"hidden_{i}")
            for i, units in enumerate(hidden)
        ]
        self.dropout = keras.layers.Dropout(dropout)
        self.output_layer = keras.layers.Dense(1, dtype="float32", name="output")
        self.build()

    def build(self, input_shape=None):
        # Both sides' widths are known, so all weights exist before the first row.
        text = (None, self.tower.output_dim)
        if not self.text_projection.built:
            self.text_projection.build(text)
        projected = math.prod(self.text_projection.compute_output_shape(text)[1:])
        width = self.ctr_model.representation_dim + projected
        for layer in (*self.hidden_layers, self.output_layer):
            layer.build((None, width))
            width = layer.units
        self.built = True

    def represent(self, inputs, training=False):
        """What the output layer reads.

        Args:
            inputs: dict as for the call.
            training: as for the call.

        Returns:
            Float tensor `[batch, last of hidden]`.
        """
        text = self.text_projection(self.tower(inputs, training=training))
        # A projection to sub-vectors gives [batch, num_subspaces, width].
        text = ops.reshape(text, (-1, math.prod(text.shape[1:])))
        x = ops.concatenate([self.ctr_model.represent(inputs, training=training), text], axis=-1)
        for layer in self.hidden_layers:
            x = self.dropout(layer(x), training=training)
        return x

    def logits(self, representation):
        """Logits `[batch]`, float32, of what `represent` gave."""
        return ops.squeeze(self.output_layer(representation), axis=-1)

    def call(self, inputs, training=False):
        return self.logits(self.represent(inputs, training=training))

    @property
    def trainable_weights(self):
        return without_output_layer(super().trainable_weights, self.ctr_model)

    @property
    def trainable_variables(self):
        return without_output_layer(super().trainable_variables, self.ctr_model)

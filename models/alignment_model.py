"""Stage 1: the ID model and the language model learn to agree on a row."""

import keras
from keras import ops

from models.contrastive_loss import ContrastiveLoss, duplicate_pairs, mask_pairs
from models.max_sim import MaxSimProjection, max_sim_both, unit_length

# Uniformity compares all pairs; a part of a large batch estimates it well enough.
_UNIFORMITY_ROWS = 256


class AlignmentModel(keras.Model):
    """Contrastive alignment of a row's IDs with its text (CTRL, arXiv 2306.02841, sec. 4.2).

    The ID model's representation and the text tower's vector are projected to the
    sub-vectors of a shared space, and symmetric InfoNCE with max-sim pulls a row's two
    views together. Labels are not used. The ID model's output layer takes no part.

    Metrics, in training and in `evaluate`: `loss`; `text_to_tabular_accuracy` and
    `tabular_to_text_accuracy`, the share of rows whose counterpart in the batch is
    the most similar (chance is 1 / batch size, so compare equal batch sizes only);
    `alignment` and `uniformity` (Wang & Isola, arXiv 2005.10242; lower is better for
    both) of the sub-vectors laid side by side and scaled to length 1, the latter as
    the mean of both modalities; `temperature` where it is learned.

    Args:
        ctr_model: `CTRModel`, the ID model, of which `represent` is trained.
        tower: `TextTower` or `LanguageTower`: inputs dict to `[batch, width]`.
        num_subspaces: sub-vectors of a projection (M).
        width: dimensions of a sub-vector.
        temperature: of the contrastive loss; where it starts when it is learned.
        normalize: whether sub-vectors are scaled to length 1.
        learn_temperature: whether the temperature is a weight.
        mask_duplicates: whether rows with the same text are left out of each other's
            negatives.

    Call arguments:
        inputs: dict of the transformed features and what the tower reads.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Text and tabular projections, float tensors `[batch, num_subspaces, width]`.

    Example:

    ```python
    model = AlignmentModel(ctr_model, tower, num_subspaces=4, width=32, temperature=0.1)
    model.compile(optimizer=keras.optimizers.AdamW(5e-4))
    model.fit(dataset)
    ```
    """

    def __init__(self, ctr_model, tower, num_subspaces=4, width=32, temperature=0.7, normalize=True,
                 learn_temperature=False, mask_duplicates=True, **kwargs):
        super().__init__(**kwargs)
        self.ctr_model = ctr_model
        self.tower = tower
        self.mask_duplicates = mask_duplicates
        self.text_projection = MaxSimProjection(num_subspaces, width, normalize, name="text_projection")
        self.tabular_projection = MaxSimProjection(num_subspaces, width, normalize, name="tabular_projection")
        self.contrastive_loss = ContrastiveLoss(temperature, learn_temperature, name="contrastive_loss")
        self._accuracies = [
            keras.metrics.Mean(name="text_to_tabular_accuracy"),
            keras.metrics.Mean(name="tabular_to_text_accuracy"),
        ]
        self._alignment = keras.metrics.Mean(name="alignment")
        self._uniformity = keras.metrics.Mean(name="uniformity")
        self._temperature = keras.metrics.Mean(name="temperature") if learn_temperature else None
        self.build()

    def build(self, input_shape=None):
        # Both sides' widths are known, so all weights exist before the first row.
        self.text_projection.build((None, self.tower.output_dim))
        self.tabular_projection.build((None, self.ctr_model.representation_dim))
        self.built = True

    def call(self, inputs, training=False):
        text = self.text_projection(self.tower(inputs, training=training))
        tabular = self.tabular_projection(self.ctr_model.represent(inputs, training=training))
        return text, tabular

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        loss = self.contrast(x, *y_pred)
        for penalty in self.losses:
            loss = loss + ops.sum(penalty)
        return loss

    def contrast(self, inputs, text, tabular):
        """The contrastive loss of a batch, without penalties; its metrics are updated.

        Args:
            inputs: dict as for the call.
            text: text projections, as from the call.
            tabular: tabular projections.

        Returns:
            Float scalar.
        """
        similarities = max_sim_both(text, tabular)
        if self.mask_duplicates:
            pairs = duplicate_pairs(self.tower.text_keys(inputs))
            similarities = [mask_pairs(similarity, pairs) for similarity in similarities]
        loss = self.contrastive_loss(*similarities)
        for metric, similarity in zip(self._accuracies, similarities, strict=True):
            found = ops.argmax(similarity, axis=-1)
            metric.update_state(ops.equal(found, ops.arange(ops.shape(found)[0], dtype=found.dtype)))
        self._update_geometry(_flat(text), _flat(tabular))
        if self._temperature is not None:
            self._temperature.update_state(self.contrastive_loss.temperature)
        return loss

    def _update_geometry(self, text, tabular):
        self._alignment.update_state(ops.sum(ops.square(text - tabular), axis=-1))
        text, tabular = text[:_UNIFORMITY_ROWS], tabular[:_UNIFORMITY_ROWS]
        rows = ops.shape(text)[0]
        self._uniformity.update_state(
            0.5 * (_uniformity(text) + _uniformity(tabular)), sample_weight=ops.cast(rows > 1, "float32"))

    @property
    def trainable_weights(self):
        return without_output_layer(super().trainable_weights, self.ctr_model)

    @property
    def trainable_variables(self):
        return without_output_layer(super().trainable_variables, self.ctr_model)


def _flat(projection):
    """Sub-vectors side by side, scaled to length 1: `[batch, num_subspaces * width]`."""
    return unit_length(ops.reshape(projection, (-1, projection.shape[1] * projection.shape[2])))


def _uniformity(x):
    """Log of the mean Gaussian potential of all pairs of different rows of `x`, unit vectors."""
    rows = ops.cast(ops.shape(x)[0], x.dtype)
    # exp(-2 |a - b|^2) of unit vectors; the diagonal's ones are taken off afterwards.
    potential = ops.sum(ops.exp(4 * (ops.matmul(x, ops.transpose(x)) - 1))) - rows
    # exp(-8), of opposite vectors, is the least there is: the floor only serves a batch of one row.
    return ops.log(ops.maximum(potential / ops.maximum(rows * (rows - 1), 1), 1e-4))


def without_output_layer(variables, ctr_model):
    """The variables less those of the ID model's output layer.

    A loss on `represent` does not reach that layer: with it among the trained weights
    Keras warns of missing gradients at every fit. It is left out instead of frozen, for
    the same ID model is trained on clicks afterwards.
    """
    left_out = {id(v) for v in ctr_model.output_layer.variables}
    return [v for v in variables if id(v) not in left_out]

"""Stage 1: the ID model and the language model learn to agree on a row."""

import keras
import tensorflow as tf
from keras import ops

from models import distribution
from models.contrastive_loss import ContrastiveLoss, duplicate_pairs, mask_pairs, row_losses
from models.gradient_caching import cached_gradients, map_chunks
from models.masked_feature_model import MaskedFeatureModel
from models.max_sim import MaxSimProjection, max_sim, max_sim_both, unit_length
from models.spec.errors import UserError
from models.subspace_usage import subspace_usage

# Uniformity compares all pairs; a part of a large batch estimates it well enough.
_UNIFORMITY_ROWS = 256
_DIRECTIONS = ("text_to_tabular", "tabular_to_text")


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
    the mean of both modalities; `text_to_tabular_subspace_usage` and
    `tabular_to_text_subspace_usage`, how evenly the sub-vectors win the maximum (see
    `subspace_usage`), where there are several; `temperature` where it is learned.

    With `masked_features` above 0 the loss has a second term, so weighted: recovering
    hidden fields from the text, see `MaskedFeatureModel`. Its metrics are
    `masked_feature_loss`, unweighted, and `masked_feature_accuracy`.

    With a `chunk_size` the batch, and so the number of negatives, may be larger than the
    encoders' memory: see `cached_gradients`. The similarities, `num_subspaces^2`
    matrices as large as the batch squared, are then computed for a chunk's rows at a
    time too, and again for their gradient. The loss and its gradient are those of the
    whole batch; only batch normalisation sees a chunk, and dropout draws once a chunk.

    On several replicas (`models.distribution`) the negatives are the rows of all of them, and duplicates
    are looked for among these: loss and gradient are those of the global batch. `uniformity` and
    the usage are means over the replicas' own rows, and hidden fields are told from ids of these.

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
        chunk_size: rows of a batch that are encoded and compared at once; 0 for all.
        masked_features: weight of masked-feature modelling; 0 leaves it out.
        mask_share: share of a row's fields that it hides.

    Call arguments:
        inputs: dict of the transformed features and what the tower reads.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Text and tabular projections, float tensors `[batch, num_subspaces, width]`; with
        `masked_features` what `MaskedFeatureModel` returns comes after them.

    Raises:
        UserError: a `chunk_size` on several replicas.

    Example:

    ```python
    model = AlignmentModel(ctr_model, tower, num_subspaces=4, width=32, temperature=0.1)
    model.compile(optimizer=keras.optimizers.AdamW(5e-4))
    model.fit(dataset)
    ```
    """

    def __init__(self, ctr_model, tower, num_subspaces=4, width=32, temperature=0.7, normalize=True,
                 learn_temperature=False, mask_duplicates=True, chunk_size=0, masked_features=0.0, mask_share=0.15,
                 **kwargs):
        super().__init__(**kwargs)
        self.ctr_model = ctr_model
        self.tower = tower
        if chunk_size and distribution.num_replicas() > 1:
            raise UserError(f"alignment.chunk_size is {chunk_size}, but gradient caching works on one device only: on "
                            "several, each holds its part of the batch already; set it to 0")
        self.mask_duplicates = mask_duplicates
        self.chunk_size = chunk_size
        # With mixed precision only the encoders compute in half: a low temperature magnifies rounding.
        full = {"dtype": "float32"}
        self.text_projection = MaxSimProjection(num_subspaces, width, normalize, name="text_projection", **full)
        self.tabular_projection = MaxSimProjection(num_subspaces, width, normalize, name="tabular_projection", **full)
        self.contrastive_loss = ContrastiveLoss(temperature, learn_temperature, name="contrastive_loss", **full)
        self.masked_features = masked_features
        self.masked_feature_model = None
        if masked_features:
            self.masked_feature_model = MaskedFeatureModel(
                ctr_model, tower.output_dim, mask_share, name="masked_feature_model")
            self._masked_metrics = [keras.metrics.Mean(name=f"masked_feature_{name}") for name in ("loss", "accuracy")]
        self._accuracies = [keras.metrics.Mean(name=f"{direction}_accuracy") for direction in _DIRECTIONS]
        self._usages = [
            keras.metrics.Mean(name=f"{direction}_subspace_usage") for direction in _DIRECTIONS if num_subspaces > 1]
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
        if training or not self.chunk_size:
            return self._encode(inputs, training)
        return map_chunks(
            lambda start, stop: self._encode({name: x[start:stop] for name, x in inputs.items()}, False),
            ops.shape(next(iter(inputs.values())))[0], self.chunk_size, self._output_shapes)

    def _encode(self, inputs, training):
        vectors = self.tower(inputs, training=training)
        tabular = self.ctr_model.represent(inputs, training=training)
        projections = self.text_projection(vectors), self.tabular_projection(tabular)
        if self.masked_feature_model is None:
            return projections
        return *projections, *self.masked_feature_model(inputs, vectors, training=training)

    @property
    def _output_shapes(self):
        shapes = [layer.compute_output_shape((None,)) for layer in (self.text_projection, self.tabular_projection)]
        if self.masked_feature_model is not None:
            shapes += self.masked_feature_model.compute_output_shape(None)
        return shapes

    def train_step(self, data):
        if not self.chunk_size:
            return super().train_step(data)
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)

        def scaled_loss(outputs):
            loss = self.compute_loss(x, y, outputs, sample_weight, training=True)
            for metric in self.metrics:
                if metric.name == "loss":
                    metric.update_state(loss, sample_weight=ops.shape(outputs[0])[0])
            return self.optimizer.scale_loss(loss)

        weights = self.trainable_weights
        gradients = cached_gradients(
            lambda rows: self(rows, training=True), scaled_loss, x, weights, self._state(), self.chunk_size,
            self._output_shapes)
        self.optimizer.apply_gradients(zip(gradients, weights, strict=True))
        return self.get_metrics_result()

    def _state(self):
        """What a forward pass changes: dropout's seeds and the moving averages of batch normalisation."""
        # The text tower normalises no batch; its weights may be large tables, which never change.
        fixed = {id(v) for v in (*self.trainable_weights, *self.tower.weights)}
        return [v for v in self.variables if id(v) not in fixed]

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        text, tabular, *recovered = y_pred
        loss = self.contrast(x, text, tabular)
        if recovered:
            masked = self.masked_feature_model.loss(x, *recovered)
            loss = loss + self.masked_features * masked[0]
            for metric, value in zip(self._masked_metrics, masked, strict=True):
                metric.update_state(value)
        for penalty in self.losses:
            loss = loss + ops.sum(penalty)
        return distribution.share_of_loss(loss)

    def contrast(self, inputs, text, tabular):
        """The contrastive loss of a batch, without penalties; its metrics are updated.

        Args:
            inputs: dict as for the call.
            text: text projections, as from the call.
            tabular: tabular projections.

        Returns:
            Float scalar.
        """
        *losses, text_found, tabular_found = self._contrast(text, tabular, inputs)
        loss = 0.5 * sum(ops.mean(row_losses) for row_losses in losses)
        for metric, found in zip(self._accuracies, (text_found, tabular_found), strict=True):
            metric.update_state(found)
        for metric, sides in zip(self._usages, ((text, tabular), (tabular, text)), strict=False):
            metric.update_state(subspace_usage(*sides))
        self._update_geometry(_flat(text), _flat(tabular))
        if self._temperature is not None:
            self._temperature.update_state(self.contrastive_loss.temperature)
        return loss

    def _contrast(self, text, tabular, x):
        """Each row's loss and whether its counterpart was found: losses of both directions, then findings."""
        keys = self.tower.text_keys(x) if self.mask_duplicates else None
        temperature = ops.convert_to_tensor(self.contrastive_loss.temperature)
        num_rows = ops.shape(text)[0]
        if distribution.num_replicas() > 1:
            return self._contrast_replicas(text, tabular, keys, temperature)
        if not self.chunk_size:
            return _compare(max_sim_both(text, tabular), keys, 0, num_rows, temperature)

        def compare(start, stop):
            # What is differentiated by must be an argument: recomputed, variables get no gradient in a loop.
            @tf.recompute_grad
            def recomputed(text, tabular, temperature):
                similarities = max_sim(text[start:stop], tabular), max_sim(tabular[start:stop], text)
                return _compare(similarities, keys, start, stop, temperature)

            return recomputed(text, tabular, temperature)

        return map_chunks(compare, num_rows, self.chunk_size, [(None,)] * 4)

    def _contrast_replicas(self, text, tabular, keys, temperature):
        """`_contrast` of a replica's rows with those of all replicas, the batch of the contrastive loss."""
        all_text, all_tabular, start = distribution.gather_rows(text, tabular)
        if keys is not None:
            keys, _ = distribution.gather_rows(keys)
        similarities = max_sim(text, all_tabular), max_sim(tabular, all_text)
        return _compare(similarities, keys, start, start + ops.shape(text)[0], temperature)

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


def _compare(similarities, keys, start, stop, temperature):
    """Losses of the rows from `start` to `stop` in both directions, then whether they found their counterparts."""
    own = ops.arange(start, stop)
    if keys is not None:
        pairs = duplicate_pairs(keys, start, stop)
        similarities = [mask_pairs(similarity, pairs) for similarity in similarities]
    losses = [row_losses(similarity, own, temperature) for similarity in similarities]
    found = [ops.equal(ops.cast(ops.argmax(similarity, axis=-1), own.dtype), own) for similarity in similarities]
    return *losses, *(ops.cast(x, "float32") for x in found)


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

"""Masked-feature modelling: hidden IDs of a row are recovered from its text."""

import keras
from keras import ops

from models.row_lookup import take_rows
from models.spec.errors import UserError

# Draws of other ids that a hidden one has to be told from, a step.
_NEGATIVES = 64
# Far below any score.
_SAME = -1e9


class MaskedFeatureModel(keras.layers.Layer):
    """Recovers hidden fields of a row from its text and its other fields (FLIP, arXiv 2310.19453).

    FLIP's masked tabular modelling. A share of each row's single-valued fields is
    hidden: a learnt vector takes the place of the field's embedding. The ID model's
    representation of what is left, next to the text's vector, is mapped linearly to one
    query a field; its products with the vectors of the field's own table say which id it
    was. Sets and histories are neither hidden nor recovered, but a history that is pooled
    by a hidden target is hidden with it, since its weights would give the target away.

    As in FLIP the table, which may be large, is not scored as a whole, but by
    noise-contrastive estimation, here its ranking form (arXiv 1809.01812): the cross-entropy of telling
    the id from those of 64 rows of the batch, the same for all rows; draws of the id itself do not
    count. These are drawn as often as they occur, so a score is learnt up to an id's
    frequency, and it does not help to guess frequent ids.

    The ID model's tables and backbone are trained along. The hidden fields' vectors and the map
    belong to this layer: the ID model stays as it is.

    Args:
        ctr_model: `CTRModel`.
        text_dim: width of the text's vector.
        share: share of a row's single-valued fields that is hidden, rounded; at least
            one is.

    Call arguments:
        inputs: dict of the transformed features.
        text: float tensor `[batch, text_dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Queries, float32 tensor `[batch, fields, dim]`, and float32 `[batch, fields]`, 1 where
        a field is hidden; `fields` are the single-valued ones in their order. See `loss`.

    Raises:
        UserError: the ID model has no single-valued field, or the share is not between
            0 and 1.

    Example:

    ```python
    layer = MaskedFeatureModel(ctr_model, text_dim=tower.output_dim)
    loss, accuracy = layer.loss(inputs, *layer(inputs, tower(inputs), training=True))
    ```
    """

    def __init__(self, ctr_model, text_dim, share=0.15, **kwargs):
        super().__init__(**kwargs)
        self.fields = [field for field in ctr_model.fields if not field.is_list]
        if not self.fields:
            raise UserError("masked-feature modelling hides categorical and numeric fields, but there is none "
                            "among the model's; set alignment.masked_features to 0")
        if not 0 < share < 1:
            raise UserError(f"the share of masked fields is {share}; it must be between 0 and 1")
        self.ctr_model = ctr_model
        self.num_hidden = max(1, round(share * len(self.fields)))
        dim = ctr_model.embedding_dim
        self.masks = self.add_weight(
            name="masks", shape=(len(ctr_model.fields), dim), initializer=keras.initializers.RandomNormal(stddev=0.01))
        # Scores and loss stay in full precision.
        self.head = keras.layers.Dense(len(self.fields) * dim, dtype="float32", name="head")
        self.head.build((None, ctr_model.representation_dim + text_dim))
        # One each: gradient caching draws the masks twice, and the negatives in between.
        self._mask_seeds, self._negative_seeds = keras.random.SeedGenerator(), keras.random.SeedGenerator()
        self.built = True

    def call(self, inputs, text, training=False):
        chosen = self._choose(ops.shape(text)[0])
        hidden = self._hidden(chosen)
        embedded, first_order = self.ctr_model.embed(inputs)
        embedded = ops.where(hidden[..., None], self.masks, embedded)
        if first_order is not None:
            first_order = ops.where(hidden, ops.zeros_like(first_order), first_order)
        representation = self.ctr_model.represent_embedded(embedded, first_order, training=training)
        queries = self.head(ops.concatenate([ops.cast(x, "float32") for x in (representation, text)], axis=-1))
        queries = ops.reshape(queries, (-1, len(self.fields), self.ctr_model.embedding_dim))
        return queries, ops.cast(chosen, "float32")

    def compute_output_shape(self, inputs_shape, text_shape=None):
        rows = None if text_shape is None else text_shape[0]
        return (rows, len(self.fields), self.ctr_model.embedding_dim), (rows, len(self.fields))

    def _choose(self, num_rows):
        """Which of the single-valued fields are hidden, bool `[batch, fields]`: the same number in each row."""
        scores = keras.random.uniform((num_rows, len(self.fields)), seed=self._mask_seeds)
        rank = ops.argsort(ops.argsort(scores, axis=1), axis=1)
        return ops.less(rank, self.num_hidden)

    def _hidden(self, chosen):
        """Which of all fields are hidden, bool `[batch, all fields]`."""
        columns = {field.name: chosen[:, i] for i, field in enumerate(self.fields)}
        pooled_by_target = self.ctr_model.history_pooling != "mean"
        for field in self.ctr_model.fields:
            if field.is_list:
                shown = ops.zeros_like(chosen[:, 0])
                columns[field.name] = columns[field.table] if pooled_by_target and field.kind == "history" else shown
        return ops.stack([columns[field.name] for field in self.ctr_model.fields], axis=1)

    def loss(self, inputs, queries, chosen):
        """How well the hidden fields are recovered.

        Args:
            inputs: dict of the transformed features.
            queries: as the call returns them.
            chosen: as the call returns it.

        Returns:
            Two scalars: the mean cross-entropy over hidden fields, and the share of them whose
            id scores above all others. Chance is `log(65)`, and 1 of 65.
        """
        rows = keras.random.randint((_NEGATIVES,), 0, ops.shape(queries)[0], seed=self._negative_seeds)
        losses, found = [], []
        for i, field in enumerate(self.fields):
            ids = inputs[field.name]
            own, others = recovery_scores(
                queries[:, i], self.ctr_model.embedding.tables[field.table], ids, ops.take(ids, rows, axis=0))
            losses.append(ops.logsumexp(ops.concatenate([own[:, None], others], axis=1), axis=1) - own)
            found.append(ops.cast(own > ops.max(others, axis=1), "float32"))
        count = ops.sum(chosen)
        return tuple(ops.sum(ops.stack(x, axis=1) * chosen) / count for x in (losses, found))


def recovery_scores(queries, table, ids, others):
    """Scores of the right id and of others by their vectors' products with the queries.

    Args:
        queries: float tensor `[batch, dim]`.
        table: float tensor `[num_ids, dim]`.
        ids: int tensor `[batch]`, the right ids.
        others: int tensor `[negatives]`.

    Returns:
        Float tensors `[batch]` and `[batch, negatives]`, the latter far below all
        others where an id is the right one.
    """
    own = ops.sum(queries * take_rows(table, ids), axis=1)
    scores = ops.matmul(queries, ops.transpose(take_rows(table, others)))
    return own, ops.where(ops.equal(ids[:, None], others[None, :]), _SAME, scores)

"""Turns transformed features into one vector a field."""

import contextlib

import keras
from keras import ops

from models.field import Field
from models.options import check_choice
from models.row_lookup import take_rows
from models.spec.errors import UserError
from models.target_attention import TargetAttention

HISTORY_POOLINGS = ("mean", "din", "din_softmax")


@keras.saving.register_keras_serializable(package="ctrl")
class FeatureEmbedding(keras.layers.Layer):
    """Embeds every field of a row into a vector of the same width.

    * categorical: the vector of its id;
    * numeric: the vector of its bucket plus its normalised value times a learnt direction,
      so that values within a bucket stay apart (a missing value is 0, and has a bucket);
    * set, history: the mean of the vectors of its ids, padding left out; the zero vector
      where there is none. With `history_pooling` the history's vectors are instead summed
      up by their attention to the target, the field that they are values of.

    Fields that name the same table share its weights.

    Args:
        fields: the fields, in the order of the output's second axis.
        dim: width of a vector.
        l2: weight of the L2 penalty on the tables and directions, summed over their
            entries; 0 adds none.
        history_pooling: how a history becomes one vector: `mean`; `din`, weights from
            `TargetAttention`, one for each history; `din_softmax`, the same normalised.
        device: where the tables are, as `cpu`; None for where everything is.

    Call arguments:
        inputs: dict of the transformed features: int ids `[batch]` or
            `[batch, max_length]`, and float `<field>_value` `[batch]` for a numeric
            field. Other keys are ignored.
        batch_size: int, or integer scalar tensor; a field whose input has one row is broadcast
            to so many, once its vector is made. None where all have the same number.

    Returns:
        Float tensor `[batch, number of fields, dim]`.

    Raises:
        ValueError: there is no field, or fields of one table differ in `num_ids`.
        UserError: the pooling is unknown, or needs a history's target, which is no field.

    Example:

    ```python
    layer = FeatureEmbedding([Field("movie_id", "categorical", 4, "movie_id")], dim=8)
    layer({"movie_id": np.array([1, 3])}).shape  # (2, 1, 8)
    ```
    """

    def __init__(self, fields, dim, l2=0.0, history_pooling="mean", device=None, **kwargs):
        super().__init__(**kwargs)
        # Keras hands a layer its configuration with the fields as plain dicts.
        self.fields = tuple(f if isinstance(f, Field) else Field.from_config(f) for f in fields)
        if not self.fields:
            raise ValueError("an embedding needs at least one field")
        self.dim = dim
        self.l2 = l2
        self.device = device
        check_choice("history_pooling", history_pooling, HISTORY_POOLINGS)
        self.history_pooling = history_pooling
        self._attentions = {}
        if history_pooling != "mean":
            self._attentions = self._new_attentions()
        self._table_sizes = {}
        for field in self.fields:
            size = self._table_sizes.setdefault(field.table, field.num_ids)
            if size != field.num_ids:
                raise ValueError(f"field {field.name!r} has {field.num_ids} ids, "
                                 f"but table {field.table!r} has {size}")

    def _new_attentions(self):
        """An attention for each history, by its name."""
        targets = {f.name for f in self.fields if f.kind == "categorical" and f.table == f.name}
        histories = [field for field in self.fields if field.kind == "history"]
        for field in histories:
            if field.table not in targets:
                raise UserError(f"history_pooling is {self.history_pooling!r}, which weighs the history "
                                f"{field.name!r} by the row's {field.table!r}, but that is no categorical "
                                "field of the model; add it or take 'mean'")
        return {field.name: TargetAttention(softmax=self.history_pooling == "din_softmax",
                                            name=f"{field.name}_attention") for field in histories}

    @property
    def input_names(self):
        """The keys of the inputs that are read, in order."""
        return [name for f in self.fields for name in (f.name, f.value_name) if name]

    @property
    def tables(self):
        """The weights `[num_ids, dim]` of each table, by its name; there once the layer is built."""
        return dict(self._tables)

    @property
    def directions(self):
        """The weights `[dim]` of each numeric field's value, by its name; there once the layer is built."""
        return dict(self._directions)

    @property
    def attentions(self):
        """The attention of each history, by its name; none where histories are averaged."""
        return dict(self._attentions)

    def build(self, input_shape=None):
        regularizer = keras.regularizers.L2(self.l2) if self.l2 else None
        with keras.device(self.device) if self.device else contextlib.nullcontext():
            self._tables = {
                name: self.add_weight(
                    name=f"{name}_embeddings",
                    shape=(size, self.dim),
                    initializer=keras.initializers.RandomNormal(stddev=0.01),
                    regularizer=regularizer,
                    # With mixed precision the rows that are read are cast, not the table.
                    autocast=False,
                )
                for name, size in self._table_sizes.items()
            }
        self._directions = {
            field.name: self.add_weight(
                name=f"{field.name}_direction",
                shape=(self.dim,),
                initializer=keras.initializers.RandomNormal(stddev=0.01),
                regularizer=regularizer,
            )
            for field in self.fields
            if field.kind == "numeric"
        }
        for attention in self._attentions.values():
            attention.build((None, self.dim))
        self.built = True

    def call(self, inputs, batch_size=None):
        vectors = {field.name: self._embed(field, inputs) for field in self.fields
                   if field.name not in self._attentions}
        for field in self.fields:
            if field.name in self._attentions:
                ids = inputs[field.name]
                # Weighed by the row's target, so that it is broadcast before its vector is made.
                history = _broadcast(self._rows(field, ids), batch_size)
                vectors[field.name] = self._attentions[field.name](
                    _broadcast(vectors[field.table], batch_size), history,
                    _broadcast(ops.not_equal(ids, 0), batch_size))
        return ops.stack([_broadcast(vectors[field.name], batch_size) for field in self.fields], axis=1)

    def _embed(self, field, inputs):
        ids = inputs[field.name]
        vectors = self._rows(field, ids)
        if field.is_list:
            return self._mean(ids, vectors)
        if field.kind == "numeric":
            value = ops.cast(inputs[field.value_name], self.compute_dtype)
            vectors = vectors + value[:, None] * self._directions[field.name]
        return vectors

    def _rows(self, field, ids):
        return ops.cast(take_rows(self._tables[field.table], ids), self.compute_dtype)

    def _mean(self, ids, vectors):
        """Mean of the vectors of the ids that are not padding, `[batch, dim]`."""
        present = ops.cast(ops.not_equal(ids, 0), self.compute_dtype)
        weights = present / ops.maximum(ops.sum(present, axis=-1, keepdims=True), 1)
        return ops.sum(vectors * weights[..., None], axis=1)

    def compute_output_shape(self, input_shape):
        batch = input_shape[self.fields[0].name][0]
        return (batch, len(self.fields), self.dim)

    def get_config(self):
        return {
            **super().get_config(),
            "fields": [f.to_config() for f in self.fields],
            "dim": self.dim,
            "l2": self.l2,
            "history_pooling": self.history_pooling,
            "device": self.device,
        }


def _broadcast(x, batch_size):
    return x if batch_size is None else ops.broadcast_to(x, (batch_size, *x.shape[1:]))

"""The ID model: embeddings, a backbone and a linear output."""

import keras
from keras import ops

from models import backbones
from models.feature_embedding import FeatureEmbedding
from models.field import Field


@keras.saving.register_keras_serializable(package="ctrl")
class CTRModel(keras.Model):
    """Predicts a click from a row's features: CTRL's collaborative model, and what is served.

    All weights exist once it is constructed, so that they can be counted and loaded
    before the first row. A backbone with a linear part over the ids (`first_order` in
    `models/backbones.py`) gets a second embedding of width 1 for it.

    Args:
        fields: the fields, in the order the backbone sees them.
        backbone: name of a backbone, see `models/backbones.py`.
        embedding_dim: width of a field's vector.
        backbone_options: dict of the backbone's options; None keeps the defaults.
        embedding_l2: weight of the L2 penalty on the embeddings, those of width 1 included.
        history_pooling: how the embedding sums a history up: `mean`, `din` or `din_softmax`,
            see `FeatureEmbedding`. Weights of width 1 are always averaged.
        embedding_device: where the tables are, as `cpu`, for tables that a GPU has no room for; None for
            where everything is.

    Call arguments:
        inputs: dict of the transformed features, as `FeatureEmbedding` takes them. Keys
            that no field names are ignored.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Logits, float32 tensor `[batch]`.

    Raises:
        UserError: the backbone, one of its options or the pooling is unknown or out of range.

    Example:

    ```python
    model = CTRModel([Field("movie_id", "categorical", 4, "movie_id")], embedding_dim=8)
    model({"movie_id": np.array([1, 3])}).shape  # (2,)
    ```
    """

    def __init__(self, fields, backbone="autoint", embedding_dim=32, backbone_options=None, embedding_l2=0.0,
                 history_pooling="mean", embedding_device=None, **kwargs):
        super().__init__(**kwargs)
        self.fields = tuple(f if isinstance(f, Field) else Field.from_config(f) for f in fields)
        self.backbone_name = backbone
        self.embedding_dim = embedding_dim
        self.backbone_options = dict(backbone_options or {})
        self.embedding_l2 = embedding_l2
        self.history_pooling = history_pooling
        self.embedding_device = embedding_device
        self.embedding = FeatureEmbedding(self.fields, embedding_dim, embedding_l2, history_pooling,
                                          embedding_device, name="embedding")
        self.backbone = backbones.get(backbone, **self.backbone_options)
        self.first_order = None
        if getattr(self.backbone, "first_order", False):
            # One weight an id, as in a linear model, is a vector of width 1.
            self.first_order = FeatureEmbedding(
                self.fields, 1, embedding_l2, device=embedding_device, name="first_order")
        # Full precision also where the rest computes in half: rounded logits would tie rows of different rank.
        self.output_layer = keras.layers.Dense(1, dtype="float32", name="output")
        self.build()

    def build(self, input_shape=None):
        # The fields say all about the shapes, so the inputs' are not needed.
        self.embedding.build()
        if self.first_order is not None:
            self.first_order.build()
        embedded = (None, len(self.fields), self.embedding_dim)
        self.backbone.build(embedded)
        self.output_layer.build((None, self.representation_dim))
        self.built = True

    @property
    def representation_dim(self):
        """Width of what `represent` returns."""
        return self.backbone.compute_output_shape((None, len(self.fields), self.embedding_dim))[-1]

    @property
    def input_names(self):
        """The keys of the inputs that are read, in order."""
        return self.embedding.input_names

    def embed(self, inputs, batch_size=None):
        """The fields as the backbone sees them.

        Args:
            inputs: dict as for the call.
            batch_size: where some inputs have one row, as one user's beside many items, the rows
                that they are broadcast to, as in `FeatureEmbedding`.

        Returns:
            Float tensor `[batch, fields, embedding_dim]`, and a weight of the linear part for each field,
            float tensor `[batch, fields]`, or None where the backbone has no such part.
        """
        inputs = {name: inputs[name] for name in self.input_names}
        first_order = None if self.first_order is None else ops.squeeze(
            self.first_order(inputs, batch_size), axis=-1)
        return self.embedding(inputs, batch_size), first_order

    def represent_embedded(self, embedded, first_order=None, training=False):
        """The representation of fields that are embedded already, as `embed` does it: float tensor `[batch, h]`."""
        linear_part = () if first_order is None else (first_order,)
        return self.backbone(embedded, *linear_part, training=training)

    def represent(self, inputs, training=False):
        """The representation under the output layer, float tensor `[batch, h]`."""
        return self.represent_embedded(*self.embed(inputs), training=training)

    def logits(self, representation):
        """Logits `[batch]`, float32, of what `represent` gave."""
        return ops.squeeze(self.output_layer(representation), axis=-1)

    def call(self, inputs, training=False):
        return self.logits(self.represent(inputs, training=training))

    def reset_output_layer(self, log_odds=0.0):
        """Gives the output layer new initial weights, as stage 2 of CTRL does (arXiv 2306.02841, sec. 4.3).

        Args:
            log_odds: the initial bias: the logit of a click where nothing is known of a row.
        """
        kernel = self.output_layer.kernel
        # A new initializer, since one that drew before would repeat its draw.
        kernel.assign(keras.initializers.GlorotUniform()(kernel.shape, dtype=kernel.dtype))
        self.output_layer.bias.assign([log_odds])

    def compute_output_shape(self, input_shape):
        return (input_shape[self.fields[0].name][0],)

    def get_config(self):
        return {
            **super().get_config(),
            "fields": [f.to_config() for f in self.fields],
            "backbone": self.backbone_name,
            "embedding_dim": self.embedding_dim,
            "backbone_options": dict(self.backbone_options),
            "embedding_l2": self.embedding_l2,
            "history_pooling": self.history_pooling,
            "embedding_device": self.embedding_device,
        }

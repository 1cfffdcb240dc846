"""The AutoInt backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_flag, check_share, check_units, check_whole
from models.spec.errors import UserError


@keras.saving.register_keras_serializable(package="ctrl")
class AutoInt(keras.layers.Layer):
    """Learns feature interactions by self-attention over the fields (arXiv 1810.11921).

    A stack of interacting layers (sec. 4.4): multi-head attention in which the fields of
    a row attend to one another by unscaled inner products, a residual projection, and a
    ReLU. Their output, flattened, stands beside that of an optional feed-forward tower on
    the same vectors (the paper's AutoInt+). See `models/backbones.py` for the interface.

    Args:
        num_layers: interacting layers; 0 passes the vectors on as they are.
        num_heads: attention heads.
        head_dim: width of a head; None is the embedding's width divided by `num_heads`.
        hidden_units: widths of the tower's layers; empty for no tower.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, h]`: attention part, then tower.

    Raises:
        UserError: an option is out of range, or the embedding's width is no multiple of
            `num_heads` where `head_dim` is None.

    Example:

    ```python
    AutoInt(num_layers=2, hidden_units=(64,))(keras.random.normal((4, 9, 32))).shape  # (4, 9 * 32 + 64)
    ```
    """

    def __init__(self, num_layers=3, num_heads=2, head_dim=None, hidden_units=(256, 128, 64), batch_norm=True,
                 dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        check_whole("num_layers", num_layers, 0)
        check_whole("num_heads", num_heads, 1)
        if head_dim is not None:
            check_whole("head_dim", head_dim, 1)
        check_units("hidden_units", hidden_units)
        check_flag("batch_norm", batch_norm)
        check_share("dropout", dropout)
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.hidden_units = tuple(hidden_units)
        self.batch_norm = batch_norm
        self.dropout = dropout

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        if self.head_dim is None and dim % self.num_heads:
            raise UserError(f"backbone autoint: the embedding's width {dim} is no multiple of num_heads "
                            f"{self.num_heads}; change one of them or give head_dim")
        head_dim = self.head_dim or dim // self.num_heads
        self._interacting = [_InteractingLayer(self.num_heads, head_dim) for _ in range(self.num_layers)]
        width = dim
        for layer in self._interacting:
            layer.build((None, num_fields, width))
            width = self.num_heads * head_dim
        self._tower = MLP(self.hidden_units, self.dropout, self.batch_norm) if self.hidden_units else None
        if self._tower is not None:
            self._tower.build((None, num_fields * dim))
        self._width = num_fields * width + (self.hidden_units[-1] if self._tower is not None else 0)
        self.built = True

    def call(self, inputs, training=False):
        attended = inputs
        for layer in self._interacting:
            attended = layer(attended, training=training)
        attended = _flatten(attended)
        if self._tower is None:
            return attended
        return ops.concatenate([attended, self._tower(_flatten(inputs), training=training)], axis=-1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self._width)

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "head_dim": self.head_dim,
            "hidden_units": list(self.hidden_units),
            "batch_norm": self.batch_norm,
            "dropout": self.dropout,
        }


class _InteractingLayer(keras.layers.Layer):
    """Multi-head self-attention over fields with a residual projection and a ReLU (sec. 4.4, eq. 5 to 8)."""

    def __init__(self, num_heads, head_dim, **kwargs):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.head_dim = head_dim

    def build(self, input_shape):
        # Of all heads the queries, then the keys, the values and the residual.
        self._projections = self.add_weight(
            name="projections", shape=(4 * self.num_heads, input_shape[-1], self.head_dim),
            initializer=self._initial_projections)
        self.built = True

    def _initial_projections(self, shape, dtype=None):
        """Each projection drawn by itself, as if it were a weight of its own, as wide as all heads."""
        _, dim, head_dim = shape
        drawn = (keras.initializers.GlorotUniform()((dim, self.num_heads * head_dim), dtype) for _ in range(4))
        return ops.concatenate(
            [ops.transpose(ops.reshape(w, (dim, self.num_heads, head_dim)), (1, 0, 2)) for w in drawn], axis=0)

    def call(self, inputs, training=False):
        num_fields, dim = inputs.shape[1:]
        flat = ops.reshape(inputs, (-1, dim))
        if training:
            # One product is what can be differentiated fastest, and one batched product a head what attends so.
            weights = ops.reshape(ops.transpose(self._projections, (1, 0, 2)), (dim, -1))
            projected = ops.reshape(ops.matmul(flat, weights), (-1, num_fields, weights.shape[-1]))
            parts = ops.split(projected, [self.head_dim * i for i in range(1, 3 * self.num_heads + 1)], axis=-1)
            heads = [_attend(*parts[head : 3 * self.num_heads : self.num_heads]) for head in range(self.num_heads)]
            return ops.relu(ops.concatenate(heads, axis=-1) + parts[-1])
        # Written where it is needed, projection by projection: splitting one product takes as long as the product.
        # One product of all of them, batched, is divided among threads however small it is, which takes longer still.
        parts = [
            ops.reshape(ops.matmul(flat, self._projections[i]), (-1, num_fields, self.head_dim))
            for i in range(4 * self.num_heads)]
        return ops.concatenate(
            [ops.relu(_attend_at_once(*heads) + residual)
             for *heads, residual in (parts[head :: self.num_heads] for head in range(self.num_heads))], axis=-1)


def _attend(query, key, value):
    return ops.matmul(ops.softmax(ops.matmul(query, ops.swapaxes(key, 1, 2)), axis=-1), value)


def _attend_at_once(query, key, value):
    """The same with the softmax written out, its sum divided by at the end.

    TensorFlow's own is oneDNN's, which takes long to start: of a request of one row these were a
    third of the time. With large batches, as in training, it is the faster one.
    """
    scores = ops.matmul(query, ops.swapaxes(key, 1, 2))
    shares = ops.exp(scores - ops.max(scores, axis=-1, keepdims=True))
    return ops.matmul(shares, value) / ops.sum(shares, axis=-1, keepdims=True)


def _flatten(x):
    return ops.reshape(x, (-1, x.shape[1] * x.shape[2]))

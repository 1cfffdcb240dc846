"""The DCNv2 backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_choice, check_whole
from models.spec.errors import UserError

_STRUCTURES = ("parallel", "stacked")


@keras.saving.register_keras_serializable(package="ctrl")
class DCNv2(keras.layers.Layer):
    """Learns feature crosses with a matrix a layer: improved Deep & Cross Network (arXiv 2008.13535).

    A cross layer (sec. 3.2) multiplies the flattened vectors `x_0`, entry by entry, with a
    linear map of the layer before:

        x_{l+1} = x_0 * (W_l x_l + b_l) + x_l

    With `low_rank` the matrix is the product of two narrow ones, `W_l = U_l V_l^T`; with
    several experts besides, a softmax of `x_l` weighs `x_0 * (U_i tanh(C_i tanh(V_i^T x_l))
    + b_l)` of each (sec. 3.5). The feed-forward tower (sec. 3.3) reads the same vectors,
    its output beside the crosses (`parallel`), or the crosses (`stacked`; sec. 3.4). See
    `models/backbones.py` for the interface.

    Args:
        num_layers: cross layers; the crosses' highest degree is one more.
        low_rank: columns of `U_l` and `V_l`; None for whole matrices.
        num_experts: experts of a cross layer; more than 1 needs `low_rank`.
        structure: `parallel` or `stacked`.
        hidden_units: widths of the tower's layers; empty for no tower.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, h]`: crosses, then tower; of the stacked structure the tower
        alone. `h` is `fields * dim + last of hidden_units`, or the latter alone.

    Raises:
        UserError: an option is out of range, or there are experts without `low_rank`.

    Example:

    ```python
    DCNv2(num_layers=2, hidden_units=(64,))(keras.random.normal((4, 9, 32))).shape  # (4, 9 * 32 + 64)
    ```
    """

    def __init__(self, num_layers=3, low_rank=None, num_experts=1, structure="parallel",
                 hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        check_whole("num_layers", num_layers, 1)
        if low_rank is not None:
            check_whole("low_rank", low_rank, 1)
        check_whole("num_experts", num_experts, 1)
        check_choice("structure", structure, _STRUCTURES)
        if num_experts > 1 and low_rank is None:
            raise UserError(f"num_experts is {num_experts}, but experts are low-rank: give low_rank too, or "
                            "leave num_experts at 1")
        self.num_layers = num_layers
        self.low_rank = low_rank
        self.num_experts = num_experts
        self.structure = structure
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        width = num_fields * dim
        self._crosses = [self._new_cross() for _ in range(self.num_layers)]
        for cross in self._crosses:
            cross.build((None, width))
        self.tower.build((None, width))
        self.built = True

    def _new_cross(self):
        if self.num_experts > 1:
            return _MixtureCross(self.low_rank, self.num_experts)
        return _Cross(self.low_rank)

    def call(self, inputs, training=False):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        crossed = flat
        for cross in self._crosses:
            crossed = flat * cross(crossed) + crossed
        if not self.tower.hidden_units:
            return crossed
        if self.structure == "stacked":
            return self.tower(crossed, training=training)
        return ops.concatenate([crossed, self.tower(flat, training=training)], axis=-1)

    def compute_output_shape(self, input_shape):
        crossed, deep = input_shape[1] * input_shape[2], sum(self.tower.hidden_units[-1:])
        return (input_shape[0], deep if deep and self.structure == "stacked" else crossed + deep)

    def get_config(self):
        return {
            **super().get_config(),
            "num_layers": self.num_layers,
            "low_rank": self.low_rank,
            "num_experts": self.num_experts,
            "structure": self.structure,
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }


class _Cross(keras.layers.Layer):
    """What a cross layer multiplies `x_0` with: `W x + b`, or `U (V^T x) + b`."""

    def __init__(self, low_rank, **kwargs):
        super().__init__(**kwargs)
        self.low_rank = low_rank

    def build(self, input_shape):
        width, rank = input_shape[-1], self.low_rank
        shapes = ((width, width),) if rank is None else ((width, rank), (rank, width))
        self._kernels = [self.add_weight(name=f"kernel_{i}", shape=shape, initializer="glorot_uniform")
                         for i, shape in enumerate(shapes)]
        self._bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        x = inputs
        for kernel in self._kernels:
            x = ops.matmul(x, kernel)
        return x + self._bias


class _MixtureCross(keras.layers.Layer):
    """What a cross layer of several low-rank experts multiplies `x_0` with (sec. 3.5)."""

    def __init__(self, low_rank, num_experts, **kwargs):
        super().__init__(**kwargs)
        self.low_rank = low_rank
        self.num_experts = num_experts

    def build(self, input_shape):
        width, experts, rank = input_shape[-1], self.num_experts, self.low_rank
        # The experts' `V` and `U` side by side, so that one product serves them all.
        self._gate, self._down, self._up = (
            self.add_weight(name=name, shape=shape, initializer="glorot_uniform")
            for name, shape in (("gate", (width, experts)), ("down", (width, experts * rank)),
                                ("up", (experts * rank, width))))
        # Glorot's limit for one expert: Keras would take the axis of the experts for a convolution's.
        limit = (3 / rank) ** 0.5
        self._middle = self.add_weight(
            name="middle", shape=(experts, rank, rank),
            initializer=keras.initializers.RandomUniform(-limit, limit))
        self._bias = self.add_weight(name="bias", shape=(width,), initializer="zeros")
        self.built = True

    def call(self, inputs):
        experts, rank = self.num_experts, self.low_rank
        hidden = ops.reshape(ops.tanh(ops.matmul(inputs, self._down)), (-1, experts, rank))
        hidden = ops.tanh(ops.einsum("ber,ers->bes", hidden, self._middle))
        # The shares add up to 1, so the bias, common to the experts, needs none of them.
        shares = ops.softmax(ops.matmul(inputs, self._gate), axis=-1)
        weighted = ops.reshape(hidden * shares[..., None], (-1, experts * rank))
        return ops.matmul(weighted, self._up) + self._bias

"""The FinalMLP backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_flag, check_units, check_whole
from models.spec.errors import UserError


@keras.saving.register_keras_serializable(package="ctrl")
class FinalMLP(keras.layers.Layer):
    """Two towers whose outputs are multiplied with each other: FinalMLP (arXiv 2304.00902).

    Each stream reads the flattened vectors `v` through a gate of its own (sec. 3.1), a
    factor between 0 and 2 an entry, made from some fields' vectors or from a learnt vector:

        x_s = v * 2 sigmoid(gate_s(context_s)),    o_s = tower_s(x_s)

    The paper fuses the streams into a logit by a bilinear form of `k` heads (sec. 3.2), the
    outputs' `k` equal parts:

        logit = b + w_1 . o_1 + w_2 . o_2 + sum_h o_1h^T W_h o_2h

    The representation is `o_1`, `o_2` and the products `(o_1h W_h) * o_2h` of all heads
    before they are summed up: the linear layer on it is the formula above, with a factor on
    each product. It so knows no other functions than the paper's, and there is more than a
    number for the text to align with. See `models/backbones.py` for the interface.

    Args:
        hidden_units: widths of the first stream's layers.
        hidden_units_2: widths of the second stream's layers; None for those of the first.
        num_heads: the number `k` of heads; both streams' last widths are multiples of it.
        feature_gating: whether streams have gates; without, both read the same vectors.
        gate_units: widths of a gate's inner layers.
        gate_fields_1: positions, from 0, of the fields that the first stream's gate reads
            (the user's, say); empty for a learnt vector, the same for all rows.
        gate_fields_2: the same for the second stream (the item's, say).
        batch_norm: whether a tower normalises each layer over the batch.
        dropout: share of a tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, h_1 + 2 * h_2]`, `h_1` and `h_2` the streams' last widths:
        first stream, second stream, products.

    Raises:
        UserError: an option is out of range, a last width is no multiple of `num_heads`, or a
            gate names a field that there is not.

    Example:

    ```python
    FinalMLP(hidden_units=(64, 32))(keras.random.normal((4, 9, 32))).shape  # (4, 3 * 32)
    ```
    """

    def __init__(self, hidden_units=(256, 128, 64), hidden_units_2=None, num_heads=2, feature_gating=True,
                 gate_units=(64,), gate_fields_1=(), gate_fields_2=(), batch_norm=True, dropout=0.1,
                 **kwargs):
        super().__init__(**kwargs)
        check_units("hidden_units", hidden_units, 1)
        check_whole("num_heads", num_heads, 1)
        check_flag("feature_gating", feature_gating)
        check_units("gate_units", gate_units)
        if hidden_units_2 is not None:
            check_units("hidden_units_2", hidden_units_2, 1)
        streams = (hidden_units, hidden_units if hidden_units_2 is None else hidden_units_2)
        for name, units in zip(("hidden_units", "hidden_units_2"), streams):
            if units[-1] % num_heads:
                raise UserError(f"{name} ends with {units[-1]}, which is no multiple of num_heads "
                                f"{num_heads}; change one of them")
        for name, positions in (("gate_fields_1", gate_fields_1), ("gate_fields_2", gate_fields_2)):
            if not isinstance(positions, (list, tuple)):
                raise UserError(f"{name} is {positions!r}; it must be a list of fields' positions, as [0, 2]")
            for position in positions:
                check_whole(f"a position in {name}", position, 0)
        self.hidden_units_2 = hidden_units_2 and tuple(hidden_units_2)
        self.num_heads = num_heads
        self.feature_gating = feature_gating
        self.gate_units = tuple(gate_units)
        self.gate_fields = (tuple(gate_fields_1), tuple(gate_fields_2))
        self.towers = [MLP(units, dropout, batch_norm, name=f"tower_{i}")
                       for i, units in enumerate(streams, start=1)]

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        width = num_fields * dim
        self._gates = []
        if self.feature_gating:
            for i, positions in enumerate(self.gate_fields, start=1):
                if max(positions, default=0) >= num_fields:
                    raise UserError(f"backbone finalmlp: gate_fields_{i} has {max(positions)}, but the last "
                                    f"of the {num_fields} fields is {num_fields - 1}")
                gate = _Gate(positions, self.gate_units, name=f"gate_{i}")
                gate.build(input_shape)
                self._gates.append(gate)
        for tower in self.towers:
            tower.build((None, width))
        first, second = (tower.hidden_units[-1] // self.num_heads for tower in self.towers)
        # Glorot's limit for one head: Keras would take the axis of the heads for a convolution's.
        limit = (6 / (first + second)) ** 0.5
        self._kernel = self.add_weight(
            name="kernel", shape=(self.num_heads, first, second),
            initializer=keras.initializers.RandomUniform(-limit, limit))
        self.built = True

    def call(self, inputs, training=False):
        flat = ops.reshape(inputs, (-1, inputs.shape[1] * inputs.shape[2]))
        streams = [flat * gate(inputs) for gate in self._gates] or [flat, flat]
        first, second = (tower(x, training=training) for tower, x in zip(self.towers, streams))
        # One product a head, which needs no transposition as a batched one does.
        mapped = [ops.matmul(part, self._kernel[head])
                  for head, part in enumerate(ops.split(first, self.num_heads, axis=-1))]
        return ops.concatenate([first, second, ops.concatenate(mapped, axis=-1) * second], axis=-1)

    def compute_output_shape(self, input_shape):
        first, second = (tower.hidden_units[-1] for tower in self.towers)
        return (input_shape[0], first + 2 * second)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_units": list(self.towers[0].hidden_units),
            "hidden_units_2": self.hidden_units_2 and list(self.hidden_units_2),
            "num_heads": self.num_heads,
            "feature_gating": self.feature_gating,
            "gate_units": list(self.gate_units),
            "gate_fields_1": list(self.gate_fields[0]),
            "gate_fields_2": list(self.gate_fields[1]),
            "batch_norm": self.towers[0].batch_norm,
            "dropout": self.towers[0].dropout,
        }


class _Gate(keras.layers.Layer):
    """A stream's factors, `[batch or 1, fields * dim]`, each between 0 and 2 (sec. 3.1)."""

    def __init__(self, positions, units, **kwargs):
        super().__init__(**kwargs)
        self.positions = positions
        self.units = units

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        if not self.positions:
            # Of ones: from zeros, no gradient would pass the first activation.
            self._context = self.add_weight(name="context", shape=(1, dim), initializer="ones")
        context = (None, max(len(self.positions), 1) * dim)
        # Not over the batch: a learnt vector is the same for all its rows.
        self._inner = MLP(self.units, dropout=0.0, batch_norm=False)
        self._inner.build(context)
        self._outer = keras.layers.Dense(num_fields * dim, activation="sigmoid")
        self._outer.build(self._inner.compute_output_shape(context))
        self.built = True

    def call(self, inputs):
        context = (ops.concatenate([inputs[:, i] for i in self.positions], axis=-1) if self.positions
                   else self._context)
        return 2 * self._outer(self._inner(context))

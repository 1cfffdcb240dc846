"""The FiBiNET backbone."""

import keras
from keras import ops

from models.mlp import MLP
from models.options import check_choice, check_whole
from models.spec.errors import UserError

_BILINEAR_TYPES = ("all", "each", "interaction")
_ACTIVATIONS = ("relu", "sigmoid")


@keras.saving.register_keras_serializable(package="ctrl")
class FiBiNET(keras.layers.Layer):
    """Weighs fields by importance and multiplies their pairs by matrices: FiBiNET (arXiv 1905.09433).

    A squeeze-and-excitation network, SENET (sec. 3.3), gives every field of a row a factor
    from the means of all fields' vectors, `a = act(W_2 relu(W_1 mean(v)))`. The bilinear
    interaction (sec. 3.4) of every pair of fields `i < j` is a vector,

        p_ij = (v_i W) * v_j

    of the vectors as they are, and `q_ij` of those weighed by `a`. A tower reads all of both
    (sec. 3.5 and 3.6), and the logit (sec. 3.7) has a linear part over the ids besides:

        logit = sum_i w_i + w_deep . tower([p, q]) + b

    `p` and `q` share their matrices, as in most implementations, so that `q_ij` is
    `a_i a_j p_ij` and costs no product of its own. See `models/backbones.py` for the
    interface.

    Args:
        bilinear_type: whose matrix `W` is: that of `all` pairs, of `each` first field, or of
            each `interaction`, that is, pair.
        reduction_ratio: fields a unit of SENET's inner layer.
        senet_activation: `relu`, the paper's, or `sigmoid`, which leaves no field out.
        hidden_units: widths of the tower's layers; empty for a linear layer on all
            products in the tower's place.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        first_order: float tensor `[batch, fields]`, the weight of each field's id.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, 1 + last of hidden_units]`: first-order sum, tower.

    Raises:
        UserError: an option is out of range, or there is one field alone.

    Example:

    ```python
    v, w = keras.random.normal((4, 9, 32)), keras.random.normal((4, 9))
    FiBiNET(hidden_units=(128, 64))(v, w).shape  # (4, 1 + 64)
    ```
    """

    first_order = True

    def __init__(self, bilinear_type="interaction", reduction_ratio=3, senet_activation="relu",
                 hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        check_choice("bilinear_type", bilinear_type, _BILINEAR_TYPES)
        check_whole("reduction_ratio", reduction_ratio, 1)
        check_choice("senet_activation", senet_activation, _ACTIVATIONS)
        self.bilinear_type = bilinear_type
        self.reduction_ratio = reduction_ratio
        self.senet_activation = senet_activation
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        _, num_fields, dim = input_shape
        if num_fields < 2:
            raise UserError("backbone fibinet: it models pairs of fields, but there is one field alone; "
                            "add a feature or take another backbone")
        reduced = max(1, num_fields // self.reduction_ratio)
        self._squeeze = self.add_weight(
            name="squeeze", shape=(num_fields, reduced), initializer="glorot_uniform")
        # Glorot's limit, but no negative values: the inner layer has none either, so a field whose weights
        # happen to be negative would have the factor 0 in every row, and no gradient to leave it.
        self._excite = self.add_weight(
            name="excite", shape=(reduced, num_fields),
            initializer=keras.initializers.RandomUniform(0, (6 / (reduced + num_fields)) ** 0.5))
        # The last field is never the first of a pair, so it has no matrix.
        matrices = {"all": 1, "each": num_fields - 1, "interaction": num_fields * (num_fields - 1) // 2}
        # Glorot's limit for one matrix of those side by side.
        limit = (3 / dim) ** 0.5
        self._kernel = self.add_weight(
            name="kernel", shape=(dim, matrices[self.bilinear_type] * dim),
            initializer=keras.initializers.RandomUniform(-limit, limit))
        self.tower.build((None, self._num_products(input_shape)))
        self.built = True

    def call(self, inputs, first_order, training=False):
        linear = ops.sum(first_order, axis=-1, keepdims=True)
        deep = self.tower(self._products(inputs), training=training)
        return ops.concatenate([linear, deep], axis=-1)

    def _products(self, inputs):
        """`p` of all pairs `i < j`, by `i` and then `j`, then `q` alike: `[batch, 2 * pairs * dim]`."""
        _, num_fields, dim = inputs.shape
        hidden = ops.relu(ops.matmul(ops.mean(inputs, axis=-1), self._squeeze))
        factors = getattr(ops, self.senet_activation)(ops.matmul(hidden, self._excite))
        plain, weighed = [], []
        for i, kernel in enumerate(self._kernels_by_first(num_fields, dim)):
            # All pairs of a first field by one matrix product.
            mapped = ops.reshape(ops.matmul(inputs[:, i], kernel), (-1, kernel.shape[-1] // dim, dim))
            product = mapped * inputs[:, i + 1 :]
            importance = factors[:, i : i + 1] * factors[:, i + 1 :]
            for parts, values in ((plain, product), (weighed, product * importance[..., None])):
                parts.append(ops.reshape(values, (-1, (num_fields - 1 - i) * dim)))
        return ops.concatenate(plain + weighed, axis=-1)

    def _kernels_by_first(self, num_fields, dim):
        """For each first field of a pair its matrices, side by side: one, or one a second field."""
        firsts = num_fields - 1
        if self.bilinear_type == "all":
            return [self._kernel] * firsts
        if self.bilinear_type == "each":
            return ops.split(self._kernel, firsts, axis=-1)
        kernels, start = [], 0
        for seconds in range(firsts, 0, -1):
            kernels.append(self._kernel[:, start : start + seconds * dim])
            start += seconds * dim
        return kernels

    def _num_products(self, input_shape):
        _, num_fields, dim = input_shape
        return num_fields * (num_fields - 1) * dim

    def compute_output_shape(self, input_shape):
        deep = self.tower.compute_output_shape((input_shape[0], self._num_products(input_shape)))
        return (input_shape[0], 1 + deep[-1])

    def get_config(self):
        return {
            **super().get_config(),
            "bilinear_type": self.bilinear_type,
            "reduction_ratio": self.reduction_ratio,
            "senet_activation": self.senet_activation,
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }

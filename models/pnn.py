"""The PNN backbone."""

import keras
import numpy as np
from keras import ops

from models.mlp import MLP
from models.options import check_choice

_PRODUCTS = ("inner", "outer", "both")


@keras.saving.register_keras_serializable(package="ctrl")
class PNN(keras.layers.Layer):
    """Feeds a tower the fields' vectors and their products: product-based network (arXiv 1611.00144).

    The tower's first layer adds a linear signal of the vectors `v` and a quadratic one of
    their products `p` (sec. III-A), `relu(W_z v + W_p p + b)`, which is one layer that reads
    both. The products are

    * `inner`, IPNN (sec. III-B): `v_i . v_j` of all pairs `i < j`. The paper approximates
      each unit's weights of the pairs by a matrix of rank 1 to save time; here they are whole;
    * `outer`, OPNN (sec. III-C): the outer product of the vectors' sum with itself, `s s^T`
      with `s = sum_i v_i`, the paper's superposition of all pairs' outer products;
    * `both`, PNN*: the one and the other.

    The representation is the tower's output. See `models/backbones.py` for the interface.

    Args:
        product: `inner`, `outer` or `both`.
        hidden_units: widths of the tower's layers; with none, the representation is the
            vectors and products themselves.
        batch_norm: whether the tower normalises each layer over the batch.
        dropout: share of the tower's activations dropped in training.

    Call arguments:
        inputs: float tensor `[batch, fields, dim]`.
        training: whether dropout and batch normalisation are in training mode.

    Returns:
        Float tensor `[batch, last of hidden_units]`.

    Raises:
        UserError: an option is out of range.

    Example:

    ```python
    PNN(hidden_units=(128, 64))(keras.random.normal((4, 9, 32))).shape  # (4, 64)
    ```
    """

    def __init__(self, product="inner", hidden_units=(256, 128, 64), batch_norm=True, dropout=0.1, **kwargs):
        super().__init__(**kwargs)
        check_choice("product", product, _PRODUCTS)
        self.product = product
        self.tower = MLP(hidden_units, dropout, batch_norm, name="tower")

    def build(self, input_shape):
        self.tower.build((None, self._width(input_shape)))
        self.built = True

    def call(self, inputs, training=False):
        _, num_fields, dim = inputs.shape
        parts = [ops.reshape(inputs, (-1, num_fields * dim))]
        if self.product != "outer":
            parts.append(_inner_products(inputs))
        if self.product != "inner":
            total = ops.sum(inputs, axis=1)
            parts.append(ops.reshape(total[:, :, None] * total[:, None, :], (-1, dim * dim)))
        return self.tower(ops.concatenate(parts, axis=-1), training=training)

    def _width(self, input_shape):
        """Number of the tower's inputs."""
        _, num_fields, dim = input_shape
        pairs = num_fields * (num_fields - 1) // 2
        return num_fields * dim + (self.product != "outer") * pairs + (self.product != "inner") * dim * dim

    def compute_output_shape(self, input_shape):
        return self.tower.compute_output_shape((input_shape[0], self._width(input_shape)))

    def get_config(self):
        return {
            **super().get_config(),
            "product": self.product,
            "hidden_units": list(self.tower.hidden_units),
            "batch_norm": self.tower.batch_norm,
            "dropout": self.tower.dropout,
        }


def _inner_products(inputs):
    """Inner products of all pairs of fields `i < j`, by `i` and then `j`: `[batch, pairs]`."""
    num_fields = inputs.shape[1]
    first, second = np.triu_indices(num_fields, k=1)
    products = ops.matmul(inputs, ops.transpose(inputs, (0, 2, 1)))
    by_pair = ops.transpose(ops.reshape(products, (-1, num_fields * num_fields)))
    # Whole rows are gathered, and their gradients scattered, at more than twice the speed of single entries
    # once fields are many.
    return ops.transpose(ops.take(by_pair, first * num_fields + second, axis=0))

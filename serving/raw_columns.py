"""Raw features as dense tensors, one a column: what a caller without `tf.train.Example`s sends."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from models.spec.dataset_spec import DatasetSpec
from serving.signature_names import ITEM


def tensor_specs(spec: DatasetSpec, ranking: bool = False) -> dict[str, tf.TensorSpec]:
    """What a signature takes: one tensor for each feature that the ID model reads.

    A numeric is float32 `[batch]`, NaN where it is missing; a categorical is string
    `[batch]`, `""` where it is missing; a set or a history is string `[batch, values]`, rows
    with fewer values filled up with `""`.

    Args:
        spec: the dataset specification.
        ranking: whether all features but the item's are of one row, for every item.

    Example:

    ```python
    tensor_specs(spec)["user_id"]  # TensorSpec(shape=(None,), dtype=tf.string, name='user_id')
    ```
    """
    return {
        f.name: tf.TensorSpec(
            [None if f.side == ITEM or not ranking else 1, *([None] if f.is_list else [])],
            tf.float32 if f.kind == "numeric" else tf.string, name=f.name)
        for f in spec.model_features}


def to_sparse(spec: DatasetSpec, columns: Mapping[str, tf.Tensor]) -> dict[str, tf.SparseTensor]:
    """The columns as `tf.io.parse_example` gives them with `raw_example.feature_spec`; call it inside a `tf.function`.

    Args:
        spec: the dataset specification.
        columns: tensors as `tensor_specs` describes them.

    Returns:
        Sparse tensors `[batch, values]` by feature name, without the missing values.
    """
    return {f.name: _sparse(columns[f.name]) for f in spec.model_features}


def check_rows(columns: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The number of rows, int32 scalar, which must be the same in all columns.

    Raises:
        tf.errors.InvalidArgumentError: when the graph runs and the columns differ; names the column.
    """
    (first, column), *others = columns.items()
    rows = tf.shape(column)[0]
    checks = [
        tf.debugging.assert_equal(tf.shape(other)[0], rows, f"the column {name} has not as many rows as {first}")
        for name, other in others]
    with tf.control_dependencies(checks):
        return tf.identity(rows)


def _sparse(column: tf.Tensor) -> tf.SparseTensor:
    rows = column if column.shape.rank == 2 else column[:, None]
    present = tf.math.is_finite(rows) if rows.dtype.is_floating else rows != ""
    if column.shape.rank == 2:
        # Without holes: the values of a row follow one another, as in an Example.
        return tf.ragged.boolean_mask(rows, present).to_sparse()
    places = tf.where(present)
    return tf.SparseTensor(places, tf.gather_nd(rows, places), tf.shape(rows, tf.int64))

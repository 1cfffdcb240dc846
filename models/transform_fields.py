"""What the ID model embeds, read off the transform graph."""

from __future__ import annotations

import tensorflow_transform as tft

from models.field import Field
from models.preprocessing import vocabulary_name
from models.spec.dataset_spec import DatasetSpec


def fields(spec: DatasetSpec, transform_output: tft.TFTransformOutput) -> list[Field]:
    """The ID model's fields with the number of ids each needs.

    Id 0 is padding. A vocabulary of v values with b out-of-vocabulary buckets takes
    v + b + 1 ids; a numeric with n buckets takes n + 2, missing being the last.

    Args:
        spec: the dataset specification.
        transform_output: what Transform learned from the training split.

    Returns:
        One field a feature of `spec.model_features`, in order.

    Example:

    ```python
    fields(spec, tft.TFTransformOutput(transform_graph.uri))[0].num_ids
    ```
    """
    result = []
    for feature in spec.model_features:
        if feature.kind == "numeric":
            num_ids = feature.buckets + 2
        else:
            owner = spec.feature(feature.of) if feature.of else feature
            size = len(transform_output.vocabulary_by_name(vocabulary_name(owner)))
            num_ids = size + owner.oov_buckets + 1
        result.append(Field(name=feature.name, kind=feature.kind, num_ids=num_ids, table=feature.of or feature.name,
                            max_length=feature.max_length if feature.is_list else 1))
    return result

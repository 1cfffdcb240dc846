"""Raw examples: the `tf.train.Example` layout of the log and of requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.spec.dataset_spec import DatasetSpec

Values = Mapping[str, Sequence]


def encode(features: Values) -> bytes:
    """Serialises lists of `bytes`/`str`, `float` or `int` as a `tf.train.Example`.

    An empty list is written as a feature of no kind: the value is missing.
    """
    example = tf.train.Example()
    target = example.features.feature
    for name, values in features.items():
        if not values:
            target[name].SetInParent()
        elif isinstance(values[0], float):
            target[name].float_list.value.extend(values)
        elif isinstance(values[0], int):
            target[name].int64_list.value.extend(values)
        else:
            target[name].bytes_list.value.extend(v if isinstance(v, bytes) else v.encode() for v in values)
    # Deterministic, since ingestion orders rows of one time by their bytes.
    return example.SerializeToString(deterministic=True)


def decode(serialized: bytes) -> dict[str, list]:
    """The inverse of `encode`; a feature of no kind becomes an empty list."""
    features = tf.train.Example.FromString(serialized).features.feature
    return {
        name: list(getattr(feature, kind).value) if (kind := feature.WhichOneof("kind")) else []
        for name, feature in features.items()
    }


def feature_spec(spec: DatasetSpec) -> dict[str, tf.io.VarLenFeature]:
    """What `tf.io.parse_example` needs for the features that the ID model reads.

    All are of variable length, so that missing values and features absent from a
    request parse.
    """
    return {
        f.name: tf.io.VarLenFeature(tf.float32 if f.kind == "numeric" else tf.string)
        for f in spec.model_features
    }

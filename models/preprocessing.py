"""The transform graph: from raw examples to ids, the same in training and in serving."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import tensorflow as tf
import tensorflow_transform as tft

from models.field import Field
from models.input_pipeline import ROW_SENTENCE
from models.spec.dataset_spec import LABEL, DatasetSpec
from models.spec.errors import UserError
from models.spec.feature import Feature

FROZEN = "frozen"
# Deviations from the mean at which a number is cut: one absurd price must not decide a score by itself.
_CLIP = 10.0
# What a missing or empty string becomes. It is counted like any other value: frequent
# enough, it has an embedding of its own; else it always falls into the same
# out-of-vocabulary bucket.
MISSING = "<missing>"

Tensors = Mapping[str, tf.SparseTensor]


def preprocessing_fn(inputs: Tensors, custom_config: Mapping) -> dict[str, tf.Tensor]:
    """Turns raw, textualised examples into transformed ones (docs/architecture.md).

    Every output depends on the inputs it is made from only, so that a served graph,
    fed the ID model's raw features alone, can do without label and sentences: see
    `models.served_transform.ServedTransform`.

    Args:
        inputs: sparse tensors [batch, values] by feature name: strings; floats for a
            numeric; int64 for `label` and text keys.
        custom_config: `dataset_spec` (JSON) and `text_mode` (`frozen` or `finetune`); and, where
            vocabularies are made beforehand, `vocabularies`, the folder of their files.

    Returns:
        Dense tensors by name.

    Raises:
        UserError: a feature has no value in the whole log, or is not of variable
            length in the schema.

    Example:

    ```python
    config = {"dataset_spec": spec.to_json(), "text_mode": "frozen"}
    Transform(..., preprocessing_fn="models.preprocessing.preprocessing_fn", custom_config=config)
    ```
    """
    spec = DatasetSpec.from_json(custom_config["dataset_spec"])
    outputs = {LABEL: _first(_input(inputs, LABEL), 0)}
    for feature in spec.model_features:
        if feature.kind == "numeric":
            outputs.update(_numeric(feature, _input(inputs, feature.name)))
        elif feature.kind != "history":
            sharing = [f for f in spec.model_features if f.of == feature.name]
            outputs.update(_ids(feature, sharing, inputs, custom_config.get("vocabularies")))
    if custom_config["text_mode"] == FROZEN:
        for side in spec.text_sides:
            key = f"{side}_text_key"
            outputs[key] = _first(_input(inputs, key), 0)
        for feature in spec.encoded_histories:
            key = f"{feature.name}_text_key"
            newest = _newest(_input(inputs, key), feature.max_length)
            outputs[key] = _padded(newest, newest.values, feature.max_length)
    else:
        sentences = [_first(_input(inputs, f"{side}_sentence"), "") for side in spec.text_sides]
        # Apart, so that each can be cut to its share of the tokens.
        outputs[ROW_SENTENCE] = tf.stack(sentences, axis=1)
    return outputs


def fields(spec: DatasetSpec, transform_output: tft.TFTransformOutput) -> list[Field]:
    """The ID model's inputs, with the number of ids that each can hold.

    Id 0 is padding. A vocabulary of v values with b out-of-vocabulary buckets takes
    v + b + 1 ids; h hash buckets take h + 1; a numeric with n buckets takes n + 2, missing being the last.

    Args:
        spec: the dataset specification.
        transform_output: what Transform learned from the training split.

    Returns:
        One field a feature that the model reads, in order.
    """
    result = []
    for feature in spec.model_features:
        owner = spec.feature(feature.of) if feature.of else feature
        if feature.kind == "numeric":
            num_ids = feature.buckets + 2
        elif owner.hash_buckets:
            num_ids = owner.hash_buckets + 1
        else:
            num_values = transform_output.vocabulary_size_by_name(_vocabulary_name(owner))
            num_ids = num_values + owner.oov_buckets + 1
        max_length = feature.max_length if feature.is_list else 1
        result.append(Field(feature.name, feature.kind, num_ids, table=owner.name, max_length=max_length))
    return result


def values_in_place(feature: Feature, x: tf.SparseTensor) -> tf.Tensor:
    """The strings behind a feature's ids, each where `preprocessing_fn` puts its id.

    Args:
        feature: a categorical, set or history.
        x: its raw values, string [batch, values].

    Returns:
        String [batch] for a categorical, [batch, `max_length`] for the others; "" where
        there is no value.
    """
    if feature.kind == "categorical":
        return _first(x, "")
    kept = (_newest if feature.kind == "history" else _oldest)(x, feature.max_length)
    return _padded(kept, kept.values, feature.max_length)


def vocabulary_features(spec: DatasetSpec) -> tuple[Feature, ...]:
    """The features that have a vocabulary; a history reads that of its `of`."""
    return tuple(f for f in spec.model_features if f.kind in ("categorical", "set") and not f.hash_buckets)


def vocabulary_values(feature: Feature, values: Sequence[bytes]) -> list[bytes]:
    """What one raw row adds to a feature's vocabulary, as the transform graph would count it.

    A value that spans lines never has a row of its own: a vocabulary is a text file.

    Args:
        feature: one of `vocabulary_features`.
        values: its raw values.
    """
    kept = list(values[:feature.max_length]) if feature.kind == "set" else [values[0] if values else b""]
    named = [value or MISSING.encode() for value in kept]
    return [value for value in named if b"\n" not in value and b"\r" not in value]


def _vocabulary_name(feature: Feature) -> str:
    return f"{feature.name}_vocabulary"


def _input(inputs: Tensors, name: str) -> tf.SparseTensor:
    if name not in inputs:
        raise UserError(
            f"the schema has no feature {name!r}: it has no value in any training row. Check its column, or "
            f"remove it from the dataset specification; the schema has: {', '.join(sorted(inputs))}")
    if not isinstance(inputs[name], tf.SparseTensor):
        raise UserError(
            f"the schema gives the feature {name!r} a fixed shape; values may be missing, so it must have "
            "none: remove `shape` from it")
    return inputs[name]


def _numeric(feature: Feature, x: tf.SparseTensor) -> dict[str, tf.Tensor]:
    """Quantile bucket + 1 (missing: `buckets + 1`), and clipped z-score (missing: 0)."""
    values = tf.cast(x.values, tf.float32)
    # One NaN or infinity would spoil mean and variance for every row: it is missing.
    keep = tf.math.is_finite(values) & (x.indices[:, 1] == 0)
    kept = tf.sparse.retain(x.with_values(values), keep)
    known = tf.SparseTensor(kept.indices, kept.values, [x.dense_shape[0], 1])
    buckets = tft.bucketize(known, feature.buckets)
    scores = tft.scale_to_z_score(known)
    missing = tf.constant(feature.buckets, tf.int64)
    return {
        feature.name: _padded(buckets, buckets.values, 1, missing)[:, 0] + 1,
        f"{feature.name}_value": _padded(scores, tf.clip_by_value(scores.values, -_CLIP, _CLIP), 1)[:, 0],
    }


def _ids(
    feature: Feature, sharing: list[Feature], inputs: Tensors, vocabularies: str | None
) -> dict[str, tf.Tensor]:
    """Ids of a categorical or set feature and of the histories that share its vocabulary.

    All are looked up at once: one table a vocabulary keeps the served graph small.
    """
    x = _input(inputs, feature.name)
    if feature.kind == "categorical":
        own = _named(_first(x, MISSING))
    else:
        sets = _oldest(x, feature.max_length)
        own = _named(sets.values)
    histories = [_newest(_input(inputs, f.name), f.max_length) for f in sharing]
    strings = tf.concat([own, *(_named(h.values) for h in histories)], axis=0) if histories else own
    if feature.hash_buckets:
        ids = 1 + tft.hash_strings(strings, feature.hash_buckets)
    elif vocabularies:
        ids = 1 + _rows_of_file(feature, vocabularies, strings)
    else:
        vocabulary = tft.vocabulary(
            own, frequency_threshold=feature.min_count if feature.min_count > 1 else None,  # TFT warns of a 1
            top_k=feature.max_values, vocab_filename=_vocabulary_name(feature), name=feature.name)
        ids = 1 + tft.apply_vocabulary(strings, vocabulary, num_oov_buckets=feature.oov_buckets)
    own_ids, history_ids = ids, []
    if histories:
        own_ids, *history_ids = tf.split(ids, [tf.size(part) for part in (own, *(h.values for h in histories))])
    if feature.kind == "categorical":
        outputs = {feature.name: tf.reshape(own_ids, [-1])}  # a lookup forgets the rank, and so does a split
    else:
        outputs = {feature.name: _padded(sets, own_ids, feature.max_length)}
    for f, history, of_history in zip(sharing, histories, history_ids, strict=True):
        outputs[f.name] = _padded(history, of_history, f.max_length)
    return outputs


def _rows_of_file(feature: Feature, folder: str, strings: tf.Tensor) -> tf.Tensor:
    """Lines of a vocabulary's file, from 0, and behind them the out-of-vocabulary buckets."""
    name = _vocabulary_name(feature)
    table = tft.make_and_track_object(lambda: tf.lookup.StaticVocabularyTable(
        tf.lookup.TextFileInitializer(
            os.path.join(folder, name), tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64,
            tf.lookup.TextFileIndex.LINE_NUMBER),
        num_oov_buckets=feature.oov_buckets), name=name)
    # So that it is found by its name, as TFT's own vocabularies are.
    tft.annotators.annotate_asset(name, name)
    return table.lookup(strings)


def _named(strings: tf.Tensor) -> tf.Tensor:
    return tf.where(tf.equal(strings, ""), MISSING, strings)


def _first(x: tf.SparseTensor, default) -> tf.Tensor:
    """The first value of each row, [batch]."""
    first = _oldest(x, 1)
    return _padded(first, first.values, 1, tf.constant(default, x.dtype))[:, 0]


def _oldest(x: tf.SparseTensor, length: int) -> tf.SparseTensor:
    """The first `length` values of each row."""
    return tf.sparse.slice(x, [0, 0], [x.dense_shape[0], length])


def _newest(x: tf.SparseTensor, length: int) -> tf.SparseTensor:
    """The last `length` values of each row, moved to its beginning."""
    rows, columns = x.indices[:, 0], x.indices[:, 1]
    counts = tf.math.unsorted_segment_sum(tf.ones_like(rows), rows, x.dense_shape[0])
    columns -= tf.maximum(tf.gather(counts, rows) - length, 0)
    moved = tf.SparseTensor(tf.stack([rows, columns], axis=1), x.values, x.dense_shape)
    return tf.sparse.retain(moved, columns >= 0)


def _padded(x: tf.SparseTensor, values: tf.Tensor, length: int, default=None) -> tf.Tensor:
    """Values at the places of `x`, dense [batch, length]."""
    moved = tf.SparseTensor(x.indices, values, [x.dense_shape[0], length])
    return tf.reshape(tf.sparse.to_dense(moved, default, validate_indices=False), [-1, length])

"""What a model leaves for the next day's, and how the next day's begins with it."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf

from models.ctr_model import CTRModel
from models.rolling_vocabulary import RollingVocabulary

# Below a model's artifact, beside what is served.
_FOLDER = "warm_start"
_VOCABULARIES = "vocabularies"


def folder(model_uri: str) -> str:
    """Where a model's artifact keeps what the next day's starts from."""
    return os.path.join(model_uri, _FOLDER)


def vocabularies(model_uri: str) -> str:
    """Where it keeps its vocabularies."""
    return os.path.join(folder(model_uri), _VOCABULARIES)


def save(model: CTRModel, model_uri: str, name: str) -> None:
    """Keeps an ID model, its structure and weights, as `name`."""
    tf.io.gfile.makedirs(folder(model_uri))
    with tf.io.gfile.GFile(_file(model_uri, f"{name}.json"), "w") as stream:
        json.dump(model.get_config(), stream)
    with tempfile.TemporaryDirectory() as local:
        path = os.path.join(local, "model.weights.h5")
        model.save_weights(path)
        tf.io.gfile.copy(path, _file(model_uri, f"{name}.weights.h5"), overwrite=True)


def load(model_uri: str, name: str) -> CTRModel | None:
    """The ID model that `save` kept, or None where there is none of that name."""
    if not tf.io.gfile.exists(_file(model_uri, f"{name}.json")):
        return None
    with tf.io.gfile.GFile(_file(model_uri, f"{name}.json")) as stream:
        model = CTRModel.from_config(json.load(stream))
    with tempfile.TemporaryDirectory() as local:
        path = os.path.join(local, "model.weights.h5")
        tf.io.gfile.copy(_file(model_uri, f"{name}.weights.h5"), path)
        model.load_weights(path)
    return model


def save_layers(layers: Mapping[str, keras.layers.Layer], model_uri: str, name: str) -> None:
    """Keeps the trained weights of layers as `name`."""
    tf.io.gfile.makedirs(folder(model_uri))
    arrays = {f"{key}/{i}": keras.ops.convert_to_numpy(weight)
              for key, layer in layers.items() for i, weight in enumerate(layer.trainable_weights)}
    # An archive is written back and forth, which a stream of tf.io does not take.
    archive = io.BytesIO()
    np.savez(archive, **arrays)
    with tf.io.gfile.GFile(_file(model_uri, f"{name}.npz"), "wb") as stream:
        stream.write(archive.getvalue())


def load_layers(layers: Mapping[str, keras.layers.Layer], model_uri: str, name: str) -> list[str]:
    """Gives layers the weights that `save_layers` kept; a layer whose shapes are others is left as it is.

    Returns:
        What is not taken over, a line each.
    """
    if not tf.io.gfile.exists(_file(model_uri, f"{name}.npz")):
        return [f"{name}: the earlier model has none"]
    with tf.io.gfile.GFile(_file(model_uri, f"{name}.npz"), "rb") as stream:
        arrays = dict(np.load(io.BytesIO(stream.read())))
    left = []
    for key, layer in layers.items():
        weights = layer.trainable_weights
        values = [arrays[f"{key}/{i}"] for i in range(len(weights)) if f"{key}/{i}" in arrays]
        left += _assign(key, weights, values, f"{key}/{len(weights)}" in arrays)
    return left


def copy(source_uri: str, target_uri: str) -> None:
    """Adds all that one model keeps to what another does."""
    if not tf.io.gfile.exists(folder(source_uri)):
        return
    for name in tf.io.gfile.listdir(folder(source_uri)):
        if not tf.io.gfile.isdir(_file(source_uri, name)):
            tf.io.gfile.makedirs(folder(target_uri))
            tf.io.gfile.copy(_file(source_uri, name), _file(target_uri, name), overwrite=True)


def copy_vocabularies(source: str, target_uri: str) -> None:
    """Keeps a folder of vocabularies."""
    tf.io.gfile.makedirs(vocabularies(target_uri))
    for name in tf.io.gfile.listdir(source):
        tf.io.gfile.copy(os.path.join(source, name), os.path.join(vocabularies(target_uri), name), overwrite=True)


def take_over(new: CTRModel, old: CTRModel, new_values: Mapping[str, Sequence[bytes]],
              old_values: Mapping[str, Sequence[bytes]]) -> list[str]:
    """Gives a model with initial weights those of an earlier one, wherever both have them.

    An ID's vector follows its value to the row that it has now; rows of values that the
    earlier model did not know keep their initial value. Buckets of numbers and of unknown
    values are taken over by their number.

    Args:
        new: the model; it is changed.
        old: the earlier model.
        new_values: vocabulary by table, in the order of the rows, of the model.
        old_values: that of the earlier one.

    Returns:
        What is not taken over, a line each.

    Example:

    ```python
    left = take_over(CTRModel(fields), warm_start.load(uri, "student"), new_values, old_values)
    ```
    """
    left = []
    for part in ("embedding", "first_order"):
        ours, theirs = getattr(new, part), getattr(old, part)
        if ours is not None and theirs is not None:
            left += _embeddings(part, ours, theirs, new_values, old_values)
    if not _same_backbone(new, old):
        return left + [f"backbone and output layer: it was {old.backbone_name} {old.backbone_options or ''}".rstrip()]
    changed = _assign("backbone and output layer", new.backbone.weights, old.backbone.weights)
    # An output layer means nothing on another representation.
    return left + (changed or _assign("output layer", new.output_layer.weights, old.output_layer.weights))


def take_over_output_layer(new: CTRModel, old: CTRModel) -> bool:
    """Gives a model an earlier one's output layer; returns whether their backbones are the same."""
    return (_same_backbone(new, old) and _shapes(new.backbone) == _shapes(old.backbone)
            and not _assign("output layer", new.output_layer.weights, old.output_layer.weights))


def read_values(folder_: str, model: CTRModel) -> dict[str, tuple[bytes, ...]]:
    """The vocabulary of each of a model's tables that has one, from a folder of `RollingVocabulary`."""
    found = {table: RollingVocabulary.load(folder_, table) for table in model.embedding.tables}
    return {table: vocabulary.values for table, vocabulary in found.items() if vocabulary is not None}


def _embeddings(part: str, ours, theirs, new_values, old_values) -> list[str]:
    left = []
    for table, weight in ours.tables.items():
        earlier = theirs.tables.get(table)
        if earlier is None:
            left.append(f"{part} of {table}: it is new")
            continue
        values, before = keras.ops.convert_to_numpy(weight).copy(), keras.ops.convert_to_numpy(earlier)
        if values.shape[1] != before.shape[1]:
            left.append(f"{part} of {table}: vectors were {before.shape[1]} wide and are {values.shape[1]}")
            continue
        if (table in new_values) != (table in old_values) or (
                table not in new_values and len(values) != len(before)):
            left.append(f"{part} of {table}: its kind or its number of buckets is another")
            continue
        rows = _rows(new_values.get(table, ()), old_values.get(table, ()), len(values), len(before))
        values[rows[:, 0]] = before[rows[:, 1]]
        weight.assign(values)
    for name in (n for n in ours.directions if n in theirs.directions):
        left += _assign(f"{part} of {name}", [ours.directions[name]], [theirs.directions[name]])
    for name, attention in ours.attentions.items():
        found = theirs.attentions.get(name)
        left += _assign(f"attention of {name}", attention.weights, found.weights if found else [])
    return left


def _rows(new: Sequence[bytes], old: Sequence[bytes], num_new: int, num_old: int) -> np.ndarray:
    """Pairs of a row now and the same value's row before, int64 [n, 2]."""
    before = {value: i + 1 for i, value in enumerate(old)}
    pairs = [(0, 0)] + [(i + 1, before[value]) for i, value in enumerate(new) if value in before]
    # Behind the values stand the buckets of unknown ones; of a number all rows are buckets.
    buckets = min(num_new - len(new), num_old - len(old)) - 1
    pairs += [(len(new) + 1 + i, len(old) + 1 + i) for i in range(buckets)]
    return np.array(pairs, np.int64)


def _same_backbone(new: CTRModel, old: CTRModel) -> bool:
    return (new.backbone_name, new.backbone_options) == (old.backbone_name, old.backbone_options)


def _shapes(layer) -> list[tuple[int, ...]]:
    return [tuple(weight.shape) for weight in layer.weights]


def _assign(what: str, weights: Sequence, values: Sequence, more: bool = False) -> list[str]:
    """Assigns weights pairwise where all shapes agree; else says so."""
    shapes = [tuple(w.shape) for w in weights], [tuple(v.shape) for v in values]
    if shapes[0] != shapes[1] or more:
        return [f"{what}: its weights have other shapes"]
    for weight, value in zip(weights, values):
        weight.assign(value)
    return []


def _file(model_uri: str, name: str) -> str:
    return os.path.join(folder(model_uri), name)

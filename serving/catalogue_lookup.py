"""Ids of catalogue entries that have no row in the trained vocabulary."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence

import tensorflow as tf

from models.field import Field
from models.preprocessing import values_in_place
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError


class CatalogueLookup(tf.Module):
    """Gives values of a catalogue the ids behind those of the trained vocabulary.

    The i-th entry of a feature's catalogue becomes the id `num_ids + i`, wherever the
    value stands: in the feature itself and in the histories of it. A value that is in
    the trained vocabulary as well gets the catalogue's id, so an entry with few clicks
    can be given another row than the one it was trained with. All other values keep the
    ids that the transform graph gave them.

    The values lie in text files among the SavedModel's assets, as the vocabularies do:
    the graph does not grow with the catalogue. Keep the object as an attribute of the
    exported `tf.Module`: it owns the tables.

    Args:
        spec: the dataset specification.
        fields: the fields that the model was trained with.
        catalogue: values, in the order of their rows, by feature: a categorical or set.
        folder: where the files are written; they must last until the module is exported.

    Raises:
        UserError: a feature has no vocabulary of its own, or a value stands twice, is
            empty or spans lines.

    Example:

    ```python
    module.catalogue = CatalogueLookup(spec, model.fields, {"movie_id": ["9001", "9002"]}, folder)
    module.catalogue(raw, module.transform(raw))["movie_id"]  # int64 [batch]
    ```
    """

    def __init__(
        self, spec: DatasetSpec, fields: Sequence[Field], catalogue: Mapping[str, Sequence[str]], folder: str
    ):
        super().__init__()
        num_ids = {field.table: field.num_ids for field in fields}
        self._offsets = {}
        self._tables = {}
        for name, values in catalogue.items():
            if name not in num_ids or name not in {f.name for f in fields if f.kind in ("categorical", "set")}:
                raise UserError(
                    f"catalogue: {name!r} is no categorical or set feature of the model; there are: "
                    + ", ".join(f.name for f in fields if f.kind in ("categorical", "set")))
            _check(name, values)
            if values:
                self._offsets[name] = num_ids[name]
                self._tables[name] = _table(name, values, folder)
        self._features = [(spec.feature(f.name), f.table) for f in fields if f.table in self._tables]

    def __call__(
        self, raw: Mapping[str, tf.SparseTensor], transformed: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Puts the catalogue's ids in place; call it inside a `tf.function`.

        Args:
            raw: sparse tensors of the raw features by name.
            transformed: what `ServedTransform` made of them.

        Returns:
            `transformed`, with the ids of the catalogue's values.
        """
        result = dict(transformed)
        for feature, table in self._features:
            lines = self._tables[table].lookup(values_in_place(feature, raw[feature.name]))
            result[feature.name] = tf.where(lines >= 0, lines + self._offsets[table], transformed[feature.name])
        return result


def _check(name: str, values: Sequence[str]) -> None:
    seen = set()
    for value in values:
        # The file has a value a line, and TensorFlow takes no carriage return for part of one.
        if not value or "\n" in value or "\r" in value:
            raise UserError(f"catalogue of {name!r}: {value!r} is no value; it must have at least one character "
                            "and no line break")
        if value in seen:
            raise UserError(f"catalogue of {name!r}: {value!r} stands twice")
        seen.add(value)


def _table(name: str, values: Sequence[str], folder: str) -> tf.lookup.StaticHashTable:
    """A table from a value to its number; -1 for any other."""
    # A folder of its own, so that the file's name says what is in it.
    path = os.path.join(tempfile.mkdtemp(dir=folder), f"{name}_catalogue")
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.writelines(f"{value}\n" for value in values)
    initializer = tf.lookup.TextFileInitializer(
        path, tf.string, tf.lookup.TextFileIndex.WHOLE_LINE, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER)
    return tf.lookup.StaticHashTable(initializer, default_value=-1)

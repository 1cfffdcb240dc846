"""Rows of data sets that tensorflow-datasets prepared."""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Iterator, Sequence

from components.example_gen.files import check_columns
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from components.example_gen.tfrecord_reader import records, values_of

# What our own builders keep besides the columns: where a row stood in the official
# files, as `ratings.dat:17`, and for a malformed row its reason and text as JSON.
ORIGIN = "_origin"
REJECTED = "_rejected"


class TfdsReader:
    """Streams the rows of a prepared tensorflow-datasets shard.

    Only the columns asked for are decoded, straight from the stored examples: features
    of one value, sequences of such, nested ones as `outer/inner`. A class label becomes
    its name. Images, audio and the like are no columns.

    Args:
        columns: the features that are read.

    Example:

    ```python
    builder = prepare("movielens_ratings/100k", data_dir="ml-100k", cache_dir="cache")
    for file in builder.info.splits["train"].filepaths:
        for row in TfdsReader(["user_id", "rating"]).read(str(file)):
            print(row.file, row.line, row.values)
    ```
    """

    def __init__(self, columns: Sequence[str]):
        self._columns = tuple(columns)

    def read(self, file: str) -> Iterator[Row | Rejected]:
        """The rows of a shard; file and line are the official file's where the builder knows them.

        Raises:
            UserError: the shard is damaged, or the data set lacks a column.
        """
        import tensorflow as tf

        available, dataset = _open(os.path.dirname(file))
        check_columns(file, self._columns, [c for c in available if c not in (ORIGIN, REJECTED)])
        decoders = [(c, available[c]) for c in self._columns]
        for number, record in enumerate(records(dataset(file), file), 1):
            features = tf.train.Example.FromString(record).features.feature
            source, line = file, number
            if ORIGIN in features:
                source, line = values_of(features[ORIGIN])[0].rsplit(":", 1)
            if REJECTED in features:
                yield Rejected(source, int(line), **json.loads(values_of(features[REJECTED])[0]))
                continue
            values = {c: decode(values_of(features[c])) if c in features else None for c, decode in decoders}
            yield Row(values, source, int(line))


@functools.lru_cache(maxsize=8)
def _open(folder: str) -> tuple[dict[str, Callable], Callable]:
    """The columns of a prepared data set with their decoders, and how its shards are read."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import file_adapters

    builder = tfds.builder_from_directory(folder)
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    return dict(_decoders(builder.info.features)), adapter.make_tf_data


def _decoders(feature, name: str = "", listed: bool = False) -> Iterator[tuple[str, Callable]]:
    """(column, function from its stored values to a row's value) of a feature and those inside it."""
    import numpy as np
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        for key, inner in feature.items():
            yield from _decoders(inner, f"{name}/{key}" if name else key, listed)
        return
    if isinstance(feature, tfds.features.Sequence) and not listed:
        yield from _decoders(feature.feature, name, listed=True)
        return
    shape = getattr(feature, "shape", None)
    if shape == () or isinstance(shape, tuple) and len(shape) == 1 and not listed:
        convert = None
        if isinstance(feature, tfds.features.ClassLabel) and feature.names:
            names = feature.names
            convert = lambda index: names[index] if index >= 0 else None  # noqa: E731
        elif feature.np_dtype == np.bool_:
            convert = bool
        listed = listed or shape != ()
        yield name, functools.partial(_decode, convert=convert, listed=listed)


def _decode(values: list, convert: Callable | None, listed: bool):
    if convert:
        values = [convert(v) for v in values]
    if listed:
        return values
    return values[0] if values else None

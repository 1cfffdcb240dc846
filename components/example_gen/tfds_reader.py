"""Rows of data sets that tensorflow-datasets prepared."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
from collections.abc import Callable, Iterator, Sequence

from components.example_gen.files import check_columns
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from components.example_gen.tfrecord_reader import damaged

# What our own builders keep besides the columns: where a row stood in the official
# files, as `ratings.dat:17`, and for a malformed row its reason and text as JSON.
ORIGIN = "_origin"
REJECTED = "_rejected"
_BATCH = 512


class TfdsReader:
    """Streams the rows of a prepared tensorflow-datasets shard.

    Only the columns asked for are parsed, straight from the stored examples: features
    of one value, sequences of such, nested ones as `outer/inner`. A class label becomes
    its name. Images, audio and the like are no columns.

    Args:
        columns: the features that are read.

    Example:

    ```python
    builder = prepare("movielens_ratings/100k", data_dir="ml-100k", cache_dir="cache")
    for file in shards(builder, "train"):
        for row in TfdsReader(["user_id", "rating"]).read(file):
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
        available, dataset = _open(os.path.dirname(file))
        check_columns(file, self._columns, sorted(set(available) - {ORIGIN, REJECTED}))
        names = [*self._columns, *(c for c in (ORIGIN, REJECTED) if c in available)]
        number = 0
        for batch in _parsed(dataset(file), {name: available[name] for name in names}, file):
            columns = {name: available[name].values(*batch[name]) for name in names}
            wanted = zip(*(columns[c] for c in self._columns))
            origins = columns.get(ORIGIN) or [None] * len(columns[names[0]])
            rejections = columns.get(REJECTED) or [None] * len(origins)
            for values, origin, rejected in zip(wanted, origins, rejections):
                number += 1
                source, line = origin.rsplit(":", 1) if origin else (file, number)
                if rejected:
                    yield Rejected(source, int(line), **json.loads(rejected))
                else:
                    yield Row(dict(zip(self._columns, values)), source, int(line))


@dataclasses.dataclass(frozen=True)
class _Column:
    """How a feature's stored values become those of rows.

    Attributes:
        kind: what NumPy calls the kind of its type: "f" float, "b" bool, "i" or "u"
            integer, anything else text.
        is_list: whether a row has a list of values.
        names: what a class label's numbers stand for.
    """

    kind: str
    is_list: bool
    names: Sequence[str] | None

    def ragged(self):
        """How `tf.io.parse_example` reads it: any number of values a row, none where it is missing."""
        import tensorflow as tf

        dtype = tf.float32 if self.kind == "f" else tf.int64 if self.kind in "iub" else tf.string
        return tf.io.RaggedFeature(dtype, row_splits_dtype=tf.int64)

    def values(self, flat: list, splits: list[int]) -> list:
        """One value or list a row; None where nothing is stored."""
        if self.names:
            flat = [self.names[index] if index >= 0 else None for index in flat]
        elif self.kind == "b":
            flat = [bool(value) for value in flat]
        elif self.kind not in "fiu":
            flat = [value.decode() for value in flat]
        if self.is_list:
            return [flat[a:b] for a, b in zip(splits, splits[1:])]
        return [flat[a] if a < b else None for a, b in zip(splits, splits[1:])]


def _parsed(dataset, columns: dict[str, _Column], file: str) -> Iterator[dict[str, tuple[list, list]]]:
    """Batches of each column's flat values and row splits."""
    import tensorflow as tf

    # A graph parses a batch many times faster than Python parses its records.
    specs = {name: column.ragged() for name, column in columns.items()}
    parsed = dataset.batch(_BATCH).map(lambda records: tf.io.parse_example(records, specs)).prefetch(1)
    try:
        for batch in parsed:
            yield {name: (value.flat_values.numpy().tolist(), value.row_splits.numpy().tolist())
                   for name, value in batch.items()}
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError, tf.errors.InvalidArgumentError) as error:
        raise damaged(file, error) from error


@functools.lru_cache(maxsize=8)
def _open(folder: str) -> tuple[dict[str, _Column], Callable]:
    """The columns of a prepared data set, and how its shards are read."""
    import tensorflow_datasets as tfds
    from tensorflow_datasets.core import file_adapters

    builder = tfds.builder_from_directory(folder)
    columns, file_format = dict(_columns(builder.info.features)), builder.info.file_format
    if file_format is file_adapters.FileFormat.ARRAY_RECORD:
        return columns, _array_record
    return columns, file_adapters.ADAPTER_FOR_FORMAT[file_format].make_tf_data


def _array_record(file: str):
    """A `tf.data.Dataset` of an ArrayRecord file's records; TensorFlow itself reads none."""
    import tensorflow as tf
    from array_record.python import array_record_data_source

    def generate():
        with array_record_data_source.ArrayRecordDataSource([file]) as source:
            for start in range(0, len(source), _BATCH):
                yield from source.__getitems__(range(start, min(start + _BATCH, len(source))))

    return tf.data.Dataset.from_generator(generate, output_signature=tf.TensorSpec([], tf.string))


def _columns(feature, name: str = "", listed: bool = False) -> Iterator[tuple[str, _Column]]:
    """A feature's column, or those of the features inside it."""
    import numpy as np
    import tensorflow_datasets as tfds

    if isinstance(feature, tfds.features.FeaturesDict):
        for key, inner in feature.items():
            yield from _columns(inner, f"{name}/{key}" if name else key, listed)
    elif isinstance(feature, tfds.features.Sequence):
        if not listed:
            yield from _columns(feature.feature, name, listed=True)
    elif isinstance(feature, tfds.features.Tensor):
        rank = len(feature.shape) + listed
        if rank < 2:
            names = feature.names if isinstance(feature, tfds.features.ClassLabel) else None
            yield name, _Column(np.dtype(feature.np_dtype).kind, rank == 1, names)

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
        check_columns(file, self._columns, [c for c in available if c not in (ORIGIN, REJECTED)])
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
    """How a feature's stored values become those of rows."""

    feature: object
    is_list: bool

    def ragged(self):
        import tensorflow as tf

        dtype = self.feature.np_dtype
        kind = tf.float32 if dtype.kind == "f" else tf.int64 if dtype.kind in "iub" else tf.string
        return tf.io.RaggedFeature(kind, row_splits_dtype=tf.int64)

    def values(self, flat: list, splits: list[int]) -> list:
        """One value or list a row; None where nothing is stored."""
        import tensorflow_datasets as tfds

        if flat and isinstance(flat[0], bytes):
            flat = [value.decode() for value in flat]
        elif isinstance(self.feature, tfds.features.ClassLabel) and self.feature.names:
            names = self.feature.names
            flat = [names[index] if index >= 0 else None for index in flat]
        elif self.feature.np_dtype.kind == "b":
            flat = [bool(value) for value in flat]
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
    adapter = file_adapters.ADAPTER_FOR_FORMAT[builder.info.file_format]
    return dict(_columns(builder.info.features)), adapter.make_tf_data


def _columns(feature, name: str = "", listed: bool = False) -> Iterator[tuple[str, _Column]]:
    """A feature's column, or those of the features inside it."""
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
            yield name, _Column(feature, is_list=rank == 1)

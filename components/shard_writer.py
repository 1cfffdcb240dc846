"""Writes what comes of one unit of work, always under the same names."""

from __future__ import annotations

import collections
import os
import uuid
from collections.abc import Sequence

import tensorflow as tf

from components import beam_io

_GZIP = tf.io.TFRecordOptions(compression_type="GZIP")


class ShardWriter:
    """Writes serialized examples of one unit of work as gzipped TFRecords, split by split.

    Beam's sinks shuffle the rows over a number of shards, beginning with a random one, or
    number the files by random names. So two runs on the same data have their rows in
    different orders, and a runner in memory holds all of them. Here files are named after
    the unit of work (a part of a log, a shard that is read): the same unit makes the same
    files wherever and however often it is done. A bundle that is done again replaces its
    files; one that fails leaves none.

    Args:
        uri: of the Examples artifact.
        names: of the files a split that the unit's rows are dealt out to; no other unit has them.

    Example:

    ```python
    with ShardWriter(uri, shard_names("00000-00000", 2)) as writer:
        writer.write("train", serialized)
    ```
    """

    def __init__(self, uri: str, names: Sequence[str]):
        self._uri = uri
        self._names = names
        self._temporary = os.path.join(temporary_dir(uri), uuid.uuid4().hex)
        self._rows = collections.Counter()
        self._writers: dict[tuple[str, str], tf.io.TFRecordWriter] = {}

    def write(self, split: str, example: bytes) -> None:
        """Adds a row to a split."""
        key = split, self._names[self._rows[split] % len(self._names)]
        self._rows[split] += 1
        writer = self._writers.get(key)
        if writer is None:
            tf.io.gfile.makedirs(self._temporary)
            writer = self._writers[key] = tf.io.TFRecordWriter(self._path(*key), _GZIP)
        writer.write(example)

    def __enter__(self) -> ShardWriter:
        return self

    def __exit__(self, failure, *_) -> None:
        for writer in self._writers.values():
            writer.close()
        if failure is None:
            for split, name in self._writers:
                folder = beam_io.split_dir(self._uri, split)
                tf.io.gfile.makedirs(folder)
                tf.io.gfile.rename(self._path(split, name), os.path.join(folder, name), overwrite=True)

    def _path(self, split: str, name: str) -> str:
        return os.path.join(self._temporary, f"{split}-{name}")


def shard_names(unit: str, shards: int = 1) -> list[str]:
    """Names of a unit's files; in the order of the names a share of every unit comes in turn.

    Example:

    ```python
    shard_names("00000-00007", 2)  # data_tfrecord-00-00000-00007.gz, data_tfrecord-01-00000-00007.gz
    ```
    """
    return [f"{beam_io.FILE_NAME}-{shard:02d}-{unit}.gz" for shard in range(shards)]


def temporary_dir(uri: str) -> str:
    """Where unfinished files of an artifact are: beside its splits, so that nothing reads them."""
    return os.path.join(uri, ".unfinished")


def finish(uri: str, splits: Sequence[str]) -> None:
    """Removes what bundles that failed left, once the pipeline has ended.

    A split without rows gets a file without rows: what reads it looks for files.
    """
    if tf.io.gfile.exists(temporary_dir(uri)):
        tf.io.gfile.rmtree(temporary_dir(uri))
    for split in splits:
        folder = beam_io.split_dir(uri, split)
        if not tf.io.gfile.exists(folder):
            tf.io.gfile.makedirs(folder)
            tf.io.TFRecordWriter(os.path.join(folder, shard_names("none")[0]), _GZIP).close()

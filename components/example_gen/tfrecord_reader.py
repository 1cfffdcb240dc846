"""Rows of TFRecord files of `tf.train.Example`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from components.example_gen.files import check_columns
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from models.spec.errors import UserError

# A column that none of so many records has is misspelt; a rare feature may miss from fewer.
_LOOK_AHEAD = 10_000
_BATCH = 512


class TfrecordReader:
    """Streams the rows of TFRecord files of `tf.train.Example`.

    A feature with one value becomes that value, one with several a list, an absent or
    empty one `None`; bytes are decoded as UTF-8.

    Args:
        columns: the features that are read.
        compression: `gzip`, `none`, or `auto`, which goes by the name's `.gz`.

    Example:

    ```python
    for row in TfrecordReader(["user", "clicked"]).read("log.tfrecord.gz"):
        print(row.line, row.values)
    ```
    """

    def __init__(self, columns: Sequence[str], compression: str = "auto"):
        self._columns = tuple(columns)
        self._compression = compression

    def read(self, file: str) -> Iterator[Row | Rejected]:
        """The rows of a file; their `line` is the record's number, counted from 1.

        Raises:
            UserError: the file is no TFRecord file, or none of the first 10,000 records
                has a column.
        """
        import tensorflow as tf
        from google.protobuf.message import DecodeError

        gzipped = file.endswith(".gz") if self._compression == "auto" else self._compression == "gzip"
        unseen, seen = set(self._columns), set()
        number = 0
        dataset = tf.data.TFRecordDataset(file, "GZIP" if gzipped else "")
        for number, record in enumerate(_records(dataset, file), 1):
            try:
                features = tf.train.Example.FromString(record).features.feature
            except DecodeError:
                yield Rejected(file, number, "is no tf.train.Example", repr(record[:200]))
                continue
            if unseen:
                seen.update(features)
                unseen -= seen
                if number == _LOOK_AHEAD:
                    check_columns(file, self._columns, sorted(seen))
            try:
                values = {c: _value(features[c]) if c in features else None for c in self._columns}
            except UnicodeDecodeError as error:
                yield Rejected(file, number, f"is not valid utf-8 (byte 0x{error.object[error.start]:02x})",
                               repr(record[:200]))
                continue
            yield Row(values, file, number)
        if unseen and 0 < number < _LOOK_AHEAD:
            check_columns(file, self._columns, sorted(seen))


def _records(dataset, file: str) -> Iterator[bytes]:
    """The elements of a `tf.data.Dataset` of serialized records.

    Raises:
        UserError: `file`, which the data set reads, is damaged.
    """
    import tensorflow as tf

    try:
        # Batches, because leaving TensorFlow costs more than a small record.
        for batch in dataset.batch(_BATCH).prefetch(1).as_numpy_iterator():
            yield from batch
    except (tf.errors.DataLossError, tf.errors.OutOfRangeError) as error:
        raise damaged(file, error) from error


def damaged(file: str, error) -> UserError:
    """The error for a file that TensorFlow cannot read."""
    return UserError(f"{file}: is no TFRecord file, or a damaged one ({error.message}); "
                     "check source.format and source.compression")


def _values(feature) -> list:
    """The values of a `tf.train.Feature`: `str`, `float` or `int`. Raises UnicodeDecodeError."""
    kind = feature.WhichOneof("kind")
    if kind == "bytes_list":
        return [value.decode() for value in feature.bytes_list.value]
    return list(getattr(feature, kind).value) if kind else []


def _value(feature):
    values = _values(feature)
    return values[0] if len(values) == 1 else values or None

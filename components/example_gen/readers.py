"""The rows of any source that a dataset specification names."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence

from components.example_gen import files as _files
from components.example_gen.csv_reader import CsvReader
from components.example_gen.daily_logs import daily_logs
from components.example_gen.file_range import FileRange
from components.example_gen.files import expand, fingerprint, is_uri
from components.example_gen.parquet_reader import ParquetReader
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from components.example_gen.tfds_reader import TfdsReader
from components.example_gen.tfrecord_reader import TfrecordReader
from models.spec.dataset_spec import DatasetSpec

__all__ = ["FileRange", "Rejected", "Row", "expand", "fingerprint", "is_uri", "list_files", "read_range", "read_rows"]


def list_files(
    spec: DatasetSpec, data_dir: str | None = None, cache_dir: str | None = None, progress: bool = False
) -> list[str]:
    """The files a log consists of, sorted: the units that ingestion spreads over workers.

    A tensorflow-datasets source is downloaded and prepared first, where it is not yet,
    and its prepared shards are the files.

    Args:
        spec: the dataset specification.
        data_dir: the folder that holds the files: `source.path` is relative to it then;
            or a builder's official ones.
        cache_dir: where tensorflow-datasets keeps what it prepared; its own default
            when absent.
        progress: whether tensorflow-datasets shows what it downloads and prepares.

    Raises:
        UserError: no file matches, one is empty, or the builder cannot be prepared.

    Example:

    ```python
    spec = DatasetSpec.load("my.yaml")
    for file in list_files(spec):
        for row in read_rows(spec, file):
            ...
    ```
    """
    if spec.source.daily:
        return [file for log in daily_logs(spec, data_dir) for file in log.files]
    if spec.source.format != "tfds":
        return _files.expand(spec.source.path if data_dir is None else spec.source.written_path, data_dir)
    from components.example_gen.builders.prepare import prepare, shards

    return shards(prepare(spec.source.builder, data_dir, cache_dir, progress), spec.source.tfds_split)


def read_rows(spec: DatasetSpec, file: str) -> Iterator[Row | Rejected]:
    """Streams the rows of one of `list_files`, malformed ones as `Rejected`.

    Rows hold the columns of `spec.columns` only, as they stand in the file.

    Raises:
        UserError: the file cannot be read as the specification says, or lacks a column.
    """
    return _reader(spec, spec.columns).read(file)


def read_range(
    spec: DatasetSpec, part: FileRange, columns: Sequence[str] | None = None
) -> Generator[Row | Rejected, None, int]:
    """Streams the rows of a part of a file; their lines are counted from the part's start.

    Args:
        spec: the dataset specification.
        part: one of `file_ranges`.
        columns: the columns that are read; `spec.columns` when absent.

    Returns:
        How many lines (rows, in formats without lines) the part has; 0 for a whole file of a
        format that is not cut.

    Raises:
        UserError: as `read_rows`.
    """
    reader = _reader(spec, spec.columns if columns is None else columns)
    if spec.source.format in ("csv", "parquet"):
        return (yield from reader.read_range(part))
    yield from reader.read(part.file)
    return 0


def _reader(spec: DatasetSpec, columns: Sequence[str]):
    source = spec.source
    if source.format == "csv":
        reader = CsvReader(columns, source.delimiter, source.encoding, source.columns)
    elif source.format == "parquet":
        reader = ParquetReader(columns)
    elif source.format == "tfrecord":
        reader = TfrecordReader(columns, source.compression)
    else:
        reader = TfdsReader(columns)
    return reader

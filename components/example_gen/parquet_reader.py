"""Rows of Parquet files."""

from __future__ import annotations

import contextlib
from collections.abc import Generator, Iterator, Sequence

import pyarrow as pa
from pyarrow import parquet

from components.example_gen.file_range import FileRange
from components.example_gen.files import check_columns, is_uri, open_binary
from components.example_gen.row import Row
from models.spec.errors import UserError

_BATCH = 4096


class ParquetReader:
    """Streams the rows of Parquet files, one batch of a row group at a time.

    Values are Python's own (`str`, `int`, `float`, `bool`, `list`, `datetime`), a null is
    `None`. Only the wanted columns are decoded.

    Args:
        columns: the columns that are read.

    Example:

    ```python
    for row in ParquetReader(["user", "clicked"]).read("log.parquet"):
        print(row.line, row.values)
    ```
    """

    def __init__(self, columns: Sequence[str]):
        self._columns = tuple(columns)

    def read(self, file: str) -> Iterator[Row]:
        """The rows of a file; their `line` is the row's number, counted from 1.

        Raises:
            UserError: the file is no Parquet file, or lacks a column.
        """
        return self.read_range(FileRange(file))

    def read_range(self, part: FileRange) -> Generator[Row, None, int]:
        """The rows of some row groups, counted from 1. Raises UserError as `read`.

        Returns:
            How many rows they have.
        """
        file, number = part.file, 0
        try:
            # A local file is mapped; any other is read through Beam's file systems.
            source = open_binary(file) if is_uri(file) else contextlib.nullcontext(file)
            with source as opened, parquet.ParquetFile(opened) as log:
                check_columns(file, self._columns, log.schema_arrow.names)
                groups = range(part.start, log.num_row_groups if part.stop is None else part.stop)
                # An empty file may have no row group at all.
                for batch in log.iter_batches(_BATCH, groups, list(self._columns)) if groups else ():
                    columns = batch.to_pydict()
                    for values in zip(*(columns[c] for c in self._columns)):
                        number += 1
                        yield Row(dict(zip(self._columns, values)), file, number)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{file}: cannot be read as Parquet: {error}") from error
        return number

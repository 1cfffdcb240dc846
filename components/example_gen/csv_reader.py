"""Rows of CSV files."""

from __future__ import annotations

import codecs
import collections
import csv
import io
import operator
import re
from collections.abc import Generator, Iterator, Sequence
from typing import BinaryIO

from components.example_gen.file_range import FileRange
from components.example_gen.files import check_columns, open_binary
from components.example_gen.rejected import Rejected
from components.example_gen.row import Row
from models.spec.errors import UserError

# Bytes that the encoding cannot decode are kept as these code points ("surrogateescape").
_UNDECODABLE = re.compile("[\udc80-\udcff]")
_BUFFER = 1 << 20


class CsvReader:
    """Streams the rows of CSV files.

    A malformed row (wrong column count, broken quoting, bytes that are no text) becomes
    `Rejected`, and reading goes on with the next line: an opening quote that is never
    closed costs its own line only, not the lines it swallows.

    Args:
        columns: the columns that are read.
        delimiter: one character between two columns.
        encoding: the files' text encoding; a byte order mark is skipped.
        header: all column names, for files without a header line.

    Example:

    ```python
    for row in CsvReader(["user", "clicked"]).read("log.csv"):
        print(row.line, row.values)
    ```
    """

    def __init__(
        self,
        columns: Sequence[str],
        delimiter: str = ",",
        encoding: str = "utf-8",
        header: Sequence[str] | None = None,
    ):
        self._columns = tuple(columns)
        self._delimiter = delimiter
        self._encoding = encoding
        self._header = list(header) if header else None

    def read(self, file: str) -> Iterator[Row | Rejected]:
        """The rows of a file; one whose name ends in `.gz` is decompressed.

        Raises:
            UserError: the file cannot be read, or lacks a column.
        """
        with open_binary(file) as stream:
            yield from self.read_stream(stream, file)

    def read_range(self, part: FileRange) -> Generator[Row | Rejected, None, int]:
        """The rows of a part of a file; lines are counted from its start. Raises UserError as `read`.

        Returns:
            How many lines the part has.
        """
        reader = self
        if part.start and not self._header:
            with open_binary(part.file) as stream:
                reader = CsvReader(self._columns, self._delimiter, self._encoding, self._header_line(stream))
        with open_binary(part.file) as stream:
            counted = _Part(stream, part)
            yield from reader.read_stream(io.BufferedReader(counted, _BUFFER), part.file)
        return counted.lines

    def _header_line(self, stream: BinaryIO) -> list[str]:
        text = io.TextIOWrapper(stream, encoding=self._codec(), errors="surrogateescape", newline="")
        return next(self._reader(_Lines(text)))

    def read_stream(self, stream: BinaryIO, file: str) -> Iterator[Row | Rejected]:
        """The rows of an open file, which `file` names; closes it. Raises UserError as `read`."""
        try:
            with io.TextIOWrapper(stream, encoding=self._codec(), errors="surrogateescape", newline="") as text:
                yield from self._rows(_Lines(text), file)
        except UnicodeDecodeError as error:
            # Encodings that are no superset of ASCII (utf-16) cannot go on after a wrong byte.
            raise UserError(f"{file}: is not valid {self._encoding}: {error.reason}; "
                            "check source.encoding") from error

    def _rows(self, lines: _Lines, file: str) -> Iterator[Row | Rejected]:
        header, pick = self._header, None
        if header:
            pick = self._picker(header, file)
        reader = self._reader(lines)
        line = 1
        while True:
            start, error, fields = line, "", []
            try:
                fields = next(reader)
            except StopIteration:
                break
            except csv.Error as broken:
                error = f"is no valid CSV: {broken}"
            taken = lines.taken
            if error or pick and fields and len(fields) != len(header):
                if len(taken) > 1:
                    # Most likely a quote that is not closed: read the lines after the first again.
                    error = "is no valid CSV: a quoted value is not closed on its line"
                    lines.give_back()
                    reader = self._reader(lines)
                error = error or f"has {_columns(len(fields))}, the header has {len(header)}"
            line += len(taken)
            if not fields and not error:  # A blank line.
                taken.clear()
                continue
            whole = "".join(fields)
            if not error and not whole.isascii() and _UNDECODABLE.search(whole):
                error = self._undecodable(header or fields, fields)
            if pick is None:
                if error:
                    raise UserError(f"{file}:{start}: the header line {error}; check source.delimiter "
                                    "and source.encoding")
                header = fields
                pick = self._picker(header, file)
            elif error:
                yield Rejected(file, start, error, _printable("".join(taken).rstrip("\r\n")))
            else:
                yield Row(dict(zip(self._columns, pick(fields))), file, start)
            taken.clear()
        if pick is None:
            raise UserError(f"{file}: has no header line")

    def _codec(self) -> str:
        # A byte order mark is no part of the first column's name.
        return "utf-8-sig" if codecs.lookup(self._encoding).name == "utf-8" else self._encoding

    def _reader(self, lines: _Lines):
        return csv.reader(lines, delimiter=self._delimiter, strict=True)

    def _picker(self, header: list[str], file: str):
        """A function from a record's fields to the wanted ones."""
        check_columns(file, self._columns, header)
        for column in self._columns:
            if header.count(column) > 1:
                times = header.count(column)
                raise UserError(f"{file}: the column '{column}' stands {times} times in the header")
        positions = [header.index(c) for c in self._columns]
        if len(positions) == 1:
            return lambda fields: (fields[positions[0]],)
        return operator.itemgetter(*positions)

    def _undecodable(self, header: list[str], fields: list[str]) -> str:
        name, match = next((n, m) for n, f in zip(header, fields) if (m := _UNDECODABLE.search(f)))
        return (f"column '{name}' is not valid {self._encoding} "
                f"(byte 0x{ord(match.group()) - 0xDC00:02x} at character {match.start() + 1})")


class _Part(io.RawIOBase):
    """The bytes of a part of a file; counts their lines.

    Args:
        stream: the whole file.
        part: of it.
    """

    def __init__(self, stream: BinaryIO, part: FileRange):
        self._stream = stream
        if part.start:
            stream.seek(part.start)
        self._left = None if part.stop is None else part.stop - part.start
        self.lines = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        view = memoryview(buffer)
        if self._left is not None:
            view = view[:self._left]
        count = self._stream.readinto(view)
        if self._left is not None:
            self._left -= count
        self.lines += bytes(view[:count]).count(b"\n")
        return count


class _Lines:
    """The lines of a text; remembers those of the record being read and takes them back."""

    def __init__(self, text: io.TextIOBase):
        self._text = text
        self._pending: collections.deque[str] = collections.deque()
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line = self._pending.popleft() if self._pending else self._text.readline()
        if not line:
            raise StopIteration
        self.taken.append(line)
        return line

    def give_back(self) -> None:
        """Takes back all lines of the record but the first."""
        self._pending.extendleft(reversed(self.taken[1:]))
        del self.taken[1:]


def _printable(raw: str) -> str:
    """Undecodable bytes as `\\xff`, so that the text can be written as UTF-8."""
    return _UNDECODABLE.sub(lambda match: f"\\x{ord(match.group()) - 0xDC00:02x}", raw)


def _columns(count: int) -> str:
    return f"{count} column" if count == 1 else f"{count} columns"

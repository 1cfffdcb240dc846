"""Cuts big files of a log into ranges, so that many workers read one file.

A CSV file is cut at ends of lines, and only where they end a record: a line break may stand
in a quoted value. Within quotes a line has an odd number of quote characters at the value's
first and last line. So an end of line is taken where the lines of the 128 KiB before it all
have an even number: otherwise a record of more than 128 KiB would reach across all of them,
which Python's `csv` refuses as a field. Nothing but these bytes is read to find it.
"""

from __future__ import annotations

from collections.abc import Iterator

from pyarrow import parquet

from components.example_gen.file_range import FileRange
from components.example_gen.files import open_binary
from components.example_gen.files import size as size_of
from models.spec.source import Source

# A file is cut where it has more than this; a range has about as much.
RANGE_BYTES = 64 << 20
# As long as the longest field that the csv module reads.
_WINDOW = 128 << 10
# In these an ASCII character is a byte, and no other character has such a byte in it.
_CUT_ENCODINGS = ("utf-8", "utf8", "ascii", "us-ascii", "latin", "iso8859", "iso-8859", "cp125", "windows-125")


def file_ranges(source: Source, file: str, size: int = RANGE_BYTES, window: int = _WINDOW) -> Iterator[FileRange]:
    """The ranges of a file, in its order; every row is in exactly one.

    CSV files are cut by bytes and Parquet files by row groups; compressed ones and TFRecords
    are one range.

    Args:
        source: how the file is read.
        file: one of `readers.list_files`.
        size: about so many bytes a range.
        window: bytes of whole lines that must come before a cut.

    Raises:
        UserError: the file cannot be read.

    Example:

    ```python
    list(file_ranges(spec.source, "log.csv"))  # FileRange("log.csv", 0, None) for a small one
    ```
    """
    starts = [0]
    if source.format == "parquet":
        starts = _row_groups(file, size)
    elif source.format == "csv" and not file.endswith(".gz") and _can_cut(source.encoding):
        starts = _line_starts(file, size, window)
    for start, stop in zip(starts, [*starts[1:], None]):
        yield FileRange(file, start, stop)


def _can_cut(encoding: str) -> bool:
    return encoding.lower().replace("_", "-").startswith(_CUT_ENCODINGS)


def _line_starts(file: str, size: int, window: int) -> list[int]:
    starts = [0]
    end = size_of(file)
    if end <= size:
        return starts
    with open_binary(file) as stream:
        for near in range(size, end, size):
            if near > starts[-1]:
                found = _record_start(stream, near, min(near + size, end), window)
                if found is not None:
                    starts.append(found)
    return starts


def _record_start(stream, near: int, limit: int, window: int) -> int | None:
    """The first place after `near` and before `limit` at which a record surely begins."""
    stream.seek(near)
    position = run = near + len(stream.readline())
    while position < limit:
        line = stream.readline()
        position += len(line)
        if line.count(b'"') % 2:
            run = position
        elif position - run >= window and line.endswith(b"\n"):
            return position if position < limit else None
    return None


def _row_groups(file: str, size: int) -> list[int]:
    """The first row group of each range: so many that a range has about `size` bytes."""
    try:
        with open_binary(file) as stream:
            metadata = parquet.read_metadata(stream)
    except (OSError, ValueError):
        return [0]  # The reader says what is wrong with it.
    starts, taken = [0], 0
    for group in range(metadata.num_row_groups):
        if taken >= size:
            starts.append(group)
            taken = 0
        taken += metadata.row_group(group).total_byte_size
    return starts

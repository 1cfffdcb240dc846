"""A part of a log's file that one worker reads."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class FileRange:
    """A part of a file that begins and ends with a row.

    Attributes:
        file: the file.
        start: the first byte (CSV) or row group (Parquet); 0 in other formats.
        stop: the first one after it, or None at the end of the file.
    """

    file: str
    start: int = 0
    stop: int | None = None

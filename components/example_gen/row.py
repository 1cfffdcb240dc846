"""A row of a log."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Row:
    """A row as it stands in its file.

    Attributes:
        values: column to raw value; `None` where the value is missing.
        file: the file the row is in.
        line: the line, counted from 1, where the row begins in a text file; the
            number of the row, counted from 1, in any other.
    """

    values: dict[str, object]
    file: str
    line: int

"""A row that cannot be used."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True, slots=True)
class Rejected:
    """A malformed row, for the dead-letter file.

    Attributes:
        file: the file the row is in.
        line: where the row begins, as in `Row`.
        reason: what is wrong with it, without the place.
        raw: the row as it stands in the file, as far as it can be shown.
    """

    file: str
    line: int
    reason: str
    raw: str

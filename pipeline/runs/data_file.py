"""One file of a log, as a run found it."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class DataFile:
    """One file of a log, as a run found it.

    Attributes:
        path: absolute, or a URI.
        fingerprint: digest of name, size and time of change, see
            `components.example_gen.files.fingerprint`; None where the file is none of this machine's.
        bytes: its size.
    """

    path: str
    fingerprint: str | None = None
    bytes: int | None = None

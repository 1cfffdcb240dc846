"""Figures as people read them."""

from __future__ import annotations

import datetime

from pipeline.report.estimate import Estimate
from pipeline.runs import units

_MINUS = "−"
# Does not break.
_NARROW = "\N{NARROW NO-BREAK SPACE}"


def number(value: float | None, digits: int = 4) -> str:
    """`0.7268`; a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}".replace("-", _MINUS)


def signed(value: float | None, digits: int = 4) -> str:
    """`+0.0166`, `−0.0012`."""
    return "–" if value is None else f"{value:+.{digits}f}".replace("-", _MINUS)


def interval(estimate: Estimate, digits: int = 4, sign: bool = False) -> str:
    """`0.7021 to 0.7515`; empty where it is not known."""
    if estimate.low is None:
        return ""
    form = signed if sign else number
    return f"{form(estimate.low, digits)} to {form(estimate.high, digits)}"


def count(value: int | None) -> str:
    """`20,000`."""
    return "–" if value is None else f"{value:,}"


def percent(value: float | None, digits: int = 1) -> str:
    """`28.5 %`."""
    return "–" if value is None else f"{value:.{digits}%}".replace("%", f"{_NARROW}%")


def duration(seconds: float | None) -> str:
    """`2 min 32 s`."""
    return units.duration(seconds) or "–"


def when(time: datetime.datetime | None) -> str:
    """`25 Nov 2026, 16:43 UTC`."""
    return "–" if time is None else f"{time:%-d %b %Y, %H:%M} UTC"


def size(value: int | None) -> str:
    """`1.5 MB`."""
    return "–" if value is None else units.size(value)


FILTERS = {f.__name__: f for f in (number, signed, interval, count, percent, duration, when, size)}

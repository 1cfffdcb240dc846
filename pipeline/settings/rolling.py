"""The keys `rolling.*` of a run configuration."""

from __future__ import annotations

import datetime

import pydantic

from components.day_keys import MAX_DAYS
from pipeline.settings.part import Part


class Rolling(Part):
    """Daily operation: read where the dataset's path stands for one log a day.

    Args:
        days: so many days before the newest are trained on; the newest is evaluated on.
        warm_start: whether models start from the last blessed one of an earlier day.
        history_days: so many days before its own a row's derived histories reach back.
        keep_departed: so many values of a feature that left the window keep their row; the ones
            seen last. Beyond, rows move up.
        exclude: days left out, as `2024-06-04` (or a number, where the path has `{SPAN}`).
    """

    days: int = pydantic.Field(7, ge=1, le=MAX_DAYS)
    warm_start: bool = True
    history_days: int = pydantic.Field(7, ge=1, le=MAX_DAYS)
    keep_departed: int = pydantic.Field(1_000_000, ge=0)
    exclude: tuple[str, ...] = ()

    @pydantic.field_validator("exclude", mode="before")
    @classmethod
    def _days_are_text(cls, value):
        # YAML reads a day as a date or a number.
        days = value if isinstance(value, (list, tuple)) else [value]
        return [d.isoformat() if isinstance(d, datetime.date) else str(d) for d in days]

"""The keys `report.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Report(Part):
    """The page that a run ends with.

    Args:
        enabled: whether test rows are scored for it, and it is written.
        max_rows: of a larger test split about so many rows are scored, always the same of them.
    """

    enabled: bool = True
    max_rows: int = pydantic.Field(100_000, ge=100)

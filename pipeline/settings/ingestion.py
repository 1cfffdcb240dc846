"""The keys `ingestion.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Ingestion(Part):
    """Reading the log.

    Args:
        max_rejected_share: the run fails when more than this share of rows is malformed.
    """

    max_rejected_share: float = pydantic.Field(0.01, ge=0, le=1)

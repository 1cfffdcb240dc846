"""The keys `data.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Data(Part):
    """What stops a run before anything is trained.

    Args:
        schema_path: a schema (`schema.pbtxt`) to import; inferred from the training split
            when absent.
        max_unknown_share: share of values outside a string feature's domain that is no
            anomaly.
        max_missing_share: share of rows in which a feature that the schema asks for may
            be missing.
        max_drift: largest distance of a feature between this run's training split and
            the one before: Jensen-Shannon divergence (numbers) or L-infinity (strings);
            0 turns it off.
    """

    schema_path: str | None = None
    max_unknown_share: float = pydantic.Field(0.1, ge=0, le=1)
    max_missing_share: float = pydantic.Field(0.05, ge=0, le=1)
    max_drift: float = pydantic.Field(0.3, ge=0, le=1)

"""The keys `cold_start.*` of a run configuration."""

from __future__ import annotations

from typing import Literal

from pipeline.settings.part import Part


class ColdStart(Part):
    """Embedding rows for items and users without clicks, made from their texts; with frozen text only.

    Args:
        enabled: whether the student is exported with rows for values that got none in
            training, where text explains something of the rows that were trained.
        catalogue: a CSV or JSONL file of further entries, with the log's columns.
        side: whose entries they are: `item` or `user`.
    """

    enabled: bool = True
    catalogue: str | None = None
    side: Literal["item", "user"] = "item"

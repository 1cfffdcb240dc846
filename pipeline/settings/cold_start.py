"""The keys `cold_start.*` of a run configuration."""

from __future__ import annotations

from typing import Literal

import pydantic

from pipeline.settings.part import Part


class ColdStart(Part):
    """Embedding rows for items and users with no or few clicks, made from their texts; with frozen text only.

    Args:
        enabled: whether the student is exported with rows for values that got none in
            training, having fewer rows than their feature's `min_count`, where text explains
            something of the rows that were trained.
        few_rows: values that did get one, from no more than so many rows of the training
            split, have it replaced too. Below 5: from values with more rows the texts'
            meaning is learnt.
        catalogue: a CSV or JSONL file of further entries, with the log's columns.
        side: whose entries they are: `item` or `user`.
    """

    enabled: bool = True
    few_rows: int = pydantic.Field(0, ge=0, lt=5)
    catalogue: str | None = None
    side: Literal["item", "user"] = "item"

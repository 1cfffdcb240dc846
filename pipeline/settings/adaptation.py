"""The keys `adaptation.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Adaptation(Part):
    """Masked-LM training of the language model on the log's own texts, before anything else reads them.

    Args:
        epochs: passes over the distinct texts; 0 leaves the language model as it is.
        batch_size: texts a step.
        learning_rate: AdamW's peak.
        max_texts: so many texts are read at most.
    """

    epochs: int = pydantic.Field(0, ge=0)
    batch_size: int = pydantic.Field(32, ge=1)
    learning_rate: float = pydantic.Field(5e-5, gt=0)
    max_texts: int = pydantic.Field(200_000, ge=1)

"""What the groups of a run configuration have in common."""

from __future__ import annotations

from typing import Annotated

import pydantic


def _several(rows: int) -> int:
    if rows == 1:
        raise ValueError("must be 2 or more, or 0, which takes what fits the log")
    return rows


# Rows of a step.
BatchSize = Annotated[int, pydantic.Field(ge=0), pydantic.AfterValidator(_several)]


class Part(pydantic.BaseModel):
    """A group of keys: unknown ones are refused, and nothing changes once it is read."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

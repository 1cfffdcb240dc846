"""What the groups of a run configuration have in common."""

from __future__ import annotations

import pydantic


class Part(pydantic.BaseModel):
    """A group of keys: unknown ones are refused, and nothing changes once it is read."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

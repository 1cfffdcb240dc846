"""The shared pydantic base of every part of a dataset specification."""

import pydantic


class SpecPart(pydantic.BaseModel):
    """A frozen part of a specification that rejects keys it does not know."""

    model_config = pydantic.ConfigDict(frozen=True, extra="forbid", validate_default=True)

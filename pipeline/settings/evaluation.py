"""The keys `evaluation.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Evaluation(Part):
    """The gate, on the whole test split.

    Args:
        min_auc: a student below it is not pushed.
        max_auc_drop: nor one that loses more than this against the last blessed model.
        max_logloss_rise: nor one whose logloss rises more than this against it.
        max_calibration_error: largest distance of mean prediction over mean label from 1.
    """

    min_auc: float = pydantic.Field(0.55, ge=0, le=1)
    max_auc_drop: float = pydantic.Field(0.002, ge=0, le=1)
    max_logloss_rise: float = pydantic.Field(0.01, ge=0)
    max_calibration_error: float = pydantic.Field(0.5, ge=0)

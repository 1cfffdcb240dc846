"""The figures of one model."""

from __future__ import annotations

import dataclasses

AUC, LOGLOSS, CALIBRATION, COUNT = "auc", "logloss", "calibration", "example_count"


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """One model's figures on the test split.

    Attributes:
        overall: metric name to value.
        slices: slice name, as `gender = F`, to the same.
    """

    overall: dict[str, float]
    slices: dict[str, dict[str, float]]

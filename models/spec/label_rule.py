"""How a row's label is read."""

from __future__ import annotations

import math

import pydantic

from models.spec.base import SpecPart

POSITIVE = frozenset({"1", "1.0", "true", "yes"})
NEGATIVE = frozenset({"0", "0.0", "false", "no"})


class LabelRule(SpecPart):
    """A click column, or a threshold on a rating with values dropped.

    Args:
        column: the column that holds the click (0 or 1) or the rating.
        threshold: with it, the column is a number and the row is positive when the
            number is greater; without it, the column is a click.
        drop: numbers for which the row is left out (the 3 of MovieLens).
    """

    column: str = pydantic.Field(examples=["clicked"])
    threshold: float | None = None
    drop: tuple[float, ...] = ()

    def __call__(self, value: str | float | None) -> int | None:
        """Returns 1, 0, or None for a row that the rule drops.

        Raises:
            ValueError: the value is missing or cannot be read as the rule asks.
        """
        text = "" if value is None or value != value else str(value).strip().lower()
        if not text:
            raise ValueError(f"label column '{self.column}' is missing")
        if self.threshold is None and not self.drop:
            if text in POSITIVE:
                return 1
            if text in NEGATIVE:
                return 0
            raise ValueError(f"label column '{self.column}' is {value!r}; a click is 0 or 1")
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"label column '{self.column}' is {value!r}, not a number")
        if number in self.drop:
            return None
        return int(number > (self.threshold if self.threshold is not None else 0))

"""How a row's label is read."""

from __future__ import annotations

import math

import pydantic

from models.spec.base import SpecPart
from models.spec.value_text import value_text

_CLICKS = {"true": 1, "yes": 1, "false": 0, "no": 0}


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

    def __call__(self, value: str | bytes | float | None) -> int | None:
        """Returns 1, 0, or None for a row that the rule drops.

        Raises:
            ValueError: the value is missing or cannot be read as the rule asks.
        """
        text = value_text(value)
        if not text:
            raise ValueError(f"label column '{self.column}' is missing")
        if self.threshold is None and not self.drop:
            label = read_click(text)
            if label is None:
                raise ValueError(f"label column '{self.column}' is {value!r}; a click is 0 or 1")
            return label
        number = _number(text)
        if not math.isfinite(number):
            raise ValueError(f"label column '{self.column}' is {value!r}, not a number")
        if number in self.drop:
            return None
        return int(number > (self.threshold if self.threshold is not None else 0))


def read_click(text: str) -> int | None:
    """1 or 0 for a click (a number that is 1 or 0, true or false, yes or no), None for any other text.

    Example:

    ```python
    read_click("1.00"), read_click("No"), read_click("2")  # (1, 0, None)
    ```
    """
    label = _CLICKS.get(text.lower())
    if label is None and (number := _number(text)) in (0, 1):
        label = int(number)
    return label


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan

"""From one cell of a log's row to a feature's values: the same for the log and for requests."""

from __future__ import annotations

import math

from models.spec.feature import Feature
from models.spec.value_text import value_text


def feature_values(feature: Feature, value, decimal: str = ".") -> list:
    """The values that a raw example holds for a cell.

    Args:
        feature: whose cell it is.
        value: a string, bytes, number, boolean, None, or a list of them. A set or
            history in one string is cut at the feature's separator.
        decimal: `source.decimal`, the decimal sign of a number that is text.

    Returns:
        Strings, or floats for a numeric feature; empty for a missing value. At most one
        for a categorical or numeric, at most `max_length` for a set (the first) or a
        history (the newest, which stand last).

    Raises:
        ValueError: the column's value cannot be read; the message names the column.

    Example:

    ```python
    feature_values(spec.feature("genres"), "Drama|Comedy")  # ["Drama", "Comedy"]
    ```
    """
    kind = feature.kind
    if kind == "categorical" and isinstance(value, str):
        # What most cells are: a log has millions of them, and a ranking's request thousands.
        text = value.strip()
        return [text] if text else []
    column = feature.row_column
    if isinstance(value, dict):
        raise ValueError(f"column '{column}' is {value!r}, neither a value nor a list")
    if feature.is_list:
        entries = value if isinstance(value, (list, tuple)) else value_text(value).split(feature.separator)
        entries = [entry for entry in map(value_text, entries) if entry]
        return entries[-feature.max_length :] if kind == "history" else entries[: feature.max_length]
    if isinstance(value, (list, tuple)):
        if len(value) > 1:
            raise ValueError(f"column '{column}' holds {len(value)} values; a {kind} feature has one")
        value = value[0] if value else None
    text = value_text(value)
    if not text:
        return []
    if kind != "numeric":
        return [text]
    try:
        number = float(text.replace(decimal, "."))
    except ValueError:
        raise ValueError(f"column '{column}' is {text!r}, not a number") from None
    if math.isinf(number):
        raise ValueError(f"column '{column}' is infinite, not a number")
    return [] if math.isnan(number) else [number]

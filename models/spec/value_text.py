"""A cell of a log as text."""

from __future__ import annotations

import math


def value_text(value) -> str:
    """A cell's value as text, without surrounding blanks; "" for None and NaN.

    Args:
        value: a string, bytes (UTF-8), number, boolean or None.

    Raises:
        ValueError: bytes are no UTF-8.

    Example:

    ```python
    value_text(7.0), value_text(b" a "), value_text(True)  # ("7", "a", "1")
    ```
    """
    if isinstance(value, str):
        return value.strip()
    if value is None:
        return ""
    if isinstance(value, bytes):
        value = value.decode()
    if isinstance(value, bool):
        return str(int(value))
    if isinstance(value, float):
        if math.isnan(value):
            return ""
        # A nullable integer column of Parquet arrives as floats: 7.0 is the category 7.
        return str(int(value)) if value.is_integer() else repr(value)
    return str(value).strip()

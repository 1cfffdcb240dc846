"""Forms of cells that people write and no number or date parser reads."""

from __future__ import annotations

import re
from collections.abc import Sequence

# Share of a number column's cells that may be something else: what ingestion lets pass by default.
MAX_MALFORMED = 0.01
_NUMBER = re.compile(r"\s*[-+]?\d+(,\d+)?\s*")
_DATE = re.compile(
    r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}\b|([A-Z][a-z]{2,8},? )?(\d{1,2}[ -][A-Z]|[A-Z])[a-z]{2,8}[ -]\d", re.IGNORECASE)


def has_decimal_commas(cells: Sequence[str], least: float = 0.5) -> bool:
    """Whether cells are numbers, more than a share `least` of them with a decimal comma, as `12,5`.

    Example:

    ```python
    has_decimal_commas(["12,5", "3", "-0,25"])  # True
    ```
    """
    cells = [c for c in cells if c.strip()]
    numbers = [c for c in cells if _NUMBER.fullmatch(c)]
    with_comma = sum("," in c for c in numbers)
    return with_comma > least * len(cells) and len(cells) - len(numbers) <= MAX_MALFORMED * len(cells)


def looks_like_date(cell: str) -> bool:
    """Whether a cell begins like a date in any form: `01/03/2023`, `Mar 1, 2023`, `Wed 1 March 2023`."""
    return _DATE.match(cell) is not None

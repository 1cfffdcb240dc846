"""Lines of the tables, and what they say of targets."""

from __future__ import annotations

from collections.abc import Sequence


def head(columns: Sequence[str]) -> list[str]:
    """A table's first two lines."""
    return [line(columns), "|---" * len(columns) + "|"]


def line(cells: Sequence) -> str:
    """A table's line.

    Example:

    ```python
    line(["autoint", 5])  # "| autoint | 5 |"
    ```
    """
    return f"| {' | '.join(map(str, cells))} |"


def said(reached: bool) -> str:
    """Whether a target is reached: `yes` or `no`."""
    return "yes" if reached else "no"

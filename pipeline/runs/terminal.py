"""How runs are shown: tables as wide as the terminal, plain where the output is piped, or JSON."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math
import sys
from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Table
from rich.text import Text

_STYLES = {
    "complete": "green", "cached": "green", "PUSHED": "green", "running": "cyan", "interrupted": "yellow",
    "NOT PUSHED": "yellow", "failed": "red",
}
_PIPED_WIDTH = 10_000  # so that nothing is cut


@dataclasses.dataclass(frozen=True)
class Column:
    """One column of a table.

    Attributes:
        title: its heading.
        right: whether it stands at the right, as numbers do.
        rank: columns of the highest rank are left out first where the terminal is too narrow; 0 never is.
        fold: whether what is too long goes on in the next line.
    """

    title: str
    right: bool = False
    rank: int = 0
    fold: bool = False


def show(*parts: RenderableType) -> None:
    """Prints text and tables, with colours only on a terminal, and none where NO_COLOR is set."""
    terminal = sys.stdout.isatty()
    console = Console(
        markup=False, emoji=False, highlight=False, soft_wrap=not terminal, width=None if terminal else _PIPED_WIDTH)
    with console.capture() as captured:
        for part in parts:
            console.print(clean(part) if isinstance(part, str) else part)
    # Tables are filled up with spaces to the end of each line.
    print("\n".join(line.rstrip() for line in captured.get().rstrip("\n").split("\n")))


def show_json(values) -> None:
    """Prints values as JSON; what is no number, as the AUC of a slice without clicks, is null."""
    print(json.dumps(_finite(values), ensure_ascii=False, indent=2))


def table(columns: Sequence[Column], rows: Iterable[Sequence[str | Text]], width: int | None = None) -> Table:
    """A table without lines, whose less important columns give way to a narrow terminal.

    Args:
        columns: from left to right.
        rows: a cell for each column.
        width: characters; those of the terminal when absent, and any number where the output is piped.

    Example:

    ```python
    show(table([Column("RUN"), Column("AUC", right=True, rank=1)], [["2026-04-01", "0.7102"]]))
    ```
    """
    if width is None and sys.stdout.isatty():
        width = Console().width
    rows = list(rows)
    shown = list(range(len(columns)))
    while True:
        made = _table([columns[i] for i in shown], [[row[i] for i in shown] for row in rows])
        droppable = [i for i in shown if columns[i].rank]
        if width is None or not droppable or _width(made) <= width:
            return made
        shown.remove(max(droppable, key=lambda i: columns[i].rank))


def coloured(word: str) -> Text:
    """A state or a verdict in its colour."""
    return Text(word, style=_STYLES.get(word, ""))


def clean(text: str) -> str:
    """Text without characters that would steer the terminal; errors and file names may hold any.

    Example:

    ```python
    clean("a\\x1b[31mb")  # "a\\ufffd[31mb"
    ```
    """
    return "".join(c if c.isprintable() or c == "\n" else "\ufffd" for c in text)


def number(value: float | None, form: str) -> str:
    """A number as `format` writes it; empty when there is none."""
    return "" if value is None else format(value, form)


def local(time: datetime.datetime) -> str:
    """A time as the user's clock shows it."""
    return time.astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _width(made: Table) -> int:
    """Characters that a table takes where nothing is cut."""
    console = Console(width=_PIPED_WIDTH)
    return Measurement.get(console, console.options, made).maximum


def _table(columns: Sequence[Column], rows) -> Table:
    made = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_edge=False, header_style="bold")
    for column in columns:
        made.add_column(
            column.title, justify="right" if column.right else "left", no_wrap=not column.fold,
            overflow="fold" if column.fold else "ellipsis")
    for row in rows:
        made.add_row(*(Text(clean(cell)) if isinstance(cell, str) else cell for cell in row))
    return made


def _finite(values):
    if isinstance(values, dict):
        return {key: _finite(value) for key, value in values.items()}
    if isinstance(values, (list, tuple)):
        return [_finite(value) for value in values]
    return None if isinstance(values, float) and not math.isfinite(values) else values

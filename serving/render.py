"""Rows and their probabilities as text."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable

from models.spec.errors import UserError
from serving.predict_calls import PROBABILITY

_CELL = 32  # characters of a cell that a table shows


def render(rows: Iterable[tuple[dict, float]], format: str = "table") -> str:
    """Rows and probabilities as text.

    Args:
        rows: what `predict_file` returns.
        format: `table` (for people: long cells are cut), `csv`, or `json` (a list of
            objects with one more key, `probability`).

    Returns:
        The text, without a newline at its end.

    Raises:
        UserError: there is no such format.
    """
    records = [{**row, PROBABILITY: probability} for row, probability in rows]
    if format == "json":
        return json.dumps(records, ensure_ascii=False, indent=2)
    columns = list(dict.fromkeys(column for record in records for column in record if column != PROBABILITY))
    columns.append(PROBABILITY)
    if format == "csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({c: _cell(c, v) for c, v in record.items()} for record in records)
        return stream.getvalue().rstrip("\n")
    if format != "table":
        raise UserError(f"there is no format {format!r}; there are: table, json, csv")
    # What was asked for comes first: a log may have more columns than a terminal.
    columns = [PROBABILITY, *columns[:-1]]
    cells = [columns] + [[_short(_cell(c, record.get(c))) for c in columns] for record in records]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _cell(column: str, value) -> str:
    if column == PROBABILITY:
        return f"{value:.6f}"
    if isinstance(value, list):
        return "|".join(map(str, value))
    return "" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"

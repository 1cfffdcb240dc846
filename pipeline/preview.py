"""`ctrl preview`: what a specification makes of a log, in seconds and without a run."""

from __future__ import annotations

import collections
import dataclasses
import io
import sys

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.sentence_writer import SentenceWriter
from models.spec.dataset_spec import DatasetSpec
from models.spec.feature import SIDES, Feature
from models.spec.split_rule import SPLITS
from models.spec.text_form import PROSE, TextForm
from pipeline.column_profile import share, shorten
from pipeline.log_checks import Problem, find_problems
from pipeline.previewed_log import PreviewedLog

WIDTH = 100
SHOWN_REJECTED = 10
STYLES = {"error": "bold red", "warning": "yellow", "note": "cyan"}


@dataclasses.dataclass(frozen=True)
class ExampleRow:
    """A row as the language model reads it: `sentences` maps a side to its part."""

    split: str
    label: int
    sentences: dict[str, str]


@dataclasses.dataclass(frozen=True)
class FeatureSummary:
    """A feature's values: how many different ones, the share missing, and the most frequent in words."""

    feature: Feature
    distinct: int
    missing: float
    frequent: str


@dataclasses.dataclass(frozen=True)
class Preview:
    """What `preview` found.

    Attributes:
        spec: the specification.
        files: number of files of the log.
        read: rows read.
        dropped: rows that the label rule drops.
        rejected: malformed rows.
        first_rejected: the first of them, as `file:line: reason`.
        splits: split to (rows, positive rows).
        text_form: how the sentences read.
        rows: a few rows as sentences.
        features: one summary a feature, in the specification's order.
        problems: everything found, the gravest first.
    """

    spec: DatasetSpec
    files: int
    read: int
    dropped: int
    rejected: int
    first_rejected: tuple[str, ...]
    splits: dict[str, tuple[int, int]]
    text_form: TextForm
    rows: tuple[ExampleRow, ...]
    features: tuple[FeatureSummary, ...]
    problems: tuple[Problem, ...]


def preview(spec: DatasetSpec, data_dir: str | None = None, rows: int = 5, limit: int = 200_000,
            cache_dir: str | None = None, text_form: TextForm = PROSE) -> Preview:
    """Reads the first rows of a log as a run would, and judges them.

    Args:
        spec: the dataset specification.
        data_dir: the folder of the log's files, as for a run.
        rows: rows that are shown as sentences, spread over the rows read.
        limit: rows that are read at most.
        cache_dir: where tensorflow-datasets keeps what it prepares.
        text_form: how the sentences read.

    Raises:
        UserError: the log is not found. What is wrong inside it is among the problems.

    Example:

    ```python
    print(render(preview(DatasetSpec.load("my.yaml"))))
    ```
    """
    log = PreviewedLog(spec, data_dir, limit, cache_dir)
    writer = SentenceWriter(spec, text_form)
    sizes = collections.Counter(log.splits)
    positives = collections.Counter(s for s, label in zip(log.splits, log.labels) if label)
    count = min(rows, len(log.labels))
    positions = [int((i + 0.5) * len(log.labels) / count) for i in range(count)]
    return Preview(
        spec=spec,
        files=len(log.files),
        read=log.read,
        dropped=log.dropped,
        rejected=len(log.rejected),
        first_rejected=tuple(f"{r.file}:{r.line}: {r.reason}" for r in log.rejected[:SHOWN_REJECTED]),
        splits={s: (sizes[s], positives[s]) for s in SPLITS},
        text_form=text_form,
        rows=tuple(
            ExampleRow(log.splits[p], log.labels[p], {
                side: text for side in SIDES if (text := writer.side(side, log.row(p)))})
            for p in positions
        ),
        features=tuple(_summarise(f, log) for f in spec.features) if log.labels else (),
        problems=tuple(find_problems(log)),
    )


def render(result: Preview) -> str:
    """The preview as text of at most 100 columns, coloured only for a terminal."""
    terminal = sys.stdout.isatty()
    output = io.StringIO()
    console = Console(
        file=output, width=WIDTH, force_terminal=terminal, markup=False, highlight=False, emoji=False)
    name = result.spec.name
    console.print(Text(f"{name}: {result.spec.description}" if result.spec.description else name, "bold"))
    console.print(f"{result.read:,} rows read ({result.files} file{'s' * (result.files != 1)}), "
                  f"{result.dropped:,} dropped by the label rule, {result.rejected:,} rejected\n")
    if result.rows:
        console.print(_splits(result), "", sep="\n")
        if result.text_form != PROSE:
            console.print(f"text form {result.text_form}\n")
        for row in result.rows:
            console.print(_row(row), "", sep="\n")
        console.print(_features(result), "", sep="\n")
    console.print(_problems(result))
    lines = output.getvalue().rstrip().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def _summarise(feature: Feature, log: PreviewedLog) -> FeatureSummary:
    lists, found = log.values(feature.name), log.counts(feature.name)
    present = sum(map(bool, lists))
    if not found:
        frequent = ""
    elif feature.kind == "numeric":
        low, middle, high = np.quantile([v for values in lists for v in values], (0, 0.5, 1))
        frequent = f"{low:.6g} to {high:.6g}, median {middle:.6g}"
    else:
        frequent = ", ".join(f"{shorten(v, 24)} ({share(n / present)})" for v, n in found.most_common(3))
    return FeatureSummary(feature, len(found), 1 - present / len(lists), frequent)


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", no_wrap=column in right)
    return table


def _splits(result: Preview) -> Table:
    numbers = ("rows", "share", "positive")
    table = _table("split", *numbers, right=numbers)
    total = sum(rows for rows, _ in result.splits.values())
    positive = sum(p for _, p in result.splits.values())
    for split, (rows, positives) in [*result.splits.items(), ("all", (total, positive))]:
        table.add_row(split, f"{rows:,}", share(rows / total), share(positives / rows) if rows else "-")
    return table


def _row(row: ExampleRow) -> Table:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text(row.split, "bold"), Text(f"label {row.label}", "bold"))
    for side, sentence in row.sentences.items():
        table.add_row(side, Text(sentence))
    return table


def _features(result: Preview) -> Table:
    numbers = ("values", "missing")
    table = _table("feature", "side", "kind", *numbers, "most frequent", right=numbers)
    for s in result.features:
        name = Text(s.feature.name, overflow="fold")
        missing = share(s.missing) if s.missing else "-"
        table.add_row(name, s.feature.side, s.feature.kind, f"{s.distinct:,}", missing, Text(s.frequent))
    return table


def _problems(result: Preview) -> Table | Text:
    if not result.problems:
        return Text("No problems found.", "bold green")
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_row(Text("found", "bold"), "")
    for problem in result.problems:
        table.add_row(Text(problem.level, STYLES[problem.level]), Text(problem.text, overflow="fold"))
    for number, line in enumerate(result.first_rejected):
        table.add_row("" if number else Text("rejected", "yellow"), Text(line, overflow="fold"))
    return table

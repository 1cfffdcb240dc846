"""A comparison of runs as text for the terminal."""

from __future__ import annotations

import json
from collections.abc import Sequence

from rich.console import RenderableType

from pipeline.evaluated import AUC, CALIBRATION, LOGLOSS
from pipeline.runs.comparison import METRICS, Comparison, changes
from pipeline.runs.run import Run
from pipeline.runs.terminal import Column, coloured, number, table
from pipeline.runs.units import duration

_FORMS = {AUC: ".4f", LOGLOSS: ".4f", CALIBRATION: ".3f"}
_NAMES = {"plain": "plain backbone", "student": "student"}


def comparison(compared: Comparison, runs: Sequence[Run]) -> list[RenderableType]:
    """The runs, what differs in their settings, and their figures, overall and by slice.

    Args:
        compared: what `Comparison.of` made of them.
        runs: the runs.
    """
    letters = [chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(len(runs))]
    parts = [table(
        [Column(""), Column("RUN"), Column("VERDICT"), Column("DURATION", right=True, rank=1), Column("STATE")],
        [[letter, run.id, coloured(run.verdict or ""), duration(run.seconds), coloured(run.state.value)]
         for letter, run in zip(letters, runs)])]
    if compared.settings:
        parts += ["", table(
            [Column("SETTING"), *(Column(letter, fold=True) for letter in letters)],
            [[key, *map(_value, values)] for key, values in compared.settings.items()])]
    else:
        parts += ["", "no setting differs"]
    overall = [[f"{_NAMES[model]} {metric}", *_cells(slices[""][metric], metric)]
               for model, slices in compared.figures.items() if slices for metric in METRICS]
    if overall:
        parts += ["", table(_columns("TEST SPLIT", letters), overall)]
    by_slice = [[name, *_cells(metrics[AUC], AUC)]
                for name, metrics in compared.figures["student"].items() if name]
    if by_slice:
        parts += ["", table(_columns("STUDENT'S AUC BY SLICE", letters), by_slice)]
    return [*parts, "", *(f"figures of {letter}: {source}" for letter, source in zip(letters, compared.sources))]


def _columns(title: str, letters: Sequence[str]) -> list[Column]:
    """A column a run, and behind each but the first its difference to the first."""
    first, *others = letters
    return [Column(title), Column(first, right=True), *(
        Column(name, right=True) for other in others for name in (other, f"{other} - {first}"))]


def _cells(values: Sequence[float | None], metric: str) -> list[str]:
    form = _FORMS.get(metric, ",.0f")
    first, *others = zip(values, changes(values))
    return [number(first[0], form), *(
        cell for value, change in others for cell in (number(value, form), number(change, f"+{form}")))]


def _value(value) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)

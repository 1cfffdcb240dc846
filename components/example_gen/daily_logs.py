"""One log a day: which there are, and which a run reads."""

from __future__ import annotations

import dataclasses
import datetime
import os
import re
from collections.abc import Collection, Sequence

from components.example_gen import files as _files
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.source import SPAN

LATEST = "latest"
_EPOCH = datetime.date(1970, 1, 1)
_WILD = {"**": ".*", "*": "[^/]*", "?": "[^/]"}
_TOKENS = re.compile(r"(\{SPAN(?::\d+)?\}|\{YYYY\}|\{MM\}|\{DD\}|\*\*|\*|\?)")
_SHOWN = 5


@dataclasses.dataclass(frozen=True)
class DailyLog:
    """The log of one day.

    Attributes:
        span: TFX's number of the day: what `{SPAN}` says, or the days since 1970-01-01.
        name: the day as its path says it: `2024-06-01`, or the number.
        files: its files, sorted.
    """

    span: int
    name: str
    files: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Window:
    """The logs that a run reads.

    Attributes:
        training: logs of the days that are trained on, oldest first.
        newest: the log of the day that is evaluated on.
        earlier: logs of the days before, of which only the users' histories are taken; oldest first.
        missing: names of days of the window that have no log.
    """

    training: tuple[DailyLog, ...]
    newest: DailyLog
    earlier: tuple[DailyLog, ...]
    missing: tuple[str, ...]


def daily_logs(spec: DatasetSpec, data_dir: str | None = None) -> list[DailyLog]:
    """The daily logs that are there, oldest first.

    Args:
        spec: a specification whose `source.path` has a date or `{SPAN}`.
        data_dir: as for `readers.list_files`.

    Raises:
        UserError: there is none, or a file is of no day of the calendar.

    Example:

    ```python
    [log.name for log in daily_logs(spec)]  # ["2024-06-01", "2024-06-02"]
    ```
    """
    pattern = spec.source.path if data_dir is None else spec.source.written_path
    regex = re.compile("(?:^|/)" + _regex(spec.source.tail) + "$")
    found: dict[int, list[str]] = {}
    for file in _files.expand(_glob(pattern), data_dir):
        match = regex.search(file.replace(os.sep, "/"))
        if match is None:
            continue
        found.setdefault(_span(match, file), []).append(file)
    if not found:
        raise UserError(f"source.path: no file is a daily log as {pattern}")
    dated = SPAN.search(pattern) is None
    return [DailyLog(span, day_name(span, dated), tuple(sorted(found[span]))) for span in sorted(found)]


def window(logs: Sequence[DailyLog], days: int, span: str | int | None = None, exclude: Collection[str] = (),
           history_days: int = 0) -> Window:
    """The logs of a run: the newest to be evaluated on, and those of the days before it.

    Args:
        logs: all there are, from `daily_logs`.
        days: how many days before the newest are trained on, by the calendar (TFX's rolling range).
        span: the newest day of the run, by its name or number; None or `latest` for the newest there is.
        exclude: names of days whose logs are left out.
        history_days: how many days before the window's first the histories reach back.

    Raises:
        UserError: there is no such day, or no log to train on before it.

    Example:

    ```python
    window(daily_logs(spec), days=7).newest.name  # "2024-06-08"
    ```
    """
    names = {log.name: log for log in logs} | {str(log.span): log for log in logs}
    left = [log for log in logs if log.name not in exclude and str(log.span) not in exclude]
    if not left:
        raise UserError("rolling.exclude leaves no daily log")
    newest = left[-1] if span in (None, LATEST) else names.get(str(span))
    shown = f"{logs[0].name} to {logs[-1].name}" if len(logs) > _SHOWN else ", ".join(log.name for log in logs)
    if newest is None:
        raise UserError(f"--span {span}: there is no log of that day; there are: {shown}")
    if newest not in left:
        raise UserError(f"--span {span}: that day is left out by rolling.exclude")
    begins = newest.span - days
    training = tuple(log for log in left if begins <= log.span < newest.span)
    if not training:
        raise UserError(
            f"there is no log of the {days} days before {newest.name} to train on; the newest day is for the "
            f"evaluation alone, so a first run needs two. There are: {shown}")
    dated = newest.name != str(newest.span)
    there = {log.span for log in left}
    missing = [day_name(s, dated) for s in range(training[0].span, newest.span) if s not in there]
    return Window(
        training=training, newest=newest,
        earlier=tuple(log for log in left if training[0].span - history_days <= log.span < training[0].span),
        missing=tuple(missing))


def day_name(span: int, dated: bool) -> str:
    """How a day is called: its ISO date, or its number where the path has `{SPAN}`."""
    return (_EPOCH + datetime.timedelta(days=span)).isoformat() if dated else str(span)


def _span(match: re.Match, file: str) -> int:
    values = match.groupdict()
    if "span" in values:
        return int(values["span"])
    try:
        return (datetime.date(*(int(values[name]) for name in ("year", "month", "day"))) - _EPOCH).days
    except ValueError as error:
        raise UserError(f"{file}: its date is none of the calendar: {error}") from error


def _glob(pattern: str) -> str:
    """The pattern with wildcards in place of the day."""
    for part, digits in (("{YYYY}", 4), ("{MM}", 2), ("{DD}", 2)):
        pattern = pattern.replace(part, "[0-9]" * digits)
    return SPAN.sub(lambda m: "[0-9]" * int(m[1]) if m[1] else "*", pattern)


def _regex(pattern: str) -> str:
    """The pattern as a regular expression, with the day's parts as groups."""
    days = {"{YYYY}": r"(?P<year>\d{4})", "{MM}": r"(?P<month>\d{2})", "{DD}": r"(?P<day>\d{2})"}
    pieces = []
    for token in _TOKENS.split(pattern):
        span = SPAN.fullmatch(token)
        if span:
            pieces.append(r"(?P<span>\d+)" if span[1] is None else rf"(?P<span>\d{{{span[1]}}})")
        else:
            pieces.append(days.get(token) or _WILD.get(token) or re.escape(token))
    return "".join(pieces)

"""Writes reports, also at the end of a run."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import pathlib
import time
from collections.abc import Iterator, Sequence

from ml_metadata import proto as mlmd_proto

from pipeline.console import LOGGER
from pipeline.layout import RunLayout
from pipeline.runs.run_store import RunStore

_log = logging.getLogger(LOGGER)


@dataclasses.dataclass
class Written:
    """Where a report went; None as long as it is nowhere."""

    path: pathlib.Path | None = None


def write_report(store: RunStore, run_id: str, path: pathlib.Path) -> pathlib.Path:
    """Writes the report of one run, in whatever state it is; returns its path.

    A reader of the file that is there sees the old one or the new one, never a part.

    Args:
        store: that holds the run.
        run_id: its id.
        path: the file; its folder is made.

    Raises:
        UserError: there is no such run.
        OSError: the file cannot be written.
    """
    # Heavy, and not needed to choose a run.
    from pipeline.report import run_page
    from pipeline.report.run_report import RunReport

    return write_page(run_page.render(RunReport.gather(store, run_id)), path)


def write_comparison(runs: Sequence[tuple[RunStore, str]], path: pathlib.Path) -> pathlib.Path:
    """Writes a page that puts runs, each with the store that holds it, beside each other; returns its path.

    Raises:
        UserError: there is no such run.
        OSError: the file cannot be written.
    """
    from pipeline.report import comparison_page
    from pipeline.report.run_report import RunReport

    return write_page(comparison_page.render([RunReport.gather(store, run_id) for store, run_id in runs]), path)


def write_page(page: str, path: pathlib.Path) -> pathlib.Path:
    """Writes a page in one step; returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}")
    partial.write_text(page, encoding="utf-8")
    partial.replace(path)
    return path


@contextlib.contextmanager
def report_at_end(
    connection: mlmd_proto.ConnectionConfig, runner, layout: RunLayout, enabled: bool = True,
) -> Iterator[Written]:
    """Writes a run's report when what is done within it has ended or failed.

    That it cannot be written is told in one line and never fails a run, nor hides its error.

    Args:
        connection: the store's connection configuration.
        runner: a `LocalRunner`, which settles its `run_id` when it starts.
        layout: where the run writes.
        enabled: whether anything is written.

    Yields:
        Where it was written, afterwards.
    """
    written = Written()
    try:
        yield written
    except Exception:
        if enabled:
            written.path = _try(connection, runner.run_id, layout)
            if written.path:
                _log.info("report: %s", written.path)
        raise
    if enabled:
        written.path = _try(connection, runner.run_id, layout)


def _try(connection, run_id: str, layout: RunLayout) -> pathlib.Path | None:
    started = time.monotonic()
    try:
        path = write_report(RunStore(connection), run_id, layout.report(run_id))
    except Exception as error:
        last_line = str(error).strip().split("\n")[-1][:300]
        _log.info("WARNING: the report could not be written: %s: %s", type(error).__name__, last_line)
        logging.getLogger().error("report", exc_info=error)
        return None
    logging.getLogger().info("report written in %.1f s", time.monotonic() - started)
    return path

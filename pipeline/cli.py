"""The `ctrl` command. It imports what a sub-command needs when it runs, so that help is instant."""

from __future__ import annotations

import argparse
import datetime
import os
import sys

from models.spec.errors import UserError
from models.spec.text_form import PROSE, TEXT_FORMS
from pipeline import (
    compile_command,
    lineage_command,
    report_command,
    request_commands,
    runs_command,
    serve_command,
    submit_command,
    ui_command,
    worker_command,
)
from pipeline.command_arguments import (
    add_config,
    add_dataset,
    add_metadata,
    add_root,
    add_served,
    add_wait,
    find_served,
    positive,
)
from pipeline.console import INTERRUPTED

_REFUSED = 3
_KEPT = "interrupted; everything that was finished is kept: the same command goes on from there"


def main(arguments: list[str] | None = None) -> int:
    """Entry point.

    Returns:
        The exit status: 0; 1 for a failure; 2 for a user's error; 3 for a run whose model
        the gate refused; 130 for Ctrl-C.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        return options.handler(options) or 0
    except UserError as error:
        print(f"ctrl {options.command}: {error}", file=sys.stderr)
        return 2
    except BrokenPipeError:
        # The reader, `head` for one, has seen enough. Python would complain again when it closes the pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="ctrl", description="CTR prediction aligned with a language model, served as a pure-ID model.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    run = commands.add_parser("run", help="run the pipeline on this machine")
    add_dataset(run)
    add_root(run)
    add_config(run)
    run.add_argument("--span", metavar="DAY|N|latest", help="of daily logs, the newest that is read (default latest)")
    add_metadata(run)
    add_wait(run)
    run.set_defaults(handler=_run)

    listing = commands.add_parser("datasets", help="list the built-in datasets")
    listing.set_defaults(handler=_datasets)

    init = commands.add_parser("init", help="write a first dataset specification for a log")
    init.add_argument("log", help="a CSV or Parquet file")
    init.add_argument("-o", "--output", required=True, metavar="FILE", help="the specification to write")
    init.add_argument("--force", action="store_true", help="overwrite it")
    init.set_defaults(handler=_init)

    preview = commands.add_parser("preview", help="show what a specification makes of a log, without a run")
    add_dataset(preview)
    add_root(preview)
    preview.add_argument("--rows", type=positive, default=5, help="rows shown (default 5)")
    preview.add_argument("--limit", type=positive, default=200_000, help="rows read at most (default 200000)")
    preview.add_argument("--text-form", choices=TEXT_FORMS, default=PROSE,
                         help=f"how the sentences read, as text_form of a run (default {PROSE})")
    preview.set_defaults(handler=_preview)

    compile_command.add(commands)
    submit_command.add(commands)
    serve_command.add(commands)

    refresh = commands.add_parser("refresh", help="add new catalogue entries to the pushed model, without training")
    add_root(refresh)
    add_served(refresh)
    refresh.add_argument("--catalog", required=True, metavar="FILE",
                         help="the entries, .csv or .jsonl, with the log's columns")
    refresh.add_argument("--side", choices=("item", "user"), default="item",
                         help="whose entries they are (default item)")
    add_metadata(refresh)
    add_wait(refresh)
    refresh.set_defaults(handler=_refresh)

    request_commands.add(commands)
    runs_command.add(commands)
    lineage_command.add(commands)
    worker_command.add(commands)
    report_command.add(commands)
    ui_command.add(commands)
    return parser


def _run(options) -> int:
    from pipeline import datasets, run
    from pipeline.config import RunConfig
    from pipeline.layout import RunLayout

    spec = datasets.load(options.dataset)
    config = RunConfig.load(spec.name, options.config, options.settings, options.smoke)
    # What --smoke makes must never stand beside, or be compared with, a model that was trained.
    layout = RunLayout.below(options.root, f"{spec.name}-smoke" if options.smoke else spec.name)
    layout.check_writable()
    return _logged(layout, lambda: run.run(
        spec, config, layout, options.data_dir, options.metadata, options.wait, options.span))


def _refresh(options) -> int:
    from pipeline import refresh
    from pipeline.layout import RunLayout

    served = find_served(options).resolve()
    layout = RunLayout(served.parents[1])
    layout.check_writable()
    return _logged(layout, lambda: refresh.refresh(
        served, options.catalog, options.side, options.metadata, options.wait))


def _logged(layout, work) -> int:
    """Runs what pushes a model, with its diagnostics in a log below the layout; returns the exit status."""
    from pipeline import console

    console.set_environment()
    # Runs can start in the same second.
    log = layout.logs / f"{datetime.datetime.now():%Y%m%d-%H%M%S}-{os.getpid()}.log"
    with console.quiet(log) as logger, console.leave_on_interrupt(_KEPT):
        try:
            pushed = work()
        except UserError:
            raise
        except Exception as error:
            last_line = str(error).strip().split("\n")[-1][:500]
            logger.error("failed: %s%s", type(error).__name__, last_line and f": {last_line}")
            console.keep_traceback(error)
            logger.info("details: %s", log)
            return 1
    return 0 if pushed else _REFUSED


def _datasets(options) -> None:
    from pipeline import datasets

    for name in datasets.names():
        spec = datasets.load(name)
        print(f"{name:<18}{spec.description}")


def _init(options) -> None:
    from pipeline.infer_spec import write_spec

    print(write_spec(options.log, options.output, force=options.force))


def _preview(options) -> None:
    from pipeline import console, datasets, preview
    from pipeline.layout import RunLayout

    spec = datasets.load(options.dataset)
    layout = RunLayout.below(options.root, spec.name)
    # A log of the user's own is only read; the others are generated or prepared below the root.
    if options.dataset in datasets.names() or spec.source.format == "tfds":
        layout.check_writable()
    console.set_environment()
    spec = datasets.materialise(spec, layout.data)
    print(preview.render(preview.preview(
        spec, options.data_dir, rows=options.rows, limit=options.limit, cache_dir=str(layout.data),
        text_form=options.text_form)))

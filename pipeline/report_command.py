"""The sub-command `report` of `ctrl`."""

from __future__ import annotations

import os
import pathlib

from pipeline.command_arguments import add_metadata, add_root
from pipeline.runs_command import open_stores

_COMPARISON = "comparison.html"


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    report = commands.add_parser("report", help="make a run's report again, or a page that compares runs")
    report.add_argument("runs", nargs="+", metavar="RUN", help="a run's id, or the beginning of one; several are "
                        "compared, with the first")
    add_root(report)
    add_metadata(report)
    report.add_argument("--dataset", metavar="NAME|SPEC.yaml", help="only runs of this dataset")
    report.add_argument("-o", "--output", metavar="FILE", type=pathlib.Path,
                        help=f"the file to write (default: where `ctrl run` puts it; {_COMPARISON} for several)")
    report.set_defaults(handler=_report)


def _report(options) -> None:
    from models.spec.errors import UserError
    from pipeline import console
    from pipeline.report.server import report_path
    from pipeline.report.write import write_comparison, write_report

    stores = open_stores(options)
    found = [stores.find(name) for name in options.runs]
    console.set_environment()
    print("reading ...", flush=True)
    # TFX and TensorFlow have much to say that is of no use here.
    with console.quiet(pathlib.Path(os.devnull)):
        try:
            if len(found) == 1:
                (store, run), = found
                path = options.output or report_path(store, run, options.root)
                write_report(store, run.id, path)
            else:
                path = options.output or pathlib.Path(_COMPARISON)
                write_comparison([(store, run.id) for store, run in found], path)
        except OSError as error:
            raise UserError(f"{path}: cannot be written: {error.strerror or error}") from error
    print(path)

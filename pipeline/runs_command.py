"""The sub-command `runs` of `ctrl`: what ML Metadata knows of runs."""

from __future__ import annotations

import argparse
import datetime

from models.spec.errors import UserError
from pipeline.command_arguments import add_metadata, add_root, is_known, positive

_STATES = ("running", "complete", "failed", "interrupted")
_LISTED = 20


def add(commands) -> None:
    """Adds the sub-command to those of a parser, as `argparse`'s `add_subparsers` returns them."""
    runs = commands.add_parser("runs", help="list runs; show, compare or clean up after them")
    add_stores(runs)
    runs.add_argument("--state", choices=_STATES, help="only runs in this state")
    runs.add_argument("--verdict", choices=("pushed", "not-pushed"), help="only runs with this verdict")
    runs.add_argument("--since", type=_moment, metavar="TIME",
                      help="only runs that started then or later: 2026-03-01, 2026-03-01T12:30, or 7d, 12h, 30m ago")
    runs.add_argument("--limit", type=positive, default=_LISTED, metavar="N",
                      help=f"so many at most, the newest (default {_LISTED})")
    runs.set_defaults(handler=_list)
    actions = runs.add_subparsers(metavar="ACTION", title="actions", description="without one, runs are listed")

    show = _action(actions, "show", "one run: what it was, its components, what they read and wrote", _show)
    show.add_argument("run", metavar="RUN", help="a run's id, or the beginning of one")

    compare = _action(
        actions, "compare", "runs beside each other: settings that differ, and figures, overall and by slice", _compare)
    compare.add_argument("runs", nargs="+", metavar="RUN", help="runs' ids, or the beginnings of some; the first is "
                         "what the others are compared with")


def add_stores(parser: argparse.ArgumentParser, *, nested: bool = False) -> None:
    """Adds the arguments that say which stores are read, and `--json`.

    Args:
        parser: of a command.
        nested: whether it stands below a command with the same arguments. Its defaults would
            overwrite what was given there.
    """
    added = [
        add_root(parser), add_metadata(parser),
        parser.add_argument("--dataset", metavar="NAME|SPEC.yaml", help="only this dataset"),
        parser.add_argument("--json", action="store_true", help="print JSON"),
    ]
    for argument in added if nested else ():
        argument.default = argparse.SUPPRESS


def open_stores(options):
    """The stores that the arguments of `add_stores` choose."""
    from pipeline import datasets
    from pipeline.runs.run_stores import RunStores

    dataset = options.dataset
    # A run with --smoke has a name that is no dataset's.
    if dataset and is_known(dataset) and dataset not in datasets.names():
        dataset = datasets.load(dataset).name
    return RunStores.open(options.root, options.metadata, dataset)


def _action(actions, name: str, purpose: str, handler) -> argparse.ArgumentParser:
    parser = actions.add_parser(name, help=purpose, description=purpose)
    add_stores(parser, nested=True)
    parser.set_defaults(handler=handler)
    return parser


def _list(options) -> None:
    from pipeline.runs import run_tables, terminal
    from pipeline.runs.run_state import RunState

    verdict = options.verdict and options.verdict.upper().replace("-", " ")
    state = options.state and RunState(options.state)
    runs = open_stores(options).list(state, verdict, options.since, options.limit)
    if options.json:
        terminal.show_json([run.to_dict() for run in runs])
    elif not runs:
        terminal.show("no run matches")
    else:
        more = [f"the newest {len(runs):,}; --limit N shows more"] if len(runs) == options.limit else []
        terminal.show(run_tables.listing(runs), *more)


def _show(options) -> None:
    import dataclasses

    from pipeline.runs import run_tables, terminal

    store, run = open_stores(options).find(options.run)
    components = store.components(run.id)
    if options.json:
        terminal.show_json({**run.to_dict(), "components": [
            {**dataclasses.asdict(c), "started": c.started.isoformat()} for c in components]})
    else:
        terminal.show(*run_tables.details(run, components))


def _compare(options) -> None:
    import dataclasses

    from pipeline.runs import comparison_tables, terminal
    from pipeline.runs.comparison import Comparison

    if len(options.runs) < 2:
        raise UserError(f"compare {options.runs[0]}: needs two runs or more")
    stores = open_stores(options)
    found = [stores.find(name) for name in options.runs]
    compared = Comparison.of([(run, store.components(run.id)) for store, run in found])
    if options.json:
        terminal.show_json(dataclasses.asdict(compared))
    else:
        terminal.show(*comparison_tables.comparison(compared, [run for _, run in found]))


def _moment(text: str) -> datetime.datetime:
    """The type of an argument that is a moment, or a time span before now."""
    units = {"m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
    if text[:-1].isdecimal() and text[-1] in units:
        return datetime.datetime.now() - datetime.timedelta(**{units[text[-1]]: int(text[:-1])})
    try:
        return datetime.datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no time; write 2026-03-01, 2026-03-01T12:30, or 7d, 12h, 30m ago") from None

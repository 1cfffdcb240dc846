"""The sub-command `runs` of `ctrl`: what ML Metadata knows of runs."""

from __future__ import annotations

import argparse
import datetime

from models.spec.errors import UserError
from pipeline.command_arguments import add_metadata, add_root, add_wait, is_known, positive

_STATES = ("running", "complete", "failed", "interrupted")
_LISTED = 20
_KEPT = 10


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

    collect = _action(
        actions, "gc", "remove what neither a blessed model nor the newest runs need; says first what that is",
        _collect)
    collect.add_argument("--keep", type=positive, default=_KEPT, metavar="N",
                         help=f"keep what the newest N runs of each dataset read or wrote (default {_KEPT})")
    collect.add_argument("--blessed", type=positive, metavar="N",
                         help="keep only the newest N blessed models of each dataset with what they were made of "
                              "(default: all)")
    collect.add_argument("--dry-run", action="store_true", help="only say it")
    add_wait(collect)
    collect.add_argument("--yes", action="store_true", help="do not ask")


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
    """The stores that the arguments of `add_stores` choose. Called before anything that imports ML Metadata."""
    from pipeline import console, datasets

    console.set_environment()
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
    stores = open_stores(options)
    from pipeline.runs import run_tables, terminal
    from pipeline.runs.run_state import RunState

    verdict = options.verdict and options.verdict.upper().replace("-", " ")
    state = options.state and RunState(options.state)
    runs = stores.list(state, verdict, options.since, options.limit)
    if options.json:
        terminal.show_json([run.to_dict() for run in runs])
    elif not runs:
        terminal.show("no run matches")
    else:
        more = [f"the newest {len(runs):,}; --limit N shows more"] if len(runs) == options.limit else []
        terminal.show(run_tables.listing(runs), *more)


def _show(options) -> None:
    store, run = open_stores(options).find(options.run)
    import dataclasses

    from pipeline.runs import run_tables, terminal

    components = store.components(run.id)
    if options.json:
        terminal.show_json({**run.to_dict(), "components": [
            {**dataclasses.asdict(c), "started": c.started.isoformat()} for c in components]})
    else:
        terminal.show(*run_tables.details(run, components))


def _compare(options) -> None:
    if len(options.runs) < 2:
        raise UserError(f"compare {options.runs[0]}: needs two runs or more")
    stores = open_stores(options)
    import dataclasses

    from pipeline.runs import comparison_tables, terminal
    from pipeline.runs.comparison import Comparison

    found = [stores.find(name) for name in options.runs]
    compared = Comparison.of([(run, store.components(run.id)) for store, run in found])
    if options.json:
        terminal.show_json(dataclasses.asdict(compared))
    else:
        terminal.show(*comparison_tables.comparison(compared, [run for _, run in found]))


def _collect(options) -> int:
    stores = open_stores(options).stores
    from pipeline.runs import collection

    return collection.collect(
        stores, options.keep, options.blessed, dry_run=options.dry_run, ask=not options.yes,
        as_json=options.json, wait=options.wait)


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

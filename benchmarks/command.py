"""The command line that benchmarks on one dataset share."""

from __future__ import annotations

import argparse
import contextlib
import datetime
import os
import pathlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence

from models.spec.errors import UserError
from pipeline import console
from pipeline.layout import RunLayout

RESULTS = pathlib.Path(__file__).parent / "results"
# Whose values are paths of this machine, and what stands for them.
_PATHS = {"--data-dir": "DIR", "--movielens": "DIR", "--root": "ROOT", "--output": "FILE", "--peers": "FOLDER",
          "--python": "PYTHON", "--capacity": "FILE"}
_KEPT = "interrupted; every result so far is kept: the same command goes on from there"


def dataset_parser(description: str, table: str, smoke: str) -> argparse.ArgumentParser:
    """A parser of the options that say what is trained on, by which configuration, and where it is written.

    Args:
        description: of the benchmark.
        table: stem of its tables' names.
        smoke: what `--smoke` does.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--dataset", default="sample", metavar="NAME|SPEC.yaml")
    parser.add_argument("--data-dir", metavar="DIR", help="folder of the log's files")
    parser.add_argument("--config", metavar="FILE", help="run configuration, YAML")
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                        help="one key of the configuration; may be repeated")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("ctrl_root"), help="as of `ctrl run`")
    parser.add_argument("--output", type=pathlib.Path,
                        help=f"the table (default: benchmarks/results/{table}_<dataset>.md)")
    parser.add_argument("--smoke", action="store_true", help=f"{smoke}, to see that it runs")
    return parser


def run(name: str, benchmark: Callable[[argparse.Namespace], None], options: argparse.Namespace) -> int:
    """Runs a benchmark. Returns the exit status: 0, or 2 for a user's error."""
    try:
        benchmark(options)
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0


def seeds_of(option: str, given: Sequence[str], seeds: list[int]) -> dict[str, list[int]]:
    """Name to its seeds, from `NAME` or `NAME:SEED,SEED`.

    Args:
        option: whose values these are, for the error.
        given: the values.
        seeds: of names without their own.

    Raises:
        UserError: a seed is not a number.

    Example:

    ```python
    seeds_of("--backbones", ["autoint", "dcnv2:1,2"], [1, 2, 3])  # {"autoint": [1, 2, 3], "dcnv2": [1, 2]}
    ```
    """
    found = {}
    for value in given:
        name, _, own = value.partition(":")
        try:
            found[name] = [int(seed) for seed in own.split(",")] if own else seeds
        except ValueError:
            raise UserError(f"{option} {value}: the seeds must be whole numbers, as {name}:1,2") from None
    return found


@contextlib.contextmanager
def quiet_run(benchmark: str, options: argparse.Namespace, name: str) -> Iterator[tuple[RunLayout, pathlib.Path]]:
    """The layout of a dataset's runs and the path of the table; the frameworks' logs go to a file below the former.

    Args:
        benchmark: stem of the table's name and of the log's.
        options: of `dataset_parser`.
        name: the dataset's, as runs and tables are named after it; those of a smoke run end in `-smoke`.

    Raises:
        UserError: the root cannot be written.
    """
    name += "-smoke" if options.smoke else ""
    layout = RunLayout.below(options.root, name)
    layout.check_writable()
    console.set_environment()
    log = layout.logs / f"{benchmark}-{datetime.datetime.now():%Y%m%d-%H%M%S}.log"
    with console.quiet(log), console.leave_on_interrupt(_KEPT):
        yield layout, options.output or RESULTS / f"{benchmark}_{name}.md"


def shown_command(module: str, arguments: Sequence[str]) -> str:
    """A command without the paths of this machine.

    Example:

    ```python
    shown_command("benchmarks.gain", ["--data-dir", "/data/ml-1m"])  # "python -m benchmarks.gain --data-dir DIR"
    ```
    """
    shown = []
    for before, argument in zip(["", *arguments], arguments):
        option, equals, _ = argument.partition("=")
        if before in _PATHS:
            argument = _PATHS[before]
        elif equals and option in _PATHS:
            argument = f"{option}={_PATHS[option]}"
        elif os.path.isabs(argument):
            argument = pathlib.Path(argument).name
        shown.append(argument)
    return shlex.join(["python", "-m", module, *shown])

"""Runs one component of the pipeline on a generated log; a process of its own for each, so that its memory is its own.

    python -m benchmarks.scale.step --root ROOT --rows 100000 --component ExampleGen --result FILE

Used by `python -m benchmarks.scale`.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import resource
import sys
import time

import psutil

from models.spec.errors import UserError
from pipeline import console
from pipeline.layout import RunLayout

FOLDER = pathlib.Path(__file__).parent
RUN_CONFIG = FOLDER / "run.yaml"


def layout_of(root: pathlib.Path, rows: int) -> RunLayout:
    """Where the runs on a log of so many rows write."""
    return RunLayout.below(root, f"scale-{rows}")


def log_dir(layout: RunLayout) -> pathlib.Path:
    """The folder of the generated log."""
    return layout.data / "log"


def main() -> int:
    """Entry point. Returns the exit status: 0, or 2 for a user's error."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--root", type=pathlib.Path, required=True)
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--component", help="without it, the components' names are the result")
    parser.add_argument("--result", type=pathlib.Path, required=True)
    options = parser.parse_args()
    layout = layout_of(options.root, options.rows)
    console.set_environment()
    with console.quiet(layout.logs / f"{options.component or 'list'}.log"):
        try:
            result = _step(options, layout)
        except UserError as error:
            print(error)
            return 2
    options.result.write_text(json.dumps(result), encoding="utf-8")
    return 0


def _step(options: argparse.Namespace, layout: RunLayout):
    from tfx.dsl.components.common.resolver import Resolver

    from models.spec.dataset_spec import DatasetSpec
    from pipeline.config import RunConfig
    from pipeline.local_runner import LocalRunner
    from pipeline.run import execute, prepare

    spec = DatasetSpec.load(FOLDER / "dataset.yaml")
    config = RunConfig.load(spec.name, str(RUN_CONFIG), options.settings)
    pipeline = prepare(spec, config, layout, str(log_dir(layout)))
    nodes = [(node.id, isinstance(node, Resolver)) for node in pipeline.components]
    if options.component is None:
        return [name for name, resolver in nodes if not resolver]
    names = [name for name, _ in nodes]
    last = names.index(options.component)
    # The resolvers straight before it are its own: they are nothing to measure.
    first = last
    while first and nodes[first - 1][1]:
        first -= 1
    # All steps are one run, so that each finds what the ones before made.
    runner = LocalRunner(only=set(names[first:last + 1]), run_id="scale")
    return _measured(pipeline, runner, execute)


def _measured(pipeline, runner, execute) -> dict:
    loaded = psutil.Process().memory_info().rss
    started, cpu = time.monotonic(), _cpu_seconds()
    execute(pipeline, runner)
    seconds, used = time.monotonic() - started, _cpu_seconds() - cpu
    if runner.components[-1].cached:
        raise UserError(f"{runner.components[-1].node} had ended, and its figures were not kept; remove the folder of "
                        "this size below --root, to measure it again")
    return {"seconds": seconds, "cpu_seconds": used, "loaded_bytes": loaded}


def _cpu_seconds() -> float:
    """Of this process and of its children that have ended."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


if __name__ == "__main__":
    sys.exit(main())

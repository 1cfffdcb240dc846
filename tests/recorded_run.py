"""Runs the first components of the sample pipeline as a process of its own, and prints what became of them.

    python -m tests.recorded_run ROOT [--metadata URI] [--wait] [--set KEY=VALUE ...] [--only NODE ...]
"""

from __future__ import annotations

import argparse
import json
import pathlib
import sys

from models.spec.errors import UserError
from pipeline import console, datasets
from pipeline.config import RunConfig
from pipeline.layout import RunLayout
from pipeline.recording import recording


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("--metadata")
    parser.add_argument("--wait", action="store_true")
    parser.add_argument("--set", dest="settings", action="append", default=[])
    parser.add_argument("--only", action="append")
    options = parser.parse_args()
    console.set_environment()
    layout = RunLayout.below(options.root, "sample")
    layout.check_writable()
    try:
        with console.quiet(layout.logs / "log"), recording(
                layout, options.metadata, purpose="ctrl run", wait=options.wait) as (connection, lock):
            _run(layout, connection, lock, options)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(layout, connection, lock, options) -> None:
    from pipeline import run
    from pipeline.local_runner import LocalRunner

    config = RunConfig.load("sample", None, ["language_model=tiny-random", *options.settings])
    pipeline = run.prepare(datasets.load("sample"), config, layout, None, connection)
    runner = LocalRunner(only=options.only or ["ExampleGen", "StatisticsGen"], locks=layout.locks)
    lock.identify(runner.run_id)
    run.execute(pipeline, runner)
    print(json.dumps({"run": runner.run_id, "cached": {c.node: c.cached for c in runner.components},
                      "executions": {c.node: c.execution_id for c in runner.components}}))


if __name__ == "__main__":
    sys.exit(main())

"""Measures how each component of the pipeline grows with the rows of a log.

    python -m benchmarks.scale

Writes logs of 10^5, 10^6 and 10^7 rows and runs the pipeline on each, every component in a
process of its own: wall and CPU time, peak memory, bytes written. Every figure goes to a
JSONL file beside the table as it comes: the same command goes on after a kill. The table,
whatever it says, is written to `benchmarks/results/scale.md` with a plot, and what follows
from it for a billion rows a day to `docs/capacity.md`.
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import platform
import sys
import tempfile
import time

import psutil
import yaml

from benchmarks import command
from benchmarks.journal import Journal
from benchmarks.scale import capacity, meter, table
from benchmarks.scale.step import RUN_CONFIG, layout_of, log_dir
from models.spec.errors import UserError

ROWS = (100_000, 1_000_000, 10_000_000)
GENERATOR = "log"
CAPACITY = pathlib.Path(__file__).parents[2] / "docs" / "capacity.md"


def main() -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__.splitlines()[0])
    parser.add_argument("--rows", nargs="+", type=int, default=list(ROWS), help="sizes of the logs")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--set", dest="settings", action="append", default=[], metavar="KEY=VALUE",
                        help="one key of the run configuration; may be repeated")
    parser.add_argument("--components", nargs="+", metavar="NAME", help="measure only these, whose inputs are there; "
                        "the table is left to a later call without this option")
    parser.add_argument("--cores", type=int, help="CPU cores that the components may use together; all by default")
    parser.add_argument("--root", type=pathlib.Path, default=pathlib.Path("ctrl_root"), help="as of `ctrl run`")
    parser.add_argument("--output", type=pathlib.Path, default=command.RESULTS / "scale.md")
    parser.add_argument("--capacity", type=pathlib.Path, default=CAPACITY, metavar="FILE",
                        help="the page that plans a billion rows a day")
    parser.add_argument("--smoke", action="store_true", help="2,000 and 4,000 rows, to see that it runs")
    options = parser.parse_args()
    if options.smoke:
        options.rows = [2_000, 4_000]
        options.settings = ["language_model=tiny-random", "training.batch_size=256", "alignment.batch_size=256",
                            "evaluation.min_auc=0", *options.settings]
    return command.run("scale", _benchmark, options)


def _benchmark(options: argparse.Namespace) -> None:
    if min(options.rows) < 1000:
        raise UserError(f"--rows {min(options.rows)}: fewer than 1,000 rows are no log")
    options.rows = sorted(set(options.rows))
    cores = sorted(os.sched_getaffinity(0))
    if options.cores is not None:
        if not 1 <= options.cores <= len(cores):
            raise UserError(f"--cores {options.cores}: there are {len(cores)}")
        # What is started from here inherits it.
        os.sched_setaffinity(0, cores[:options.cores])
    # Figures of one machine, configuration and seed are not mixed with those of another.
    task = {"seed": options.seed, "settings": options.settings, "machine": _machine(),
            "config": yaml.safe_load(RUN_CONFIG.read_text(encoding="utf-8"))}
    journal = Journal(options.output.with_suffix(".jsonl"))
    results = {rows: _measure(rows, options, task, journal) for rows in options.rows}
    if options.components:
        return
    shown = command.shown_command("benchmarks.scale", sys.argv[1:])
    plot = options.output.with_suffix(".svg")
    text = table.render(results, shown, _machine(), task["config"], options.settings, options.smoke, plot.name)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    options.output.write_text(text, encoding="utf-8")
    table.plot(results, plot)
    if len(results) > 1:
        options.capacity.write_text(
            capacity.render(results, _machine(), options.output.name, options.smoke), encoding="utf-8")
    print(text)


def _measure(rows: int, options: argparse.Namespace, task: dict, journal: Journal) -> dict[str, dict]:
    """Component to its figures, in the order of the pipeline; the log's own first."""
    layout = layout_of(options.root, rows)
    layout.check_writable()
    with tempfile.TemporaryDirectory() as folder:
        result = pathlib.Path(folder, "result.json")

        def step(component: str | None):
            arguments = ["--root", options.root, "--rows", rows, "--result", result]
            for setting in options.settings:
                arguments += ["--set", setting]
            if component:
                arguments += ["--component", component]
            output = layout.logs / "steps.log"
            status, peak = meter.peak_memory(meter.python("benchmarks.scale.step", *arguments), output)
            if status:
                raise UserError(f"{component or 'the pipeline'} failed at {rows:,} rows; see {layout.logs}")
            return json.loads(result.read_text(encoding="utf-8")), peak

        def once(component: str, measure) -> dict:
            found = journal.get({**task, "rows": rows, "component": component})
            if found is None:
                found = measure()
                journal.add({**task, "rows": rows, "component": component}, found, rows=rows, component=component)
            _say(rows, component, found)
            return found

        figures = {GENERATOR: once(GENERATOR, lambda: _generate(rows, options.seed, layout))}
        if not log_dir(layout).exists():
            _generate(rows, options.seed, layout)
        names = once("components", lambda: {"names": step(None)[0]})["names"]
        unknown = sorted(set(options.components or ()) - set(names))
        if unknown:
            raise UserError(f"--components {unknown[0]}: there are {', '.join(names)}")
        for name in options.components or names:
            figures[name] = once(name, lambda name=name: _figures(*step(name), layout.artifacts / name))
    return figures


def _generate(rows: int, seed: int, layout) -> dict:
    started = time.monotonic()
    arguments = ["--rows", rows, "--seed", seed, log_dir(layout)]
    before = os.times()
    status, peak = meter.peak_memory(meter.python("benchmarks.scale.log", *arguments), layout.logs / "log.log")
    after = os.times()
    if status:
        raise UserError(f"the log of {rows:,} rows could not be written; see {layout.logs}")
    cpu = after.children_user + after.children_system - before.children_user - before.children_system
    return _figures({"seconds": time.monotonic() - started, "cpu_seconds": cpu}, peak, log_dir(layout))


def _figures(measured: dict, peak: int, folder: pathlib.Path) -> dict:
    written = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file()) if folder.exists() else 0
    return {**measured, "peak_bytes": peak, "written_bytes": written}


def _say(rows: int, component: str, found: dict) -> None:
    if "seconds" in found:
        print(f"{rows:>12,} rows  {component:<20} {found['seconds']:8.1f} s  {found['cpu_seconds']:8.1f} s of CPU  "
              f"{found['peak_bytes'] / 1e9:5.2f} GB  {found['written_bytes'] / 1e6:9.1f} MB written", flush=True)


def _machine() -> str:
    cores = len(os.sched_getaffinity(0))
    return (f"{cores} CPU core{'s' if cores > 1 else ''} ({platform.machine()}), "
            f"{psutil.virtual_memory().total / 1e9:.0f} GB of memory")


if __name__ == "__main__":
    sys.exit(main())

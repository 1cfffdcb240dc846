"""What a billion rows a day take, computed from the measured growth."""

from __future__ import annotations

import dataclasses

from benchmarks.scale.table import Results, components

ROWS_A_DAY = 1_000_000_000
# In which a day's run should be through, and the days that a rolling window keeps.
WINDOW_HOURS = 4
_KEPT_DAYS = 7
# A worker machine of the plan.
_CORES, _MEMORY_GB = 16, 64
_BEAM = {"ExampleGen", "StatisticsGen", "Textualiser", "TextEncoder", "Transform", "PlainEvaluator", "Evaluator"}
_NEXT = {
    "ExampleGen": "more Beam workers: parts of 64 MB are read side by side, and only derived histories need a shuffle",
    "StatisticsGen": "more Beam workers, or a sample: `StatisticsGen` takes `sample_rate` in its options",
    "Textualiser": "more Beam workers: one file of rows each",
    "TextEncoder": "GPU workers: the work grows with distinct texts, not with rows",
    "Transform": "more Beam workers; its vocabularies are combined, not collected",
    "AlignmentTrainer": "GPUs by `tf.distribute`; or fewer rows: alignment learns from distinct pairs of texts",
    "PlainTrainer": "GPUs by `tf.distribute`; or `plain_backbone: false`, which leaves it out",
    "DistillationTrainer": "GPUs by `tf.distribute`; or fewer `distillation.folds`",
}
_PAGE = """# Capacity: a billion rows a day

Written by `python -m benchmarks.scale` from [{source}](../benchmarks/results/{source}); not typed.
{smoke}
Measured on {machine}, up to {largest:,} rows. A row's cost is the difference between {before:,} and
{largest:,} rows over the difference in rows, so that start-up does not count; the plan multiplies it by
{rows:,}. It is an extrapolation over {orders:,.0f} times the rows: it says how many machines to think of, and
what to measure next, not what the bill will be.

The logs measured have the same users and items at every size, so what goes by distinct values and not by rows
hardly grows here: the texts that TextEncoder encodes, vocabularies, embedding tables, ColdStart. A log with more
of them takes more there; ten million ids are measured apart ([training.md](training.md)).

## Work a day

| component | CPU s a million rows | CPU hours a day | hours on this machine | {cores}-core workers | where it runs |
|---|---|---|---|---|---|
{work}

Workers are those that do a component's CPU hours in {window} hours, were it alone in that time. Beam's part
spreads over workers by `beam.runner` ([beam.md](beam.md)). All components of Beam together take
**{beam_hours:,.0f} CPU hours** a day, {beam_workers:,} workers of {cores} cores for {window} hours.

## Storage

| what | bytes a row | a day | {days} days |
|---|---|---|---|
{storage}

## Memory

{memory}

## What becomes the bottleneck

{bottleneck}
"""


@dataclasses.dataclass(frozen=True)
class Cost:
    """What a row more costs a component.

    Attributes:
        seconds: wall time on the machine measured.
        cpu_seconds: of all cores.
        written_bytes: to disk.
        peak_bytes: of memory.
    """

    seconds: float
    cpu_seconds: float
    written_bytes: float
    peak_bytes: float


def costs(results: Results) -> dict[str, Cost]:
    """Component to its cost a row: what the largest two sizes differ by. Never below 0."""
    before, last = list(results)[-2:]

    def a_row(name: str, key: str) -> float:
        return max(0.0, (results[last][name][key] - results[before][name][key]) / (last - before))

    return {name: Cost(**{field.name: a_row(name, field.name) for field in dataclasses.fields(Cost)})
            for name in components(results)}


def render(results: Results, machine: str, source: str, smoke: bool) -> str:
    """The page, in Markdown."""
    before, last = list(results)[-2:]
    log, *parts = components(results)
    cost = costs(results)
    beam_hours = sum(_hours(cost[name].cpu_seconds) for name in parts if name in _BEAM)
    return _PAGE.format(
        source=source, machine=machine, largest=last, before=before, rows=ROWS_A_DAY, orders=ROWS_A_DAY / last,
        cores=_CORES, window=WINDOW_HOURS, days=_KEPT_DAYS, beam_hours=beam_hours, beam_workers=_workers(beam_hours),
        work="\n".join(_work_line(name, cost[name]) for name in parts),
        storage="\n".join(_storage_line(label, size) for label, size in (
            ("the log itself, as CSV", cost[log].written_bytes),
            *((name, cost[name].written_bytes) for name in parts if cost[name].written_bytes >= 1),
            ("all of them", sum(cost[name].written_bytes for name in [log, *parts])))),
        memory=_memory(cost, parts, results[last]),
        bottleneck=_bottleneck(cost, parts),
        smoke="\n**Of a smoke run: its figures mean nothing.**\n" if smoke else "")


def _hours(seconds_a_row: float) -> float:
    return seconds_a_row * ROWS_A_DAY / 3600


def _workers(hours: float) -> int:
    return -int(-hours // (WINDOW_HOURS * _CORES))


def _work_line(name: str, cost: Cost) -> str:
    hours = _hours(cost.cpu_seconds)
    where = "Beam workers" if name in _BEAM else "one machine"
    if "Trainer" in name:
        where = "one machine, or devices by `tf.distribute`"
    return (f"| {name} | {cost.cpu_seconds * 1e6:,.2f} | {hours:,.1f} | {_hours(cost.seconds):,.1f} | "
            f"{_workers(hours):,} | {where} |")


def _storage_line(label: str, size: float) -> str:
    day = size * ROWS_A_DAY / 1e9
    return f"| {label} | {size:,.1f} | {day:,.0f} GB | {day * _KEPT_DAYS:,.0f} GB |"


def _memory(cost: dict[str, Cost], parts: list[str], largest: dict) -> str:
    lines = [f"Of the components measured, the most memory took {_most(largest, parts)}."]
    growing = {}
    for name in parts:
        needed = (largest[name]["peak_bytes"] + cost[name].peak_bytes * ROWS_A_DAY) / 1e9
        if needed > _MEMORY_GB:
            growing[name] = needed
    if not growing:
        lines.append(f"None would outgrow {_MEMORY_GB} GB, by its growth between the last two sizes.")
    for name, needed in sorted(growing.items(), key=lambda item: -item[1]):
        where = ("on one machine with the runner in memory; on a cluster Beam's workers share it, and spill to disk"
                 if name in _BEAM else "on one machine")
        lines.append(f"* {name} would need {needed:,.0f} GB {where}.")
    return "\n".join(lines)


def _most(largest: dict, parts: list[str]) -> str:
    name = max(parts, key=lambda part: largest[part]["peak_bytes"])
    return f"{name}, {largest[name]['peak_bytes'] / 1e9:.1f} GB"


def _bottleneck(cost: dict[str, Cost], parts: list[str]) -> str:
    alone = [name for name in parts if name not in _BEAM]
    first = max(alone, key=lambda name: cost[name].seconds)
    widest = max((name for name in parts if name in _BEAM), key=lambda name: cost[name].cpu_seconds)
    together = sum(_hours(cost[name].seconds) for name in alone)
    return "\n".join([
        f"What does not spread over Beam workers takes {together:,.0f} hours a day on the machine measured"
        + (f", which is more than the {WINDOW_HOURS} hours that a run may take: **{first}** first, with "
           f"{_hours(cost[first].seconds):,.0f} hours." if together > WINDOW_HOURS else
           f", within the {WINDOW_HOURS} hours that a run may take; the longest is {first}."),
        f"Next step there: {_NEXT.get(first, 'a faster machine')}.", "",
        f"Of Beam's part the largest is **{widest}**. Next step there: {_NEXT.get(widest, 'more Beam workers')}."])

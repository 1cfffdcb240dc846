"""Figures by size of the log as tables and a plot, with the growth that follows from them."""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping, Sequence

import numpy as np

# Rows to component to its figures; components in the order of the pipeline.
Results = Mapping[int, Mapping[str, Mapping[str, float]]]

# Allowed from one size to the next, for the same growth in rows.
TIME_TARGET, MEMORY_TARGET = 1.05, 1.2
# A component that takes less says nothing about growth: it is start-up, and the machine's mood.
_NOTICED_SECONDS = 5.0
_HEADER = """# Growth

Written by `{command}`; {machine}.
{smoke}
* **Log**: synthetic (`benchmarks/scale/log.py`), 100,000 users and 20,000 items by Zipf's law, a history in every row.
* **Configuration** beside the defaults: `{config}`{settings}.
* **Measured**: every component in a process of its own. Time: of the component, without the import of the libraries.
  CPU: of all its processes. Memory: the largest sum of resident memory, libraries included (about {loaded:.1f} GB).
  Written: what lies in the component's artifacts.
* **Exponent**: slope of the logarithm over that of the rows, by least squares; 1 is growth in proportion to the rows.
* **Target**, between the last two sizes: time at most {time_target} times the growth in rows, memory at most
  {memory_target} times. Components of less than {noticed:.0f} s at the largest size have none for their time.

![wall time and peak memory by rows]({plot})
"""


def render(results: Results, command: str, machine: str, config: Mapping, settings: Sequence[str], smoke: bool,
           plot: str) -> str:
    """The page: a table each for time, CPU time, memory and bytes."""
    loaded = [f["loaded_bytes"] for figures in results.values() for f in figures.values() if "loaded_bytes" in f]
    parts = [_HEADER.format(
        command=command, machine=machine, config=json.dumps(config),
        settings=f", and `{' '.join(settings)}`" if settings else "", loaded=np.median(loaded) / 1e9,
        time_target=TIME_TARGET, memory_target=MEMORY_TARGET, noticed=_NOTICED_SECONDS, plot=plot,
        smoke="\n**A smoke run: its figures mean nothing.**\n" if smoke else "")]
    parts.append(_table("Wall time, seconds", results, "seconds", 1, ".1f", time_target(results)))
    parts.append(_table("CPU time, seconds", results, "cpu_seconds", 1, ".1f"))
    parts.append(_table("Peak memory, GB", results, "peak_bytes", 1e9, ".2f", memory_target(results)))
    parts.append(_table("Written, MB", results, "written_bytes", 1e6, ",.1f"))
    return "\n".join(parts)


def components(results: Results) -> list[str]:
    """Their names, in the order of the pipeline."""
    return list(next(iter(results.values())))


def exponent(rows: Sequence[float], values: Sequence[float]) -> float:
    """The slope of log(values) over log(rows), by least squares.

    Example:

    ```python
    exponent([10, 100, 1000], [2, 20, 200])  # 1.0
    ```
    """
    return float(np.polyfit(np.log(rows), np.log(np.maximum(values, 1e-9)), 1)[0])


def time_target(results: Results) -> dict[str, bool]:
    """Component to whether its time grew no faster than allowed, for those that take a time.

    The first is what writes the log, and no component of the pipeline.
    """
    if len(results) < 2:
        return {}
    before, last = list(results)[-2:]
    allowed = TIME_TARGET * last / before
    return {name: results[last][name]["seconds"] <= allowed * results[before][name]["seconds"]
            for name in components(results)[1:] if results[last][name]["seconds"] >= _NOTICED_SECONDS}


def memory_target(results: Results) -> dict[str, bool]:
    """Component to whether its memory grew no more than allowed."""
    if len(results) < 2:
        return {}
    before, last = list(results)[-2:]
    return {name: results[last][name]["peak_bytes"] <= MEMORY_TARGET * results[before][name]["peak_bytes"]
            for name in components(results)[1:]}


def plot(results: Results, path: pathlib.Path) -> None:
    """Wall time and peak memory over rows, both axes logarithmic, as SVG."""
    import altair

    values = [
        {"rows": rows, "component": name, "what": what, "value": max(figures[key] / unit, 1e-3)}
        for rows, by_name in results.items() for name, figures in by_name.items()
        for what, key, unit in (("wall time, s", "seconds", 1), ("peak memory, GB", "peak_bytes", 1e9))]
    axes = {"x": altair.X("rows:Q", scale=altair.Scale(type="log"), axis=altair.Axis(format="~s")),
            "y": altair.Y("value:Q", scale=altair.Scale(type="log"), title=None),
            "color": altair.Color("component:N", sort=components(results), scale=altair.Scale(scheme="tableau20"))}
    chart = altair.Chart(altair.Data(values=values)).mark_line(point=True).encode(**axes).properties(
        width=320, height=360).facet(column=altair.Column("what:N", title=None)).resolve_scale(y="independent")
    chart.save(str(path))


def _table(title: str, results: Results, key: str, unit: float, form: str,
           target: Mapping[str, bool] | None = None) -> str:
    sizes, several = list(results), len(results) > 1
    head = ["component", *(f"{rows:,} rows" for rows in sizes)]
    if several:
        head += ["exponent", "last step"] + (["within target"] if target is not None else [])
    lines = [f"## {title}", "", _line(head), "|---" * len(head) + "|"]
    for name in components(results):
        values = [results[rows][name][key] for rows in sizes]
        cells = [name, *(format(value / unit, form) for value in values)]
        if several:
            ratio = f"× {values[-1] / values[-2]:.2f}" if values[-2] else "–"
            cells += [f"{exponent(sizes, values):.2f}" if min(values) > 0 else "–", ratio]
            if target is not None:
                cells.append({True: "yes", False: "**no**"}.get(target.get(name), ""))
        lines.append(_line(cells))
    return "\n".join([*lines, ""])


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"

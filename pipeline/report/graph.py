"""The pipeline drawn as `git log --graph` draws history: a component a row, lines to those that wait for it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Edge:
    """A line from a component down to one that reads what it wrote.

    Attributes:
        source: the upper one's row.
        source_lane: and its lane.
        target: the lower one's row.
        lane: the lane that the line goes down in, which is the lower one's.
    """

    source: int
    source_lane: int
    target: int
    lane: int


@dataclasses.dataclass(frozen=True)
class Layout:
    """Where everything is drawn.

    Attributes:
        lanes: of each node, in order, its lane from 0.
        edges: the lines.
        width: number of lanes.
    """

    lanes: tuple[int, ...]
    edges: tuple[Edge, ...]
    width: int


def layout(order: Sequence[str], upstream: Mapping[str, Sequence[str]]) -> Layout:
    """Lanes such that no line passes through a component.

    A line bends into the lane of its lower end directly below its upper end, and stays there; a
    lane is kept for a component from the first that it waits for on. Dependencies that follow
    from others are not drawn.

    Args:
        order: the components, each after those that it waits for.
        upstream: of each component those that it waits for; unknown ones are passed over.

    Example:

    ```python
    layout(["a", "b", "c"], {"b": ["a"], "c": ["a", "b"]}).lanes  # (0, 0, 0): a to c follows from the others
    ```
    """
    reduced = _reduced(order, upstream)
    below = {n: [m for m in order if n in reduced[m]] for n in order}
    rows = {n: row for row, n in enumerate(order)}
    pending: dict[str, int] = {}
    lanes, edges = [], []
    for node in order:
        lane = pending.pop(node) if node in pending else _free(pending)
        lanes.append(lane)
        for child in below[node]:
            if child not in pending:
                pending[child] = lane if lane not in pending.values() else _free(pending)
            edges.append(Edge(rows[node], lane, rows[child], pending[child]))
    return Layout(tuple(lanes), tuple(edges), max(lanes, default=0) + 1)


def _free(pending: Mapping[str, int]) -> int:
    taken = set(pending.values())
    return next(lane for lane in range(len(taken) + 1) if lane not in taken)


def _reduced(order: Sequence[str], upstream: Mapping[str, Sequence[str]]) -> dict[str, set[str]]:
    """The transitive reduction."""
    above: dict[str, set[str]] = {}
    reduced = {}
    for node in order:
        direct = {n for n in upstream.get(node, ()) if n in above}
        above[node] = direct.union(*(above[n] for n in direct))
        reduced[node] = {n for n in direct if not any(n in above[other] for other in direct)}
    return reduced

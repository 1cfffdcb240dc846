"""The components of a run as the pipeline's picture shows them; free of TFX and TensorFlow."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from pipeline.report import graph
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.run import Run
from pipeline.runs.run_state import RunState
from pipeline.verdict import PUSHED

NOT_REACHED = "open"
# How a state is shown: the colour's name and the word.
STATES = {
    "complete": ("good", "done"), "cached": ("plain", "reused"), "failed": ("bad", "failed"),
    "running": ("note", "running"), "interrupted": ("note", "interrupted"), "canceled": ("note", "canceled"),
    NOT_REACHED: ("open", "not reached")}


@dataclasses.dataclass(frozen=True)
class Step:
    """One component in the pipeline's picture.

    Attributes:
        node: its name.
        state: `complete`, `cached`, ..., `open` where it was not reached.
        seconds: wall time.
        start: share of the run's time before it.
        share: of the run's time.
        is_resolver: whether it only looks up artifacts.
    """

    node: str
    state: str
    seconds: float | None = None
    start: float = 0.0
    share: float = 0.0
    is_resolver: bool = False


@dataclasses.dataclass(frozen=True)
class Picture:
    """The pipeline's picture.

    Attributes:
        steps: the components, in order.
        layout: where they are drawn.
    """

    steps: list[Step]
    layout: graph.Layout

    @classmethod
    def of(cls, run: Run, components: Sequence[ComponentExecution]) -> Picture:
        """Of a run and those of its components that were reached.

        A run of an older version did not write its graph down: its components stand in their
        order, without lines.
        """
        found = {c.node: c for c in components}
        nodes = list(run.graph) or list(found)
        total = (run.seconds or sum(c.seconds for c in components)) or 1.0
        return cls([_step(node, found.get(node), run, total) for node in nodes], graph.layout(nodes, run.graph))


def _step(node: str, component: ComponentExecution | None, run: Run, total: float) -> Step:
    if component is None:
        return Step(node, NOT_REACHED)
    start = min(1.0, max(0.0, (component.started - run.started).total_seconds() / total))
    return Step(node, component.state, component.seconds, start, min(component.seconds / total, 1 - start),
                component.is_resolver)


def state_of(run: Run) -> tuple[str, str]:
    """The colour's name and the word for what became of a run."""
    if run.state == RunState.COMPLETE:
        if run.verdict is None:
            return "plain", "Complete"
        return ("good", "Pushed") if run.verdict == PUSHED else ("bad", "Not pushed")
    return ("bad", "Failed") if run.state == RunState.FAILED else ("note", run.state.value.capitalize())

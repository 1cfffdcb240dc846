"""Every run, execution and artifact of a store, with what connects them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

from ml_metadata import proto as mlmd_proto

from pipeline.runs.component_execution import RESOLVER
from pipeline.runs.records import INPUTS, OUTPUTS, name_of
from pipeline.runs.run_store import RunStore

_CHUNK = 1000  # ids in one query


class ExecutionGraph:
    """Every run, execution and artifact of a store, with what connects them.

    It reads all of the store, for what cannot be asked of a few nodes: `ctrl runs gc`.

    Args:
        store: the store.

    Attributes:
        runs: all runs, newest first.
        executions: by id.
        artifacts: by id.
        run_of: execution id to the id of its run.
        inputs: execution id to name and artifact id of what it read.
        outputs: likewise of what it wrote, or used again.
        maker: artifact id to the execution that made it.
        looked_up: run id to the artifacts of earlier runs that its resolvers found.

    Example:

    ```python
    graph = ExecutionGraph(store)
    graph.inputs[graph.maker[25]]  # [("model", 21), ("model_blessing", 23)]
    ```
    """

    def __init__(self, store: RunStore):
        mlmd = store.mlmd
        self.runs = store.list()
        self.artifacts = {a.id: a for a in mlmd.get_artifacts()}
        self.executions: dict[int, mlmd_proto.Execution] = {}
        self.run_of: dict[int, str] = {}
        for context in store.contexts():
            for execution in mlmd.get_executions_by_context(context.id):
                self.executions[execution.id], self.run_of[execution.id] = execution, context.name
        self.inputs: dict[int, list[tuple[str, int]]] = defaultdict(list)
        self.outputs: dict[int, list[tuple[str, int]]] = defaultdict(list)
        self.maker: dict[int, int] = {}
        resolved = []
        for event in _chunks(mlmd.get_events_by_execution_ids, sorted(self.executions)):
            execution, artifact = event.execution_id, event.artifact_id
            if self.executions[execution].type == RESOLVER:
                resolved.append((execution, artifact))
            elif event.type in INPUTS:
                self.inputs[execution].append((name_of(event), artifact))
            elif event.type in OUTPUTS:
                self.outputs[execution].append((name_of(event), artifact))
                self.maker[artifact] = min(execution, self.maker.get(artifact, execution))
        self.looked_up: dict[str, set[int]] = defaultdict(set)
        for execution, artifact in resolved:
            # A resolver is also handed artifacts of its own run, to look for what is older.
            if self.run_of.get(self.maker.get(artifact)) != self.run_of[execution]:
                self.looked_up[self.run_of[execution]].add(artifact)

    def touched(self, execution: int) -> set[int]:
        """The artifacts that an execution read or wrote."""
        return {artifact for _, artifact in (*self.inputs[execution], *self.outputs[execution])}

    def made_of(self, artifact: int) -> set[int]:
        """An artifact, all that it was made of, and what was made together with these.

        What a run looked up among the results of earlier ones is in it, what that was made of is not:
        else each model that started from the one before would need all of its forebears.
        """
        found, followed, frontier = {artifact}, set(), [artifact]
        while frontier:
            maker = self.maker.get(frontier.pop())
            if maker is None or maker in followed:
                continue
            followed.add(maker)
            found |= self.touched(maker)
            frontier += [a for _, a in self.inputs[maker] if a not in self.looked_up[self.run_of[maker]]]
        return found


def _chunks(ask, ids: Sequence[int]) -> Iterator[mlmd_proto.Event]:
    for start in range(0, len(ids), _CHUNK):
        yield from ask(ids[start:start + _CHUNK])

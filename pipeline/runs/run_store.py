"""Reads runs from ML Metadata."""

from __future__ import annotations

import datetime
import pathlib
from collections.abc import Iterator

from ml_metadata import errors, metadata_store
from ml_metadata import proto as mlmd_proto

from models.spec.errors import UserError
from pipeline.runs import this_process
from pipeline.runs.artifact_record import ArtifactRecord
from pipeline.runs.component_execution import ComponentExecution
from pipeline.runs.earlier_run import earlier_facts
from pipeline.runs.records import INPUTS, OUTPUTS, RUN, artifact_record, name_of, place_of, plain
from pipeline.runs.run import Run, facts_of, time_of
from pipeline.runs.run_names import choose
from pipeline.runs.run_state import RunState

_STATES = {
    mlmd_proto.Execution.COMPLETE: "complete", mlmd_proto.Execution.CACHED: "cached",
    mlmd_proto.Execution.FAILED: "failed", mlmd_proto.Execution.CANCELED: "canceled",
}
# What a resolver found is not its own work.
_WRITTEN = (*OUTPUTS, mlmd_proto.Event.INTERNAL_OUTPUT)
_PAGE = 100  # ML Metadata gives no more at once.


class RunStore:
    """The runs that an ML Metadata store knows, newest first.

    Only what is asked for is read, and neither TFX nor TensorFlow is imported.

    Args:
        connection: the store's connection configuration, of any kind: SQLite, MySQL, PostgreSQL.

    Raises:
        UserError: there is no such store, or it cannot be reached.

    Example:

    ```python
    store = RunStore(connection)
    latest = store.list(dataset="sample", limit=1)[0]
    [(c.node, c.state) for c in store.components(latest.id)]
    ```
    """

    def __init__(self, connection: mlmd_proto.ConnectionConfig):
        self.folder = None
        if connection.HasField("sqlite"):
            file = pathlib.Path(connection.sqlite.filename_uri)
            # Else SQLite would make it.
            if not file.is_file():
                raise UserError(f"{file}: there is no ML Metadata store; run `ctrl run` first, or give --root as it "
                                "was given there")
            self.folder = file.parent
        try:
            self.mlmd = metadata_store.MetadataStore(connection)
        except (RuntimeError, errors.StatusError) as error:
            where = (f"{file}: cannot be read as an ML Metadata store." if self.folder else
                     "the ML Metadata store cannot be opened; is its server running, and are user, password and "
                     "database right?")
            raise UserError(f"{where} ML Metadata says: {str(error).strip(' :,')}") from error

    def list(
        self, dataset: str | None = None, state: RunState | None = None, verdict: str | None = None,
        since: datetime.datetime | None = None, limit: int | None = None,
    ) -> list[Run]:
        """Runs, newest first.

        Args:
            dataset: only of this dataset.
            state: only in this state.
            verdict: only with this verdict, `PUSHED` or `NOT PUSHED`.
            since: only those that started then or later; a time without a zone is local.
            limit: so many at most.
        """
        found = []
        for context in self._contexts(since, limit):
            run = self._run(context)
            if dataset in (None, run.dataset) and state in (None, run.state) and verdict in (None, run.verdict):
                found.append(run)
                if len(found) == limit:
                    break
        return found

    def contexts(self) -> list[mlmd_proto.Context]:
        """The `pipeline_run` contexts of all runs, newest first."""
        return self._query(f"type = '{RUN}'")

    def names(self) -> list[str]:
        """The ids of all runs, newest first."""
        return [context.name for context in self.contexts()]

    def get(self, run_id: str) -> Run:
        """One run.

        Args:
            run_id: its id, or the beginning of one that no other begins with.

        Raises:
            UserError: no run, or several, are meant.
        """
        return self._run(self._context(run_id))

    def components(self, run_id: str) -> list[ComponentExecution]:
        """The components of a run that have begun, in that order; resolvers too.

        Args:
            run_id: as for `get`.

        Raises:
            UserError: no run, or several, are meant.
        """
        context = self._context(run_id)
        run = self._run(context)
        executions = sorted(self.mlmd.get_executions_by_context(context.id), key=lambda e: e.id)
        events = self._events(executions)
        artifacts = {a.id: a for a in self.mlmd.get_artifacts_by_id({e.artifact_id for e in events})}
        makers = self._makers([e for e in executions if e.last_known_state == mlmd_proto.Execution.CACHED], events)
        found = []
        for execution in executions:
            node = place_of(self.mlmd, execution.id)[0] or execution.type
            state = _STATES.get(execution.last_known_state)
            if state is None:
                state = "running" if run.state == RunState.RUNNING else "interrupted"
            own = [e for e in events if e.execution_id == execution.id]
            made_by, made_in = makers.get(execution.id, (None, None))
            found.append(ComponentExecution(
                node=node,
                type=execution.type,
                state=state,
                started=time_of(execution.create_time_since_epoch),
                seconds=_seconds(execution, state),
                id=execution.id,
                inputs=_records(own, INPUTS, artifacts),
                outputs=_records(own, _WRITTEN, artifacts),
                parameters=plain(execution.custom_properties),
                made_by=made_by,
                made_in=made_in,
                error=run.error if node == run.failed_component and state == "failed" else None,
            ))
        return found

    def _contexts(self, since: datetime.datetime | None, limit: int | None) -> Iterator[mlmd_proto.Context]:
        """Contexts of runs, newest first, in growing pages: most callers stop after a few."""
        query = f"type = '{RUN}'"
        if since is not None:
            query += f" AND create_time_since_epoch >= {int(since.timestamp() * 1000)}"
        size, given = min(limit or _PAGE, _PAGE), 0
        while True:
            page = self._query(query, size)
            yield from page[given:]
            if len(page) < size:
                return
            given, size = size, size * 4

    def _query(self, query: str, limit: int | None = None) -> list[mlmd_proto.Context]:
        return self.mlmd.get_contexts(metadata_store.ListOptions(
            limit=limit, order_by=metadata_store.OrderByField.ID, is_asc=False, filter_query=query))

    def _context(self, run_id: str) -> mlmd_proto.Context:
        exact = self.mlmd.get_context_by_type_and_name(RUN, run_id)
        return exact or self.mlmd.get_context_by_type_and_name(RUN, choose(run_id, self.names()))

    def _run(self, context: mlmd_proto.Context) -> Run:
        properties = plain(context.custom_properties)
        if "state" not in properties:
            return Run(**{
                "id": context.name, "started": time_of(context.create_time_since_epoch),
                **earlier_facts(self.mlmd, context, self.folder)})
        state = RunState(properties["state"])
        if state == RunState.RUNNING and this_process.is_gone(
                properties["host"], properties["pid"], properties["process"]):
            state = RunState.INTERRUPTED
        return Run(id=context.name, state=state, **facts_of(properties))

    def _events(self, executions) -> list[mlmd_proto.Event]:
        return list(self.mlmd.get_events_by_execution_ids([e.id for e in executions])) if executions else []

    def _makers(self, cached, events) -> dict[int, tuple[int, str]]:
        """Of each cached execution, the one that made its outputs, and that one's run."""
        outputs = {e.execution_id: e.artifact_id for e in events if e.type in OUTPUTS}
        wanted = [outputs[e.id] for e in cached if e.id in outputs]
        if not wanted:
            return {}
        first = {}
        for event in self.mlmd.get_events_by_artifact_ids(wanted):
            if event.type in OUTPUTS:
                first[event.artifact_id] = min(event.execution_id, first.get(event.artifact_id, event.execution_id))
        runs = {maker: place_of(self.mlmd, maker)[1] for maker in set(first.values())}
        return {e.id: (maker, runs[maker]) for e in cached if (maker := first.get(outputs.get(e.id))) is not None}


def _records(events, types, artifacts) -> tuple[ArtifactRecord, ...]:
    return tuple(artifact_record(artifacts[e.artifact_id], name_of(e)) for e in events if e.type in types)


def _seconds(execution: mlmd_proto.Execution, state: str) -> float:
    if state == "running":
        return datetime.datetime.now().timestamp() - execution.create_time_since_epoch / 1000
    return (execution.last_update_time_since_epoch - execution.create_time_since_epoch) / 1000

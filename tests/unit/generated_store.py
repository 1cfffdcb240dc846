"""ML Metadata as runs leave it, made without running anything."""

from __future__ import annotations

import pathlib

from ml_metadata import metadata_store
from ml_metadata import proto as mlmd_proto

from pipeline.runs.run_record import RunRecord

STATES = mlmd_proto.Execution
EVENTS = mlmd_proto.Event


def sqlite(path: pathlib.Path) -> mlmd_proto.ConnectionConfig:
    """The connection configuration of a SQLite file."""
    config = mlmd_proto.ConnectionConfig()
    config.sqlite.filename_uri = str(path)
    config.sqlite.connection_mode = mlmd_proto.SqliteMetadataSourceConfig.READWRITE_OPENCREATE
    return config


class _Runner:
    """Starts as soon as it can."""

    def __init__(self, run_id: str, current: str | None):
        self.run_id, self.current = run_id, current

    def __setattr__(self, name: str, value) -> None:
        if name == "on_start":
            value()
        else:
            super().__setattr__(name, value)


class GeneratedStore:
    """Writes pipelines' contexts, executions, artifacts and events as TFX does.

    Args:
        store: a SQLite file, or the connection configuration of another store.

    Example:

    ```python
    store = GeneratedStore(tmp_path / "metadata.sqlite")
    examples = store.artifact("Examples", "/data/1")
    store.execution("sample", "run-1", "ExampleGen", outputs={"examples": examples})
    ```
    """

    def __init__(self, store: pathlib.Path | mlmd_proto.ConnectionConfig):
        self.connection = sqlite(store) if isinstance(store, pathlib.Path) else store
        self.mlmd = metadata_store.MetadataStore(self.connection)

    def record(self, run_id: str, current: str | None = None, **facts) -> RunRecord:
        """A run's record, with a runner that does nothing."""
        return RunRecord(self.connection, _Runner(run_id, current), **facts)

    def complete(self, run_id: str, dataset: str = "sample", auc: float = 0.7, verdict: str = "PUSHED", **facts):
        """A run that came to its end."""
        with self.record(run_id, dataset=dataset, **facts) as record:
            record.complete(
                rows=100, verdict=verdict, reasons=[], student={"overall": {"auc": auc}, "slices": {}},
                plain={"overall": {"auc": auc - 0.1}, "slices": {}})

    def context(self, type_name: str, name: str) -> mlmd_proto.Context:
        found = self.mlmd.get_context_by_type_and_name(type_name, name)
        if found is None:
            type_id = self.mlmd.put_context_type(mlmd_proto.ContextType(name=type_name))
            (number,) = self.mlmd.put_contexts([mlmd_proto.Context(type_id=type_id, name=name)])
            (found,) = self.mlmd.get_contexts_by_id([number])
        return found

    def artifact(self, type_name: str, uri, **properties) -> int:
        """A live artifact; returns its id."""
        artifact = mlmd_proto.Artifact(
            type_id=self.mlmd.put_artifact_type(mlmd_proto.ArtifactType(name=type_name)), uri=str(uri),
            state=mlmd_proto.Artifact.LIVE)
        _set(artifact, properties)
        return self.mlmd.put_artifacts([artifact])[0]

    def execution(
        self, dataset: str, run_id: str, node: str, inputs: dict[str, int] | None = None,
        outputs: dict[str, int] | None = None, state=STATES.COMPLETE, type_name: str | None = None, **properties,
    ) -> int:
        """A component's execution; returns its id."""
        execution = mlmd_proto.Execution(
            type_id=self.mlmd.put_execution_type(mlmd_proto.ExecutionType(name=type_name or f"components.{node}")),
            last_known_state=state)
        _set(execution, properties)
        (number,) = self.mlmd.put_executions([execution])
        for kind, ids in ((EVENTS.INPUT, inputs), (EVENTS.OUTPUT, outputs)):
            for key, artifact in (ids or {}).items():
                self._event(kind, number, key, artifact)
        contexts = [self.context("pipeline", dataset), self.context("pipeline_run", run_id),
                    self.context("node", f"{dataset}.{node}")]
        self.mlmd.put_attributions_and_associations(
            [mlmd_proto.Attribution(artifact_id=a, context_id=c.id)
             for a in (outputs or {}).values() for c in contexts],
            [mlmd_proto.Association(execution_id=number, context_id=c.id) for c in contexts])
        return number

    def output(self, execution: int, name: str, artifact: int) -> None:
        """Another output of an execution."""
        self._event(EVENTS.OUTPUT, execution, name, artifact)

    def _event(self, kind, execution: int, name: str, artifact: int) -> None:
        event = mlmd_proto.Event(type=kind, artifact_id=artifact, execution_id=execution)
        event.path.steps.add(key=name)
        event.path.steps.add(index=0)
        self.mlmd.put_events([event])


def _set(node, properties) -> None:
    for name, value in properties.items():
        kind = "string_value" if isinstance(value, str) else "int_value" if isinstance(value, int) else "double_value"
        setattr(node.custom_properties[name], kind, value)

"""Runs a pipeline on this machine, one component after the other, and says how it goes."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import hashlib
import logging
import pathlib
import time
from collections.abc import Callable, Collection

import ml_metadata
from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner

from pipeline.console import LOGGER
from pipeline.heartbeat import Heartbeat
from pipeline.local_beam_runner import LocalBeamRunner
from pipeline.run_lock import RunLock, held

_log = logging.getLogger(LOGGER)
_RESOLVER = "tfx.dsl.components.common.resolver.Resolver"


@dataclasses.dataclass(frozen=True)
class ComponentRun:
    """How one component went.

    Attributes:
        node: its id.
        seconds: wall time.
        cached: whether an earlier result was used again.
        execution_id: in ML Metadata.
    """

    node: str
    seconds: float
    cached: bool
    execution_id: int


class LocalRunner(tfx_runner.IrBasedRunner):
    """TFX's LocalDagRunner with progress and with failures that are not passed over.

    LocalDagRunner tells its caller nothing about the components (which were reused,
    how long they took), and goes on with the next one when a component's inputs cannot
    be resolved.

    Runs at the same time do the same work once: a component with the settings of one that
    runs waits for it, and then uses its result again if the inputs are the same too. So they
    never train from one checkpoint, or push into one folder, at the same time.

    Args:
        only: ids of the nodes to run, for a part of a pipeline; None runs all. What they
            read must come from nodes among them.
        locks: folder of the locks that runs at the same time share; None where there is but one.
        run_id: the run to go on with, whose components find what its earlier ones made; None starts one.

    Example:

    ```python
    runner = LocalRunner()
    runner.run(create_pipeline(...))
    [(c.node, c.cached) for c in runner.components]
    ```
    """

    # Called once the id of the run is settled, before the first component.
    on_start: Callable[[], None] | None = None

    def __init__(self, only: Collection[str] | None = None, locks: pathlib.Path | None = None,
                 run_id: str | None = None):
        self._only = only
        self._locks = locks
        self._goes_on = run_id is not None
        self.components: list[ComponentRun] = []
        self.run_id = run_id or _new_run_id()
        self.current: str | None = None

    def run_with_ir(self, pipeline, run_options=None) -> None:
        """Runs a compiled pipeline.

        Raises:
            RuntimeError: a component's inputs could not be resolved.
            Exception: what a component's executor raised.
        """
        LocalBeamRunner.make_default()
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        store = deployment.metadata_connection_config
        connection = getattr(store, store.WhichOneof("connection_config"))
        if not self._goes_on:
            self._claim_run_id(connection)
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id})
        nodes = [n.pipeline_node for n in pipeline.nodes]
        if self._only is not None:
            nodes = [n for n in nodes if n.node_info.id in self._only]
        shown = [n for n in nodes if n.node_info.type.name != _RESOLVER]
        if self.on_start:
            self.on_start()
        for node in nodes:
            self.current = node.node_info.id
            visible = node in shown
            if visible:
                _log.info("[%2d/%d] %s", shown.index(node) + 1, len(shown), self.current)
            started = time.monotonic()
            with Heartbeat(_log), self._alone(node):
                info = launcher.Launcher(
                    pipeline_node=node,
                    mlmd_connection=metadata.Metadata(connection),
                    pipeline_info=pipeline.pipeline_info,
                    pipeline_runtime_spec=pipeline.runtime_spec,
                    executor_spec=runner_utils.extract_executor_spec(deployment, self.current),
                    custom_driver_spec=runner_utils.extract_custom_driver_spec(deployment, self.current),
                ).launch()
            seconds = time.monotonic() - started
            cached = self._cached(connection, info) if visible else False
            if visible:
                self.components.append(ComponentRun(self.current, seconds, cached, info.execution_id))
                _log.info("        %s", "reused" if cached else f"done in {seconds:.1f} s")
        self.current = None

    def _claim_run_id(self, connection) -> None:
        """Makes the run's context, so that no run of any pipeline in the store has the same."""
        with metadata.Metadata(connection) as handle:
            kind = handle.store.put_context_type(metadata_store_pb2.ContextType(
                name=constants.PIPELINE_RUN_CONTEXT_TYPE_NAME), can_add_fields=True, can_omit_fields=True)
            while True:
                try:
                    handle.store.put_contexts([metadata_store_pb2.Context(type_id=kind, name=self.run_id)])
                    return
                except ml_metadata.errors.AlreadyExistsError:
                    self.run_id = _new_run_id()

    def _alone(self, node) -> contextlib.AbstractContextManager:
        """No other run works on the same node with the same settings."""
        if self._locks is None:
            return contextlib.nullcontext()
        self._locks.mkdir(parents=True, exist_ok=True)
        settings = node.parameters.SerializeToString(deterministic=True)
        name = f"{self.current}-{hashlib.sha256(settings).hexdigest()[:16]}"
        lock = RunLock(self._locks / name, exclusive=True, purpose=f"{self.current} of run {self.run_id}")
        return held(lock, waiting=lambda holder: _log.info("        waits for %s", holder))

    def _cached(self, connection, info) -> bool:
        states = metadata_store_pb2.Execution
        with metadata.Metadata(connection) as handle:
            found = handle.store.get_executions_by_id([info.execution_id]) if info.execution_id else []
        state = found[0].last_known_state if found else states.UNKNOWN
        if state not in (states.COMPLETE, states.CACHED):
            raise RuntimeError(f"the inputs of {self.current} could not be resolved")
        return state == states.CACHED


def _new_run_id() -> str:
    return datetime.datetime.now().isoformat(timespec="milliseconds")

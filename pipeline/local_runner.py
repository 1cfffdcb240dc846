"""Runs a pipeline on this machine, one component after the other, and says how it goes."""

from __future__ import annotations

import dataclasses
import datetime
import logging
import time
from collections.abc import Callable, Collection

from ml_metadata.proto import metadata_store_pb2
from tfx.dsl.compiler import constants
from tfx.orchestration import metadata
from tfx.orchestration.local import runner_utils
from tfx.orchestration.portable import launcher, runtime_parameter_utils, tfx_runner

from pipeline.console import LOGGER
from pipeline.heartbeat import Heartbeat

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

    Args:
        only: ids of the nodes to run, for a part of a pipeline; None runs all. What they
            read must come from nodes among them.

    Example:

    ```python
    runner = LocalRunner()
    runner.run(create_pipeline(...))
    [(c.node, c.cached) for c in runner.components]
    ```
    """

    # Called once the id of the run is settled, before the first component.
    on_start: Callable[[], None] | None = None

    def __init__(self, only: Collection[str] | None = None):
        self._only = only
        self.components: list[ComponentRun] = []
        self.run_id = datetime.datetime.now().isoformat(timespec="milliseconds")
        self.current: str | None = None

    def run_with_ir(self, pipeline, run_options=None) -> None:
        """Runs a compiled pipeline.

        Raises:
            RuntimeError: a component's inputs could not be resolved.
            Exception: what a component's executor raised.
        """
        runtime_parameter_utils.substitute_runtime_parameter(
            pipeline, {constants.PIPELINE_RUN_ID_PARAMETER_NAME: self.run_id})
        deployment = runner_utils.extract_local_deployment_config(pipeline)
        store = deployment.metadata_connection_config
        connection = getattr(store, store.WhichOneof("connection_config"))
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
            with Heartbeat(_log):
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

    def _cached(self, connection, info) -> bool:
        states = metadata_store_pb2.Execution
        with metadata.Metadata(connection) as handle:
            found = handle.store.get_executions_by_id([info.execution_id]) if info.execution_id else []
        state = found[0].last_known_state if found else states.UNKNOWN
        if state not in (states.COMPLETE, states.CACHED):
            raise RuntimeError(f"the inputs of {self.current} could not be resolved")
        return state == states.CACHED

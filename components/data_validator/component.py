"""DataValidator: ExampleValidator that stops the run and looks at drift."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.data_validator import executor


class DataValidatorSpec(ComponentSpec):
    """Specification of `DataValidator`: ExampleValidator's keys and ours."""

    PARAMETERS = {
        "exclude_splits": ExecutionParameter(type=str, optional=True),
        "max_unknown_share": ExecutionParameter(type=float),
        "max_missing_share": ExecutionParameter(type=float),
        "max_drift": ExecutionParameter(type=float),
        "inferred": ExecutionParameter(type=int),
        "accepted_dir": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
        "previous_statistics": ChannelParameter(type=standard_artifacts.ExampleStatistics, optional=True),
    }
    OUTPUTS = {"anomalies": ChannelParameter(type=standard_artifacts.ExampleAnomalies)}


class DataValidator(base_component.BaseComponent):
    """TFX's ExampleValidator, except that anomalies stop the run.

    TFX's only writes anomalies down: whatever the data, training goes on. And it has no
    input for an earlier run's statistics, without which there is no drift to check.

    Args:
        statistics: statistics of every split.
        schema: the inferred or imported schema.
        previous_statistics: an earlier run's statistics; drift of the training split is
            measured against them.
        max_unknown_share: share of values outside a string feature's domain that is no
            anomaly: under a time split the newest rows always bring some.
        max_missing_share: share of rows in which a feature that the schema asks for may
            be missing.
        inferred: whether the schema was inferred from the training split, and so is a
            guess, or written by a person.
        max_drift: largest Jensen-Shannon divergence (numeric) or L-infinity distance
            (string) of a feature between two runs' training splits; 0 turns it off.
        accepted_dir: folder in which the statistics of the training split are kept once they
            are accepted, and from which those of the run before are taken where
            `previous_statistics` is absent: for an orchestrator that cannot look for them.

    Output `anomalies`, in ExampleValidator's own format; its custom property
    `statistics_id` says which statistics were accepted.

    Example:

    ```python
    validator = DataValidator(
        statistics=statistics_gen.outputs["statistics"],
        schema=schema_gen.outputs["schema"],
    )
    ```
    """

    SPEC_CLASS = DataValidatorSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        statistics: types.BaseChannel,
        schema: types.BaseChannel,
        previous_statistics: types.BaseChannel | None = None,
        max_unknown_share: float = 0.1,
        max_missing_share: float = 0.05,
        max_drift: float = 0.3,
        inferred: bool = True,
        accepted_dir: str | None = None,
    ):
        super().__init__(
            DataValidatorSpec(
                statistics=statistics,
                schema=schema,
                previous_statistics=previous_statistics,
                max_unknown_share=max_unknown_share,
                max_missing_share=max_missing_share,
                max_drift=max_drift,
                inferred=int(inferred),
                accepted_dir=accepted_dir,
                anomalies=types.Channel(type=standard_artifacts.ExampleAnomalies),
            )
        )

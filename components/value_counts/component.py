"""ValueCounts: how often each value occurs in one day's training rows."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import artifacts
from components.value_counts import executor


class ValueCountsSpec(ComponentSpec):
    """Specification of `ValueCounts`."""

    PARAMETERS = {"dataset_spec": ExecutionParameter(type=str)}
    INPUTS = {"examples": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {"counts": ChannelParameter(type=artifacts.ValueCounts)}


class ValueCounts(base_beam_component.BaseBeamComponent):
    """Counts the values of every feature that has a vocabulary, once a day.

    `VocabularyGen` adds the days of a window up. A value is counted as the transform
    graph would: see `models.preprocessing.vocabulary_values`.

    Args:
        examples: a day's raw examples; their split `train` is counted.
        dataset_spec: `DatasetSpec.to_json()`.

    Output `counts`: Examples of `value` and `count`, one split a feature.

    Example:

    ```python
    counts = ValueCounts(examples=example_gen.outputs["examples"], dataset_spec=spec.to_json())
    ```
    """

    SPEC_CLASS = ValueCountsSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, examples: types.BaseChannel, dataset_spec: str):
        super().__init__(
            ValueCountsSpec(
                examples=examples,
                dataset_spec=dataset_spec,
                counts=types.Channel(type=artifacts.ValueCounts),
            )
        )

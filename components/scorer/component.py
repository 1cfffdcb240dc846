"""Scorer: what every model of a run says of each test row."""

from __future__ import annotations

import json
from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import ScoredRows
from components.scorer import executor


class ScorerSpec(ComponentSpec):
    """Specification of `Scorer`."""

    PARAMETERS = {
        "dataset_spec": ExecutionParameter(type=str),
        "example_splits": ExecutionParameter(type=str),
        "max_rows": ExecutionParameter(type=int),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "train_examples": ChannelParameter(type=standard_artifacts.Examples),
        "model": ChannelParameter(type=standard_artifacts.Model),
        "plain_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "baseline_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
    }
    OUTPUTS = {"scored_rows": ChannelParameter(type=ScoredRows)}


class Scorer(base_component.BaseComponent):
    """Scores test rows with every exported model, side by side.

    The Evaluators keep sums, from which nobody can tell whether two models differ by more than chance:
    that takes both scores of the same row. TFX's BulkInferrer scores one model a node, keeps whole
    requests and takes no sample.

    Args:
        examples: raw examples with the splits `example_splits`.
        model: the candidate.
        dataset_spec: the dataset specification, as JSON.
        max_rows: a larger test split is sampled down to about so many rows, by a hash of the row.
        plain_model: the plain backbone.
        baseline_model: the last blessed model.
        train_examples: examples whose split `train` tells how often a user or an item was seen; those of
            `examples` by default.
        example_splits: which splits are scored, `test` by default; of daily logs the whole newest day.

    Output `scored_rows`, see `components.artifacts.ScoredRows`.

    Example:

    ```python
    scorer = Scorer(
        examples=example_gen.outputs["examples"],
        model=student.outputs["model"],
        plain_model=plain.outputs["model"],
        dataset_spec=spec.to_json(),
    )
    ```
    """

    SPEC_CLASS = ScorerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        model: types.BaseChannel,
        dataset_spec: str,
        max_rows: int = 100_000,
        plain_model: types.BaseChannel | None = None,
        baseline_model: types.BaseChannel | None = None,
        train_examples: types.BaseChannel | None = None,
        example_splits: Sequence[str] = ("test",),
    ):
        super().__init__(
            ScorerSpec(
                examples=examples,
                train_examples=train_examples or examples,
                model=model,
                plain_model=plain_model,
                baseline_model=baseline_model,
                dataset_spec=dataset_spec,
                example_splits=json.dumps(list(example_splits)),
                max_rows=max_rows,
                scored_rows=types.Channel(type=ScoredRows),
            )
        )

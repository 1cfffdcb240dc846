"""Evaluator: TFX's Evaluator that takes an empty baseline for none."""

from __future__ import annotations

from tfx.components.evaluator import component
from tfx.dsl.components.base import executor_spec

from components.evaluator import executor


class Evaluator(component.Evaluator):
    """TFX's Evaluator, except that a baseline artifact without a model in it counts as no baseline.

    TFX's goes by whether there is an artifact. A resolver of Kubeflow Pipelines, or `ServedModel`, always has one;
    before the first model is pushed it is empty, and TFX's would fail to load it.

    Args: those of `tfx.components.Evaluator`.

    Example:

    ```python
    evaluator = Evaluator(
        examples=example_gen.outputs["examples"],
        model=trainer.outputs["model"],
        baseline_model=served_model.outputs["model"],
        eval_config=eval_config,
    )
    ```
    """

    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

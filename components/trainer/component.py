"""Trainer: TFX's Trainer with text vectors, an adapted language model, an earlier run and raw examples as inputs."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.proto import trainer_pb2
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter
from tfx.utils import json_utils

from components.artifacts import AdaptedLanguageModel, Vocabularies
from components.trainer import executor


class TrainerSpec(ComponentSpec):
    """Specification of `Trainer`: the keys are those of TFX's own."""

    PARAMETERS = {
        "train_args": ExecutionParameter(type=trainer_pb2.TrainArgs),
        "eval_args": ExecutionParameter(type=trainer_pb2.EvalArgs),
        "run_fn": ExecutionParameter(type=str),
        "custom_config": ExecutionParameter(type=str),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "transform_graph": ChannelParameter(type=standard_artifacts.TransformGraph),
        "base_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "text_vectors": ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "adapted_language_model": ChannelParameter(type=AdaptedLanguageModel, optional=True),
        "base_run": ChannelParameter(type=standard_artifacts.ModelRun, optional=True),
        "raw_examples": ChannelParameter(type=standard_artifacts.Examples, optional=True),
        "earlier_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "plain_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        "vocabularies": ChannelParameter(type=Vocabularies, optional=True),
    }
    OUTPUTS = {
        "model": ChannelParameter(type=standard_artifacts.Model),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class Trainer(base_component.BaseComponent):
    """Runs a `run_fn`, named by its dotted path, on transformed examples.

    TFX's Trainer has no input for anything but examples, a graph and a base model; the
    alignment also needs the vectors of the distinct texts, or the language model that
    was adapted to them, and a refresh what an earlier run left.

    Args:
        run_fn: dotted path of a function of `fn_args`.
        examples: examples with the splits `train` and `validation`; transformed, but for a
            `run_fn` that says otherwise.
        transform_graph: the transform graph of the model.
        custom_config: settings for `run_fn`, serialisable as JSON.
        base_model: the model to start from.
        text_vectors: vectors of the distinct texts, from `TextEncoder`.
        adapted_language_model: what is fine-tuned, or encodes, from `LanguageAdapter`;
            absent, the language model as it is.
        base_run: the `model_run` of an earlier run of the same `run_fn`.
        raw_examples: the examples before they were transformed, from `ExampleGen`: what a
            request of the exported model holds.
        earlier_model: in daily operation, the last blessed model of an earlier day.
        plain_model: in daily operation, the day's backbone without text, which the last model
            hands on to the next day.
        vocabularies: in daily operation, from `VocabularyGen`.
        eval_splits: the splits that `run_fn` is given as `eval_files`.

    Outputs `model` and `model_run` (TensorBoard logs, training history).

    Example:

    ```python
    aligner = Trainer(
        run_fn="pipeline.run_fns.alignment.run_fn",
        examples=transform.outputs["transformed_examples"],
        transform_graph=transform.outputs["transform_graph"],
        text_vectors=text_encoder.outputs["text_vectors"],
        custom_config={"dataset_spec": spec.to_json()},
    ).with_id("AlignmentTrainer")
    ```
    """

    SPEC_CLASS = TrainerSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        run_fn: str,
        examples: types.BaseChannel,
        transform_graph: types.BaseChannel,
        custom_config: dict,
        base_model: types.BaseChannel | None = None,
        text_vectors: types.BaseChannel | None = None,
        adapted_language_model: types.BaseChannel | None = None,
        base_run: types.BaseChannel | None = None,
        raw_examples: types.BaseChannel | None = None,
        earlier_model: types.BaseChannel | None = None,
        plain_model: types.BaseChannel | None = None,
        vocabularies: types.BaseChannel | None = None,
        eval_splits: Sequence[str] = ("validation",),
    ):
        super().__init__(
            TrainerSpec(
                run_fn=run_fn,
                examples=examples,
                transform_graph=transform_graph,
                base_model=base_model,
                text_vectors=text_vectors,
                adapted_language_model=adapted_language_model,
                base_run=base_run,
                raw_examples=raw_examples,
                earlier_model=earlier_model,
                plain_model=plain_model,
                vocabularies=vocabularies,
                train_args=trainer_pb2.TrainArgs(splits=["train"]),
                eval_args=trainer_pb2.EvalArgs(splits=eval_splits),
                custom_config=json_utils.dumps(custom_config),
                model=types.Channel(type=standard_artifacts.Model),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )

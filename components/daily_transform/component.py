"""DailyTransform: TFX's Transform with vocabularies that were made beforehand."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.proto import transform_pb2
from tfx.types import standard_artifacts, standard_component_specs
from tfx.types.component_spec import ChannelParameter, ComponentSpec
from tfx.utils import json_utils

from components import artifacts
from components.daily_transform import executor


class DailyTransformSpec(ComponentSpec):
    """Specification of `DailyTransform`: that of TFX's own and an input."""

    PARAMETERS = standard_component_specs.TransformSpec.PARAMETERS
    INPUTS = {
        **standard_component_specs.TransformSpec.INPUTS,
        "vocabularies": ChannelParameter(type=artifacts.Vocabularies),
    }
    OUTPUTS = standard_component_specs.TransformSpec.OUTPUTS


class DailyTransform(base_beam_component.BaseBeamComponent):
    """Runs a `preprocessing_fn` that finds its vocabularies in `custom_config["vocabularies"]`.

    TFX's Transform orders a vocabulary by frequency, so that an ID's row would be another
    every day, and has no input for an order of its own.

    Args:
        examples: textualised examples.
        schema: their schema.
        vocabularies: from `VocabularyGen`.
        preprocessing_fn: dotted path of a function of inputs and `custom_config`.
        splits_config: the splits that are analysed and transformed.
        custom_config: what else the function is given.

    Outputs `transform_graph` and `transformed_examples`.

    Example:

    ```python
    transform = DailyTransform(
        examples=window.outputs["examples"], schema=schema, vocabularies=vocabulary_gen.outputs["vocabularies"],
        preprocessing_fn="models.preprocessing.preprocessing_fn", splits_config=splits_config,
        custom_config={"dataset_spec": spec.to_json(), "text_mode": "frozen"})
    ```
    """

    SPEC_CLASS = DailyTransformSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        vocabularies: types.BaseChannel,
        preprocessing_fn: str,
        splits_config: transform_pb2.SplitsConfig,
        custom_config: dict,
    ):
        super().__init__(
            DailyTransformSpec(
                examples=examples,
                schema=schema,
                vocabularies=vocabularies,
                preprocessing_fn=preprocessing_fn,
                splits_config=splits_config,
                custom_config=json_utils.dumps(custom_config),
                force_tf_compat_v1=0,
                # StatisticsGen has described the data; statistics of ids would only cost time.
                disable_statistics=1,
                transform_graph=types.Channel(type=standard_artifacts.TransformGraph),
                transformed_examples=types.Channel(type=standard_artifacts.Examples),
            )
        )

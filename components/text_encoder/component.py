"""TextEncoder: every distinct text becomes a vector."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import AdaptedLanguageModel
from components.text_encoder import executor


class TextEncoderSpec(ComponentSpec):
    """Specification of `TextEncoder`."""

    PARAMETERS = {
        "language_model": ExecutionParameter(type=str),
        "max_tokens": ExecutionParameter(type=int),
        "language_model_fingerprint": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=int, optional=True),
    }
    INPUTS = {
        "texts": ChannelParameter(type=standard_artifacts.Examples),
        "adapted_language_model": ChannelParameter(type=AdaptedLanguageModel, optional=True),
        "previous_vectors": ChannelParameter(type=standard_artifacts.Examples, optional=True),
    }
    OUTPUTS = {"text_vectors": ChannelParameter(type=standard_artifacts.Examples)}


class TextEncoder(base_beam_component.BaseBeamComponent):
    """Encodes distinct texts with a frozen language model (CTRL, arXiv 2306.02841, sec. 4.2).

    A text that stands under several keys or in several splits is encoded once.

    Args:
        texts: `key` and `text`, a split for each side and each text history.
        language_model: its name; see `models.language_model_source.LanguageModelSource`.
        max_tokens: tokens read of a text, first and last included.
        language_model_fingerprint: `LanguageModelSource(name).fingerprint`, so that other
            weights under the same name are not served from the cache. The run stops
            where the executor finds other weights than these, or an adapted language
            model that was made from others.
        adapted_language_model: from `LanguageAdapter`; encodes in place of the original.
        span: in daily operation, the number of the newest day. The vectors then hold the
            fingerprints of their texts, and have as custom properties what decides on whether
            another day's run can take them over: see `pipeline.resolvers`.
        previous_vectors: an earlier day's vectors by the same language model and `max_tokens`; a
            text that is among them is not encoded again.

    Outputs `text_vectors`: the splits of `texts`, with `key` and `vector` (floats, as
    many as the language model is wide). Its custom property `language_model_adapted` is
    1 where the language model was adapted.

    Example:

    ```python
    text_encoder = TextEncoder(
        texts=textualiser.outputs["texts"],
        language_model="minilm",
        max_tokens=64,
        language_model_fingerprint=LanguageModelSource("minilm").fingerprint,
    )
    ```
    """

    SPEC_CLASS = TextEncoderSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        texts: types.BaseChannel,
        language_model: str,
        max_tokens: int,
        language_model_fingerprint: str,
        adapted_language_model: types.BaseChannel | None = None,
        span: int | None = None,
        previous_vectors: types.BaseChannel | None = None,
    ):
        super().__init__(
            TextEncoderSpec(
                texts=texts,
                adapted_language_model=adapted_language_model,
                language_model=language_model,
                max_tokens=max_tokens,
                language_model_fingerprint=language_model_fingerprint,
                span=span,
                previous_vectors=previous_vectors,
                text_vectors=types.Channel(type=standard_artifacts.Examples),
            )
        )

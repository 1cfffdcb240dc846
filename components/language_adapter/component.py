"""LanguageAdapter: the language model reads the domain's texts before it is used."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import AdaptedLanguageModel
from components.language_adapter import executor


class LanguageAdapterSpec(ComponentSpec):
    """Specification of `LanguageAdapter`."""

    PARAMETERS = {
        "language_model": ExecutionParameter(type=str),
        "language_model_fingerprint": ExecutionParameter(type=str),
        "max_tokens": ExecutionParameter(type=int),
        "epochs": ExecutionParameter(type=int),
        "batch_size": ExecutionParameter(type=int),
        "learning_rate": ExecutionParameter(type=float),
        "max_texts": ExecutionParameter(type=int),
        "seed": ExecutionParameter(type=int),
        "checkpoint_dir": ExecutionParameter(type=str),
    }
    INPUTS = {"texts": ChannelParameter(type=standard_artifacts.Examples)}
    OUTPUTS = {
        "adapted_language_model": ChannelParameter(type=AdaptedLanguageModel),
        "model_run": ChannelParameter(type=standard_artifacts.ModelRun),
    }


class LanguageAdapter(base_component.BaseComponent):
    """Adapts a language model to a domain by masked language modelling (BERT, arXiv 1810.04805).

    CELA (arXiv 2405.10596) does so before it aligns the language model. The texts are
    those of every split, without labels and without histories. Training that was killed
    goes on from its last checkpoint.

    Args:
        texts: `key` and `text`, from `Textualiser`; each distinct text is read once an epoch.
        language_model: its name; see `models.language_model_source.LanguageModelSource`.
        language_model_fingerprint: `LanguageModelSource(name).fingerprint`. The run stops
            where the executor finds other weights than these.
        max_tokens: tokens read of a text, first and last included.
        epochs: passes over the texts.
        batch_size: texts a step.
        learning_rate: AdamW's peak, after warming up over the first tenth of the steps.
        max_texts: so many texts are read at most: a sample that depends on the texts alone.
        seed: of masks, dropout and order.
        checkpoint_dir: training that was killed goes on from here.

    Outputs `adapted_language_model` (see `models.adapted_language_model`) and `model_run`
    (TensorBoard logs).

    Example:

    ```python
    adapter = LanguageAdapter(
        texts=textualiser.outputs["texts"],
        language_model="minilm",
        language_model_fingerprint=LanguageModelSource("minilm").fingerprint,
        max_tokens=64, epochs=2, batch_size=32, learning_rate=5e-5, max_texts=200_000, seed=1,
        checkpoint_dir="/tmp/checkpoints",
    )
    ```
    """

    SPEC_CLASS = LanguageAdapterSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        texts: types.BaseChannel,
        language_model: str,
        language_model_fingerprint: str,
        max_tokens: int,
        epochs: int,
        batch_size: int,
        learning_rate: float,
        max_texts: int,
        seed: int,
        checkpoint_dir: str,
    ):
        super().__init__(
            LanguageAdapterSpec(
                texts=texts,
                language_model=language_model,
                language_model_fingerprint=language_model_fingerprint,
                max_tokens=max_tokens,
                epochs=epochs,
                batch_size=batch_size,
                learning_rate=learning_rate,
                max_texts=max_texts,
                seed=seed,
                checkpoint_dir=checkpoint_dir,
                adapted_language_model=types.Channel(type=AdaptedLanguageModel),
                model_run=types.Channel(type=standard_artifacts.ModelRun),
            )
        )

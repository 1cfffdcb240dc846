"""Textualiser: every row of the log becomes a sentence."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.textualiser import executor
from models.spec.text_form import PROSE, TextForm


class TextualiserSpec(ComponentSpec):
    """Specification of `Textualiser`."""

    PARAMETERS = {
        "dataset_spec": ExecutionParameter(type=str),
        "text_mode": ExecutionParameter(type=str),
        "gather_texts": ExecutionParameter(type=int),
        "text_form": ExecutionParameter(type=str, optional=True),
    }
    INPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "schema": ChannelParameter(type=standard_artifacts.Schema),
    }
    OUTPUTS = {
        "textualised_examples": ChannelParameter(type=standard_artifacts.Examples),
        "textualised_schema": ChannelParameter(type=standard_artifacts.Schema),
        "texts": ChannelParameter(type=standard_artifacts.Examples),
    }


class Textualiser(base_beam_component.BaseBeamComponent):
    """Adds each side's sentence to raw examples (CTRL, arXiv 2306.02841, sec. 4.1).

    In the text mode `frozen` it also gathers the distinct texts, so that a language
    model that is not trained encodes each once, and puts their fingerprints into the
    rows. A history would make the user's text unique to its row: there it is left out
    of the text, and its entries point to the texts of their items instead.

    Args:
        examples: raw examples with the splits `train`, `validation`, `test`.
        schema: their schema.
        dataset_spec: `DatasetSpec.to_json()`.
        text_mode: `frozen` or `finetune`.
        gather_texts: whether the distinct texts are gathered in the mode `finetune` too, to
            adapt the language model to them.
        text_form: how the sentences read; see `models.sentence_writer.SentenceWriter`.

    Outputs `textualised_examples` (the same splits), `textualised_schema` (the schema with
    the features that were added) and `texts` (`key` and `text`, one split a side and one a
    history; no split in the mode `finetune` without `gather_texts`).

    Example:

    ```python
    textualiser = Textualiser(
        examples=example_gen.outputs["examples"],
        schema=schema_gen.outputs["schema"],
        dataset_spec=spec.to_json(),
        text_mode="frozen",
    )
    ```
    """

    SPEC_CLASS = TextualiserSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        examples: types.BaseChannel,
        schema: types.BaseChannel,
        dataset_spec: str,
        text_mode: str,
        gather_texts: bool = False,
        text_form: TextForm = PROSE,
    ):
        super().__init__(
            TextualiserSpec(
                examples=examples,
                schema=schema,
                dataset_spec=dataset_spec,
                text_mode=text_mode,
                # In the mode `frozen` they always are: its results stay reusable.
                gather_texts=int(gather_texts and text_mode != "frozen"),
                # Likewise, absent for prose.
                text_form=None if text_form == PROSE else text_form,
                textualised_examples=types.Channel(type=standard_artifacts.Examples),
                textualised_schema=types.Channel(type=standard_artifacts.Schema),
                texts=types.Channel(type=standard_artifacts.Examples),
            )
        )

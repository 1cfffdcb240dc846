"""VocabularyGen: which values have an embedding row, and which row."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import artifacts
from components.vocabulary_gen import executor


class VocabularyGenSpec(ComponentSpec):
    """Specification of `VocabularyGen`."""

    PARAMETERS = {
        "dataset_spec": ExecutionParameter(type=str),
        "span": ExecutionParameter(type=int),
        "keep_departed": ExecutionParameter(type=int),
    }
    INPUTS = {
        "base_model": ChannelParameter(type=standard_artifacts.Model, optional=True),
        **{key: ChannelParameter(type=artifacts.ValueCounts, optional=True) for key in executor.KEYS},
    }
    OUTPUTS = {"vocabularies": ChannelParameter(type=artifacts.Vocabularies)}


class VocabularyGen(base_component.BaseComponent):
    """Adds up the counts of a window's days, and keeps the rows of an earlier model.

    A value that the earlier model knows keeps its row, whether it occurs in the window
    or not; new ones that occur `min_count` times in it are appended, the most frequent
    first. Of the values that left the window those that were seen last are kept, up to
    `keep_departed`; where others go, the rows behind them move up.

    Args:
        counts: of the window's days, from `ValueCounts`.
        dataset_spec: `DatasetSpec.to_json()`.
        span: number of the window's newest day.
        keep_departed: how many values of a feature that left the window keep their row.
        base_model: the model whose rows are kept, with what `models.warm_start` left beside it.

    Output `vocabularies`: `<feature>_vocabulary`, a value a line in the order of its row,
    and `<feature>_last_seen.npy`, the day of each.

    Example:

    ```python
    vocabulary_gen = VocabularyGen(
        counts=[c.outputs["counts"] for c in value_counts], dataset_spec=spec.to_json(), span=19875)
    ```
    """

    SPEC_CLASS = VocabularyGenSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        counts: Sequence[types.BaseChannel],
        dataset_spec: str,
        span: int,
        keep_departed: int = 1_000_000,
        base_model: types.BaseChannel | None = None,
    ):
        super().__init__(
            VocabularyGenSpec(
                dataset_spec=dataset_spec,
                span=span,
                keep_departed=keep_departed,
                base_model=base_model,
                **dict(zip(executor.KEYS, counts)),
                vocabularies=types.Channel(type=artifacts.Vocabularies),
            )
        )

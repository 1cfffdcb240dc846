"""What the nodes before the training hand to it."""

from __future__ import annotations

import dataclasses

from tfx.dsl.components.base.base_node import BaseNode
from tfx.types import BaseChannel


@dataclasses.dataclass(frozen=True)
class TrainingData:
    """What the training nodes of a pipeline read, whether of one log or of daily ones.

    Attributes:
        raw_examples: raw examples of training rows.
        evaluated: raw examples that models are evaluated on.
        evaluated_splits: their splits that are.
        textualised_examples: the rows with their sentences.
        transform: the Transform node.
        text_vectors: vectors of the distinct texts, in frozen mode.
        adapted: the adapted language model, where there is one.
        cold_start_splits: what ColdStart reads beside the training split.
        span: number of the newest day; None for one log.
        earlier_model: the last blessed model of an earlier day.
        vocabularies: from `VocabularyGen`, in daily operation.
    """

    raw_examples: BaseChannel
    evaluated: BaseChannel
    evaluated_splits: tuple[str, ...]
    textualised_examples: BaseChannel
    transform: BaseNode
    text_vectors: BaseChannel | None = None
    adapted: BaseChannel | None = None
    cold_start_splits: tuple[str, ...] = ("validation", "test")
    span: int | None = None
    earlier_model: BaseChannel | None = None
    vocabularies: BaseChannel | None = None

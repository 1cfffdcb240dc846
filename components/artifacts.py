"""Artifact types of our own."""

from tfx import types


class IngestionReport(types.Artifact):
    """What ingestion read, dropped and rejected.

    Holds `summary.json` (counts, split sizes, time cuts) and `rejected.jsonl`, the
    dead-letter file: one JSON object a rejected row with `file`, `line`, `reason`, `raw`.
    """

    TYPE_NAME = "CtrlIngestionReport"


class AdaptedLanguageModel(types.Artifact):
    """A language model that has read the domain's texts; see `models.adapted_language_model`."""

    TYPE_NAME = "CtrlAdaptedLanguageModel"


class DeploymentFiles(types.Artifact):
    """What stock TensorFlow Serving is started with; see `components.serving_config`."""

    TYPE_NAME = "CtrlDeploymentFiles"


class UserHistories(types.Artifact):
    """What each user adds to the derived histories of later days; see `components.user_histories`."""

    TYPE_NAME = "CtrlUserHistories"


class ValueCounts(types.Artifact):
    """How often each value occurs in one day's training rows; see `components.value_counts`."""

    TYPE_NAME = "CtrlValueCounts"


class Vocabularies(types.Artifact):
    """The values that have an embedding row, in the order of their rows; see `components.vocabulary_gen`."""

    TYPE_NAME = "CtrlVocabularies"

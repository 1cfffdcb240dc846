"""Artifact types of our own. A `TYPE_NAME` is where the class is found: Kubeflow Pipelines keeps nothing else."""

from tfx import types


class IngestionReport(types.Artifact):
    """What ingestion read, dropped and rejected.

    Holds `summary.json` (counts, split sizes, time cuts) and `rejected.jsonl`, the
    dead-letter file: one JSON object a rejected row with `file`, `line`, `reason`, `raw`.
    """

    TYPE_NAME = "components.IngestionReport"


class AdaptedLanguageModel(types.Artifact):
    """A language model that has read the domain's texts; see `models.adapted_language_model`."""

    TYPE_NAME = "components.AdaptedLanguageModel"


class DeploymentFiles(types.Artifact):
    """What stock TensorFlow Serving is started with; see `components.serving_config`."""

    TYPE_NAME = "components.DeploymentFiles"


class ScoredRows(types.Artifact):
    """What every model of a run says of test rows.

    Holds `rows.parquet`, one row a test row: `label`; `score/<model>`, the click probability by
    `student`, and where there is one by `plain` and `baseline`; `slice/<feature>`, the list of the
    row's values; `train_rows/<feature>`, how many training rows have the row's user or item. Its
    custom properties `rows` and `rows_of_the_split` differ where a large split was sampled.
    """

    TYPE_NAME = "components.ScoredRows"


class UserHistories(types.Artifact):
    """What each user adds to the derived histories of later days; see `components.user_histories`."""

    TYPE_NAME = "components.UserHistories"


class ValueCounts(types.Artifact):
    """How often each value occurs in one day's training rows; see `components.value_counts`."""

    TYPE_NAME = "components.ValueCounts"


class Vocabularies(types.Artifact):
    """The values that have an embedding row, in the order of their rows; see `components.vocabulary_gen`."""

    TYPE_NAME = "components.Vocabularies"

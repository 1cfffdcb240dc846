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

"""Artifact types of our own."""

from tfx import types


class IngestionReport(types.Artifact):
    """What ingestion read, dropped and rejected.

    Holds `summary.json` (counts, split sizes, time cuts) and `rejected.jsonl`, the
    dead-letter file: one JSON object a rejected row with `file`, `line`, `reason`, `raw`.
    """

    TYPE_NAME = "CtrlIngestionReport"

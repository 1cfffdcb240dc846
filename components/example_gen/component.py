"""ExampleGen: any log that a dataset specification describes, as split examples."""

from __future__ import annotations

from collections.abc import Sequence

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import IngestionReport, UserHistories
from components.example_gen import executor, past


class ExampleGenSpec(ComponentSpec):
    """Specification of `ExampleGen`."""

    PARAMETERS = {
        "dataset_spec": ExecutionParameter(type=str),
        "files": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
        "max_rejected_share": ExecutionParameter(type=float),
        "dead_letter_dir": ExecutionParameter(type=str, optional=True),
        "span": ExecutionParameter(type=int, optional=True),
    }
    INPUTS = {key: ChannelParameter(type=UserHistories, optional=True) for key in past.KEYS}
    OUTPUTS = {
        "examples": ChannelParameter(type=standard_artifacts.Examples),
        "report": ChannelParameter(type=IngestionReport),
    }


class ExampleGen(base_beam_component.BaseBeamComponent):
    """Reads a log into raw examples, split into `train`, `validation` and `test`.

    TFX's own ExampleGens split by hash only and stop at the first malformed row; this
    one splits by time or per user as well, builds histories out of each user's earlier
    rows, and keeps malformed rows aside with their file, line and reason.

    Args:
        dataset_spec: `DatasetSpec.to_json()`.
        files: the log's files (`readers.list_files`), or patterns of them, joined by newlines.
        fingerprint: `readers.fingerprint(files)`; a cached result is reused only while
            it is unchanged.
        max_rejected_share: the run fails when more than this share of rows is malformed.
        dead_letter_dir: where `rejected.jsonl` is kept when the run fails for that.
        span: the number of the day that the log is of, which the examples then have as their
            property `span`.
        past_days: what users did on earlier days, from `UserHistories`, for the derived histories.

    Outputs `examples` and `report` (`IngestionReport`).

    Example:

    ```python
    files = readers.list_files(spec)
    example_gen = ExampleGen(
        dataset_spec=spec.to_json(),
        files="\\n".join(files),
        fingerprint=readers.fingerprint(files),
    )
    ```
    """

    SPEC_CLASS = ExampleGenSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(
        self,
        dataset_spec: str,
        files: str,
        fingerprint: str,
        max_rejected_share: float = 0.01,
        dead_letter_dir: str | None = None,
        span: int | None = None,
        past_days: Sequence[types.BaseChannel] = (),
    ):
        super().__init__(
            ExampleGenSpec(
                dataset_spec=dataset_spec,
                files=files,
                fingerprint=fingerprint,
                max_rejected_share=max_rejected_share,
                dead_letter_dir=dead_letter_dir,
                span=span,
                **dict(zip(past.KEYS, past_days)),
                examples=types.Channel(type=standard_artifacts.Examples),
                report=types.Channel(type=IngestionReport),
            )
        )

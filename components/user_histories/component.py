"""UserHistories: what each user did on one day, for the histories of later days."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_beam_component, executor_spec
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components import artifacts
from components.user_histories import executor


class UserHistoriesSpec(ComponentSpec):
    """Specification of `UserHistories`."""

    PARAMETERS = {
        "dataset_spec": ExecutionParameter(type=str),
        "files": ExecutionParameter(type=str),
        "fingerprint": ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {"histories": ChannelParameter(type=artifacts.UserHistories)}


class UserHistories(base_beam_component.BaseBeamComponent):
    """Keeps of one day's log the newest entries of each user's derived histories.

    `ExampleGen` of a later day reads them in place of this day's log. They depend on
    this day alone, so that a day is read for them once, whatever window it stands in.
    Malformed rows are left out: `ExampleGen` reports them.

    Args:
        dataset_spec: `DatasetSpec.to_json()`, with derived histories.
        files: the day's files, joined by newlines.
        fingerprint: `readers.fingerprint(files)`.

    Output `histories`: one record a user, see `components.example_gen.past`.

    Example:

    ```python
    histories = UserHistories(
        dataset_spec=spec.to_json(), files="\\n".join(log.files), fingerprint=readers.fingerprint(log.files))
    ```
    """

    SPEC_CLASS = UserHistoriesSpec
    EXECUTOR_SPEC = executor_spec.BeamExecutorSpec(executor.Executor)

    def __init__(self, dataset_spec: str, files: str, fingerprint: str):
        super().__init__(
            UserHistoriesSpec(
                dataset_spec=dataset_spec,
                files=files,
                fingerprint=fingerprint,
                histories=types.Channel(type=artifacts.UserHistories),
            )
        )

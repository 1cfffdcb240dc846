"""ServedModel: the version that is being served, as an artifact."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.served_model import executor


class ServedModelSpec(ComponentSpec):
    """Specification of `ServedModel`."""

    PARAMETERS = {
        "serving_dir": ExecutionParameter(type=str),
        "dataset_spec": ExecutionParameter(type=str),
        "spec_file": ExecutionParameter(type=str),
    }
    INPUTS = {}
    OUTPUTS = {"model": ChannelParameter(type=standard_artifacts.Model)}


class ServedModel(base_component.BaseComponent):
    """Copies the newest served version into a `Model` artifact; one that is empty where there is none.

    The baseline of a gate where no resolver can look for earlier models: the backend of open-source Kubeflow
    Pipelines runs none. Its result depends on what is served at the time, so it must not be taken from a cache.

    Args:
        serving_dir: where `Pusher` writes `<serving_dir>/<version>`.
        dataset_spec: `DatasetSpec.to_json()`. A version of another task (features, label, split) could not be
            compared with, and counts as none.
        spec_file: where the specification lies below a version.

    Output `model`. Its custom property `served_from` is the version's folder, and absent where there is none.

    Example:

    ```python
    served = ServedModel(
        serving_dir="gs://bucket/clicks/serving/ctr",
        dataset_spec=spec.to_json(),
        spec_file="assets.extra/dataset.json",
    )
    ```
    """

    SPEC_CLASS = ServedModelSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(self, serving_dir: str, dataset_spec: str, spec_file: str):
        super().__init__(
            ServedModelSpec(
                serving_dir=serving_dir,
                dataset_spec=dataset_spec,
                spec_file=spec_file,
                model=types.Channel(type=standard_artifacts.Model),
            )
        )

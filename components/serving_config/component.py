"""ServingConfig: the files that a pushed model is served with in stock TensorFlow Serving."""

from __future__ import annotations

from tfx import types
from tfx.dsl.components.base import base_component, executor_spec
from tfx.types import standard_artifacts
from tfx.types.component_spec import ChannelParameter, ComponentSpec, ExecutionParameter

from components.artifacts import DeploymentFiles
from components.serving_config import executor


class ServingConfigSpec(ComponentSpec):
    """Specification of `ServingConfig`."""

    PARAMETERS = {
        "model_name": ExecutionParameter(type=str),
        "image": ExecutionParameter(type=str),
        "serving_dir": ExecutionParameter(type=str),
        "deployment_dir": ExecutionParameter(type=str),
    }
    INPUTS = {"pushed_model": ChannelParameter(type=standard_artifacts.PushedModel)}
    OUTPUTS = {"deployment_files": ChannelParameter(type=DeploymentFiles)}


class ServingConfig(base_component.BaseComponent):
    """Writes what stock TensorFlow Serving is started with, by Docker Compose or on Kubernetes.

    The files name the model's folder, no version: the server finds versions by itself, so
    a later one needs no other files. A file that is in `deployment_dir` already stays as it
    is, since it may hold settings of whoever serves the model. Nothing is copied there
    for a model that was not pushed.

    Args:
        pushed_model: from `Pusher`.
        model_name: what the server calls the model.
        image: the container image, with its tag.
        serving_dir: where `Pusher` writes `<serving_dir>/<version>`.
        deployment_dir: the files are copied there; see `docs/deployment.md` for what they are.

    Output `deployment_files`: the files as this run makes them.

    Example:

    ```python
    serving_config = ServingConfig(
        pushed_model=pusher.outputs["pushed_model"],
        model_name="ctr",
        image="tensorflow/serving:2.16.1",
        serving_dir="ctr_root/sample/serving/ctr",
        deployment_dir="ctr_root/sample/deployment/ctr",
    )
    ```
    """

    SPEC_CLASS = ServingConfigSpec
    EXECUTOR_SPEC = executor_spec.ExecutorClassSpec(executor.Executor)

    def __init__(
        self,
        pushed_model: types.BaseChannel,
        model_name: str,
        image: str,
        serving_dir: str,
        deployment_dir: str,
    ):
        super().__init__(
            ServingConfigSpec(
                pushed_model=pushed_model,
                model_name=model_name,
                image=image,
                serving_dir=serving_dir,
                deployment_dir=deployment_dir,
                deployment_files=types.Channel(type=DeploymentFiles),
            )
        )

"""Plays the backend of Kubeflow Pipelines: runs the steps of a compiled pipeline as processes, one after the other.

What a backend knows of a step is in the file: its container's command, its parameters, which step makes its inputs. So
nothing here knows TFX. It does as the open-source backend does: it does not tell a step the types of its input
artifacts, and names them by numbers (kubeflow/pipelines, backend/src/v2/metadata/converter.go); it copies input
artifacts from object storage, here a folder, to local files before a step, and its outputs back (launcher_v2.go).
"""

from __future__ import annotations

import dataclasses
import graphlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from typing import Any

import yaml
from google.protobuf import json_format, struct_pb2
from kfp.pipeline_spec import pipeline_spec_pb2 as pb

from pipeline.kubeflow_entrypoint import LAUNCHER_ROOT

REPOSITORY = pathlib.Path(__file__).parents[1]
_PLACEHOLDER = "{{$}}"
_SCHEME = "minio://"
_TIMEOUT = 900


class StepFailed(Exception):
    """A step's process ended with an error; the message holds the end of its log."""


@dataclasses.dataclass
class KubeflowDriver:
    """Runs a compiled pipeline.

    Args:
        file: what `ctrl compile` wrote.
        logs: folder of a log for each step, created.
        storage: folder that stands for object storage: `minio://bucket/key` is `<storage>/bucket/key`.
        on_step: called with a step's name before it is run.

    Example:

    ```python
    driver = KubeflowDriver(pathlib.Path("pipeline.yaml"), pathlib.Path("logs"), pathlib.Path("storage"))
    outputs = driver.run("run-1", {"max_drift": 0.5})
    outputs["Pusher"]["pushed_model"].metadata["pushed_destination"]
    ```
    """

    file: pathlib.Path
    logs: pathlib.Path
    storage: pathlib.Path
    on_step: Callable[[str], None] = lambda name: None

    def __post_init__(self):
        document = next(yaml.safe_load_all(self.file.read_text(encoding="utf-8")))
        self.spec = json_format.ParseDict(document, pb.PipelineSpec())
        deployment = json_format.ParseDict(
            json_format.MessageToDict(self.spec.deployment_spec), pb.PipelineDeploymentConfig())
        self._executors = deployment.executors
        self._tasks = self.spec.root.dag.tasks
        self._artifacts = 0
        self.logs.mkdir(parents=True, exist_ok=True)

    def order(self) -> list[str]:
        """The steps, each after those that it depends on."""
        return list(graphlib.TopologicalSorter({name: sorted(producers(task)) for name, task in sorted(
            self._tasks.items())}).static_order())

    def run(
        self, run_id: str, parameters: Mapping[str, Any] | None = None,
        cached: Mapping[str, dict[str, pb.RuntimeArtifact]] | None = None,
    ) -> dict[str, dict[str, pb.RuntimeArtifact]]:
        """Runs every step.

        Args:
            run_id: names the folder of the run's artifacts, below the pipeline root.
            parameters: values of run parameters; the others have their defaults.
            cached: outputs of an earlier run, for steps whose inputs are the same and that may be left out.

        Returns:
            By step, its output artifacts by key, with what the step said of them.

        Raises:
            StepFailed: a step ended with an error; those after it have not been run.
        """
        declared = self.spec.root.input_definitions.parameters
        values = {name: spec.default_value for name, spec in declared.items()}
        for name, value in (parameters or {}).items():
            values[name] = json_format.ParseDict(value, struct_pb2.Value())
        outputs: dict[str, dict[str, pb.RuntimeArtifact]] = {}
        for name in self.order():
            if cached and self._tasks[name].caching_options.enable_cache and self._unchanged(name, outputs, cached):
                outputs[name] = cached[name]
                continue
            self.on_step(name)
            outputs[name] = self._step(name, run_id, values, outputs)
        return outputs

    def stored(self, uri: str) -> pathlib.Path:
        """Where an artifact lies in the folder that stands for object storage."""
        assert uri.startswith(_SCHEME), f"{uri}: is not in object storage"
        return self.storage / uri.removeprefix(_SCHEME)

    def _unchanged(self, name: str, outputs, cached) -> bool:
        """Whether all that a step reads is what it read in the cached run."""
        sources = (a.task_output_artifact for a in self._tasks[name].inputs.artifacts.values())
        return all(outputs[s.producer_task] is cached[s.producer_task] for s in sources)

    def _step(self, name: str, run_id: str, values, outputs) -> dict[str, pb.RuntimeArtifact]:
        task = self._tasks[name]
        component = self.spec.components[task.component_ref.name]
        executor = self._executors[component.executor_label]
        if executor.WhichOneof("spec") != "container" or task.trigger_policy.condition:
            raise NotImplementedError(f"{name}: this driver runs containers without a condition")
        given = pb.ExecutorInput()
        for key, parameter in task.inputs.parameters.items():
            given.inputs.parameter_values[key].CopyFrom(
                values[parameter.component_input_parameter] if parameter.component_input_parameter
                else parameter.runtime_value.constant)
        for key, source in task.inputs.artifacts.items():
            producer = source.task_output_artifact
            found = given.inputs.artifacts[key].artifacts.add()
            found.CopyFrom(outputs[producer.producer_task][producer.output_artifact_key])
            found.ClearField("type")
        root = f"{self.spec.default_pipeline_root}/{run_id}/{name}"
        for key, declared in component.output_definitions.artifacts.items():
            made = given.outputs.artifacts[key].artifacts.add(uri=f"{root}/{key}")
            made.type.CopyFrom(declared.artifact_type)
        with tempfile.TemporaryDirectory(prefix="kubeflow_step_") as folder:
            given.outputs.output_file = os.path.join(folder, "out", "executor_output.json")
            for found in given.inputs.artifacts.values():
                _copy(self.stored(found.artifacts[0].uri), _local(folder, found.artifacts[0].uri))
            for made in given.outputs.artifacts.values():
                _local(folder, made.artifacts[0].uri).parent.mkdir(parents=True, exist_ok=True)
            self._run_container(name, executor.container, given, folder)
            for made in given.outputs.artifacts.values():
                _copy(_local(folder, made.artifacts[0].uri), self.stored(made.artifacts[0].uri))
            said = json_format.Parse(pathlib.Path(given.outputs.output_file).read_text(), pb.ExecutorOutput())
        return {key: self._published(made.artifacts[0], said.artifacts[key].artifacts)
                for key, made in given.outputs.artifacts.items()}

    def _published(self, declared: pb.RuntimeArtifact, said) -> pb.RuntimeArtifact:
        """An output artifact with what the step said of it, and a name."""
        self._artifacts += 1
        result = pb.RuntimeArtifact()
        result.CopyFrom(declared)
        if said:
            result.uri = said[0].uri
            result.metadata.update(json_format.MessageToDict(said[0].metadata))
        result.name = str(self._artifacts)
        return result

    def _run_container(self, name: str, container, given: pb.ExecutorInput, folder: str) -> None:
        invocation = json_format.MessageToJson(given)
        command = [part.replace(_PLACEHOLDER, invocation) for part in (*container.command, *container.args)]
        assert command[0] == "python"
        # Little of this process's environment: an image has another.
        environment = {k: os.environ[k] for k in ("PATH", "HOME", "LANG") if k in os.environ}
        environment |= {"PYTHONPATH": str(REPOSITORY), "CUDA_VISIBLE_DEVICES": "", LAUNCHER_ROOT: folder}
        log = self.logs / f"{name}.log"
        with log.open("wb") as stream:
            status = subprocess.run([sys.executable, *command[1:]], env=environment, cwd=folder, stdout=stream,
                                    stderr=subprocess.STDOUT, timeout=_TIMEOUT).returncode
        if status:
            raise StepFailed(f"{name} ended with status {status}:\n{log.read_text(errors='replace')[-4000:]}")


def producers(task: pb.PipelineTaskSpec) -> set[str]:
    """Every step that a task's inputs, parameters or order name."""
    return {
        *task.dependent_tasks,
        *(a.task_output_artifact.producer_task for a in task.inputs.artifacts.values()),
        *(p.task_output_parameter.producer_task for p in task.inputs.parameters.values()
          if p.HasField("task_output_parameter")),
    }


def _local(folder: str, uri: str) -> pathlib.Path:
    """The launcher's copy of an artifact, where `folder` stands for the root of a container's file system."""
    return pathlib.Path(folder, "minio", uri.removeprefix(_SCHEME))


def _copy(source: pathlib.Path, target: pathlib.Path) -> None:
    """Object storage has no folders: what is empty vanishes on the way."""
    for path in source.rglob("*"):
        if path.is_file():
            copied = target / path.relative_to(source)
            copied.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copied)

"""The pipeline for Kubeflow Pipelines and Vertex AI Pipelines, compiled into one file by TFX."""

from __future__ import annotations

import hashlib
import logging
import os
import pathlib
import posixpath
import re
import sys
import tempfile
from collections.abc import Mapping
from typing import Any

import tensorflow as tf
import yaml
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tfx.dsl.components.base.base_component import BaseComponent
from tfx.orchestration import data_types
from tfx.orchestration import pipeline as tfx_pipeline
from tfx.orchestration.kubeflow.v2 import kubeflow_v2_dag_runner
from tfx.utils import io_utils

from components.example_gen import readers
from components.language_adapter.component import LanguageAdapter
from components.text_encoder.component import TextEncoder
from components.trainer.component import Trainer
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline import kubeflow_entrypoint, run
from pipeline.config import RunConfig
from pipeline.console import LOGGER
from pipeline.layout import RunLayout
from pipeline.pipeline import SERVED_MODEL, create_pipeline
from pipeline.settings.resources import Request, Resources
from pipeline.uri_layout import UriLayout

_log = logging.getLogger(LOGGER)
# Components that an accelerator helps.
_TRAINING = (LanguageAdapter, TextEncoder, Trainer)
_ENTRYPOINT = ("python", "-m", kubeflow_entrypoint.__name__)


def write_pipeline(
    spec: DatasetSpec, config: RunConfig, image: str, layout: UriLayout, output: pathlib.Path,
    data_dir: str | None = None,
) -> None:
    """Checks everything that can be checked here, compiles the pipeline and writes its file.

    Args:
        spec: the dataset.
        config: everything else about the runs.
        image: the container image of every step; see the Dockerfile.
        layout: where runs write.
        output: the file, YAML.
        data_dir: folder of the log's files, when the specification does not say.

    Raises:
        UserError: something in the data, the specification or the configuration is wrong.

    Example:

    ```python
    write_pipeline(spec, RunConfig(), "registry.example/ctrl:1", UriLayout.below("gs://bucket/ctrl", spec.name),
                   pathlib.Path("pipeline.yaml"))
    ```
    """
    run.check_texts(spec)
    if spec.source.daily:
        raise UserError(f"dataset {spec.name}: source.path is one log a day, which `ctrl run` alone reads: a step on a "
                        "cluster cannot look up what earlier days left. Name one log by source.path, with another "
                        "split; see docs/daily.md")
    if config.infra_validation == "on":
        raise UserError("infra_validation is on: a step on a cluster has no Docker to start TensorFlow Serving with, "
                        "and TFX compiles no InfraValidator for one; set it to auto or off")
    config = run.with_catalogue(config, spec, lambda path: publish(path, layout.folder("catalogues")))
    config = run.with_schema(config, lambda path: publish(path, layout.folder("schemas"), run.SCHEMA))
    language_model = run.check_models(config)
    if language_model.folder and not language_model.folder.is_relative_to(sys.prefix):
        _log.info("WARNING: language_model %s: the image must hold this folder, at the same path",
                  config.language_model)
    spec, files = _files_in_reach(spec, layout, data_dir)
    # A pattern is looked up by each run, so that a recurring one finds new files.
    pattern = spec.source.path if data_dir is None and spec.source.format != "tfds" else "\n".join(files)
    defaults = {
        "files": pattern, "fingerprint": readers.fingerprint(files), "max_drift": config.data.max_drift,
        "max_rejected_share": config.ingestion.max_rejected_share}
    pipeline = create_pipeline(
        pipeline_name=pipeline_name(posixpath.basename(layout.root)),
        pipeline_root=layout.artifacts,
        spec=spec,
        config=config,
        files=files,
        fingerprint=defaults["fingerprint"],
        serving_dir=layout.serving(config.model_name),
        checkpoint_dir=layout.folder("checkpoints"),
        deployment_dir=layout.folder("deployment", config.model_name),
        dead_letter_dir=layout.folder("rejected"),
        accepted_dir=layout.folder("accepted_statistics"),
        language_model_fingerprint=language_model.fingerprint,
        run_parameters={
            name: data_types.RuntimeParameter(name, ptype=type(value)) for name, value in defaults.items()},
    )
    documents = compile_pipeline(pipeline, image, config.resources, defaults)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(
            f"# Dataset {spec.name}, written by `ctrl compile` for Kubeflow Pipelines and Vertex AI Pipelines.\n"
            + yaml.safe_dump_all(documents, sort_keys=True), encoding="utf-8")
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written: {error.strerror}") from error


def compile_pipeline(
    pipeline: tfx_pipeline.Pipeline, image: str, resources: Resources, defaults: Mapping[str, Any],
) -> list[dict]:
    """A pipeline as what its file holds: the specification, and what is for Kubernetes alone where there is any.

    TFX's compiler leaves out the pipeline root and the defaults of run parameters, which are put in here; and it can
    cache all steps or none, while what is served now must not come from a cache.

    Args:
        pipeline: a TFX pipeline without resolvers.
        image: the container image of every step.
        resources: what each step asks for.
        defaults: default by run parameter.

    Raises:
        UserError: `resources` names a component that the pipeline has not.
    """
    components = {c.id: c for c in pipeline.components if isinstance(c, BaseComponent)}
    unknown = sorted(set(resources.components) - set(components))
    if unknown:
        raise UserError(f"resources.components: the pipeline has no component {unknown[0]}; there are: "
                        f"{', '.join(sorted(components))}")
    requests = {name: resources.request(name, isinstance(c, _TRAINING)) for name, c in components.items()}
    for name, component in components.items():
        component.with_platform_config(_resource_spec(requests[name]))
    compiled = kubeflow_v2_dag_runner.KubeflowV2DagRunner(kubeflow_v2_dag_runner.KubeflowV2DagRunnerConfig(
        default_image=image, default_commands=list(_ENTRYPOINT), use_pipeline_spec_2_1=True,
    )).run(pipeline, write_out=False)["pipelineSpec"]
    compiled["defaultPipelineRoot"] = pipeline.pipeline_info.pipeline_root
    for name, parameter in compiled["root"]["inputDefinitions"]["parameters"].items():
        parameter.update(defaultValue=defaults[name], isOptional=True)
    compiled["root"]["dag"]["tasks"][SERVED_MODEL].pop("cachingOptions", None)
    # What the file holds is what Kubeflow's own schema says.
    json_format.ParseDict(compiled, pipeline_spec_pb2.PipelineSpec())
    executors = {
        compiled["components"][name]["executorLabel"]: request.kubernetes
        for name, request in requests.items() if request.kubernetes}
    if not executors:
        return [compiled]
    return [compiled, {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}]


def pipeline_name(dataset: str) -> str:
    """A dataset's name as Kubeflow takes it: lower case and dashes."""
    return re.sub("[^a-z0-9-]", "-", dataset.lower())[:128]


def publish(path: str | os.PathLike, folder: str, name: str | None = None) -> str:
    """Copies a local file to where the steps can read it, below a folder that its content names.

    Args:
        path: the file.
        folder: URI of the folder of such copies.
        name: of the copy; that of the file when absent.

    Returns:
        The copy's URI.

    Raises:
        UserError: it cannot be written.
    """
    path = pathlib.Path(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    target = f"{folder}/{digest}/{name or path.name}"
    try:
        io_utils.copy_file(str(path), target, overwrite=True)
    except (OSError, tf.errors.OpError) as error:
        raise UserError(f"{target}: cannot be written: {error}; `ctrl compile` puts files of the run there, so it "
                        "needs access to the bucket, or the volume mounted") from error
    return target


def _resource_spec(request: Request):
    result = pipeline_spec_pb2.PipelineDeploymentConfig.PipelineContainerSpec.ResourceSpec(
        cpu_limit=request.cpu or 0.0, memory_limit=request.memory or 0.0)
    if request.accelerator:
        result.accelerator.type, result.accelerator.count = request.accelerator, request.accelerators
    return result


def _files_in_reach(spec: DatasetSpec, layout: UriLayout, data_dir: str | None) -> tuple[DatasetSpec, list[str]]:
    """The specification and its files, where a step finds them; a generated log is put there.

    Raises:
        UserError: the log lies on this machine and the steps run elsewhere.
    """
    with tempfile.TemporaryDirectory(prefix="ctrl_log_") as folder:
        here = RunLayout(pathlib.Path(folder if layout.remote else layout.shared))
        found, files = run.resolve_source(spec, here, data_dir)
        outside = [file for file in files if not layout.reaches(file)]
        if not outside:
            return found, files
        if found.source.path == spec.source.path:
            raise UserError(f"{outside[0]}: is on this machine, where no step of a cluster can read it; copy the log "
                            f"to where they can, as {layout.folder('log')}, and name it there with source.path")
        target = publish(files[0], layout.folder("data"))
        return found.model_copy(update={"source": found.source.model_copy(update={"path": target})}), [target]

"""A run on this machine, from the command's arguments to its summary."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import pathlib
import shutil
import time
from typing import TYPE_CHECKING

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from models.spec.text_form import PROSE
from pipeline import datasets
from pipeline.catalogue import Catalogue
from pipeline.config import SERVING_IMAGE, RunConfig
from pipeline.console import LOGGER
from pipeline.daily_window import daily_window
from pipeline.layout import RunLayout
from pipeline.verdict import PUSHED

if TYPE_CHECKING:
    from tfx.orchestration.pipeline import Pipeline

    from components.example_gen.daily_logs import Window
    from pipeline.local_runner import LocalRunner

_log = logging.getLogger(LOGGER)
# Files whose first row is read before the run starts.
_CHECKED_FILES = 20


def run(spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None = None,
        span: str | None = None) -> bool:
    """Runs the pipeline and prints its summary. Needs `console.quiet` around it.

    Args:
        spec: the dataset.
        config: everything else about the run.
        layout: where it writes.
        data_dir: folder of the log's files, when the specification does not say.
        span: of daily logs, the newest that is read, by its day or number; None for the newest there is.

    Returns:
        Whether the student passed the gate and was pushed.

    Raises:
        UserError: something in the data, the specification or the configuration is wrong.
    """
    started = time.monotonic()
    pipeline = prepare(spec, config, layout, data_dir, span)
    from models.language_model_source import LanguageModelSource
    from pipeline.local_runner import LocalRunner
    from pipeline.run_summary import summarise

    runner = LocalRunner()
    execute(pipeline, runner)
    connection = pipeline.metadata_connection_config
    pretrained = LanguageModelSource(config.language_model).pretrained
    summary = summarise(
        connection, runner, spec, config, layout, pretrained, time.monotonic() - started)
    layout.runs.mkdir(parents=True, exist_ok=True)
    summary_path = layout.runs / f"{runner.run_id.replace(':', '')}.json"
    summary_path.write_text(json.dumps(summary.to_dict(), indent=2), encoding="utf-8")
    # Every stage has published its result, so nothing goes on from here any more.
    shutil.rmtree(layout.checkpoints, ignore_errors=True)
    _log.info("%s", summary.render(summary_path))
    return summary.verdict == PUSHED


def prepare(spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None = None,
            span: str | None = None) -> Pipeline:
    """The pipeline of a run, with its files in place and its arguments checked; see `run`.

    Example:

    ```python
    pipeline = prepare(spec, config, layout)
    execute(pipeline, LocalRunner())
    ```
    """
    _log.info("dataset %s · backbone %s · language model %s (%s%s%s) · seed %d",
              spec.name, config.backbone, config.language_model, config.text_mode,
              "" if config.text_form == PROSE else f", text form {config.text_form}",
              ", adapted" if config.adaptation.epochs else "", config.seed)
    _log.info("root %s", layout.root)
    if not spec.text_sides:
        raise UserError(f"dataset {spec.name}: no feature has a text, so there is nothing to align with a language "
                        "model; give at least one feature the key text")
    config = _with_catalogue(config, spec, layout)
    window = daily_window(spec, config, data_dir, span)
    _log.info("loading the libraries ...")
    # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
    from tfx.orchestration import metadata

    from components.example_gen import readers
    from models import backbones
    from models.language_model import LanguageModel
    from models.language_model_source import LanguageModelSource
    from pipeline.pipeline import create_pipeline

    spec, files = resolve_source(spec, layout, data_dir, window)
    language_model = LanguageModelSource(config.language_model)
    # They fail now, not after an hour, when a name or an option means nothing.
    LanguageModel.tokenizer_of(config.language_model)
    language_model.check_max_tokens(config.max_tokens)
    backbones.get(config.backbone, **config.backbone_options)
    if not language_model.pretrained:
        _log.info("WARNING: the language model %s is untrained: its vectors carry no meaning; for tests only",
                  config.language_model)
    layout.root.mkdir(parents=True, exist_ok=True)
    connection = metadata.sqlite_metadata_connection_config(str(layout.metadata))
    return create_pipeline(
        pipeline_name=spec.name,
        pipeline_root=str(layout.artifacts),
        spec=spec,
        config=_with_schema(config, layout),
        files=files,
        fingerprint=readers.fingerprint(files),
        serving_dir=str(layout.serving(config.model_name)),
        checkpoint_dir=str(layout.checkpoints),
        deployment_dir=str(layout.deployment(config.model_name)),
        dead_letter_dir=str(layout.dead_letters),
        language_model_fingerprint=language_model.fingerprint,
        metadata_connection_config=connection,
        window=window,
        infra_validation=config.infra_validation == "on" or (
            config.infra_validation == "auto" and _has_image(SERVING_IMAGE)),
    )


def execute(pipeline: Pipeline, runner: LocalRunner) -> None:
    """Runs a pipeline.

    Raises:
        UserError: what a component found wrong, with the component's name before it.
    """
    try:
        runner.run(pipeline)
    except Exception as error:
        cause = _user_error(error)
        if cause is None:
            raise
        raise UserError(f"{runner.current}: {cause}") from error


def resolve_source(spec: DatasetSpec, layout: RunLayout, data_dir: str | None,
                   window: Window | None = None) -> tuple[DatasetSpec, list[str]]:
    """The specification with its files in place, and the files.

    A generated or a tensorflow-datasets log is made or prepared first. The first row of
    each file is read, so that a missing column is found before anything runs.
    """
    from components.example_gen import readers

    spec = datasets.materialise(spec, layout.data)
    if window:
        files = [file for log in (*window.earlier, *window.training, window.newest) for file in log.files]
    else:
        files = readers.list_files(spec, data_dir, cache_dir=str(layout.data))
    # Of daily logs the newest are the ones that no run has read.
    for file in files[-_CHECKED_FILES:] if window else files[:_CHECKED_FILES]:
        with contextlib.closing(readers.read_rows(spec, file)) as rows:
            next(rows, None)
    return spec, files


def _with_schema(config: RunConfig, layout: RunLayout) -> RunConfig:
    """The configuration with an imported schema checked, and named by what is in it."""
    path = config.data.schema_path
    if path is None:
        return config
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format

    try:
        tfdv.load_schema_text(path)
        kept = keep(path, layout.schemas, "schema.pbtxt")
    except (OSError, text_format.ParseError) as error:
        raise UserError(f"data.schema_path: {path}: cannot be read as a schema: {error}") from error
    return config.model_copy(update={"data": config.data.model_copy(update={"schema_path": str(kept)})})


def _with_catalogue(config: RunConfig, spec: DatasetSpec, layout: RunLayout) -> RunConfig:
    """The configuration with its catalogue checked, and named by what is in it."""
    options = config.cold_start
    if options.catalogue is None:
        return config
    try:
        catalogue = Catalogue.read(options.catalogue, spec, options.side)
    except UserError as error:
        raise UserError(f"cold_start.catalogue: {error}") from error
    for reason in catalogue.rejected:
        _log.info("WARNING: cold_start.catalogue: %s", reason)
    kept = keep(options.catalogue, layout.catalogues)
    return config.model_copy(update={"cold_start": options.model_copy(update={"catalogue": str(kept)})})


def keep(path: str | os.PathLike, folder: pathlib.Path, name: str | None = None) -> pathlib.Path:
    """A copy of a file, in a place that its content decides.

    TFX goes by a path alone: a file that was mended would not be read again.

    Args:
        path: the file.
        folder: where copies are kept.
        name: of the copy; that of the file when absent.
    """
    content = pathlib.Path(path).read_bytes()
    kept = folder / hashlib.sha256(content).hexdigest()[:16] / (name or pathlib.Path(path).name)
    kept.parent.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(content)
    return kept


def _has_image(name: str) -> bool:
    """Whether a Docker engine answers and holds an image; a run downloads nothing."""
    import docker

    try:
        with contextlib.closing(docker.from_env(timeout=5)) as client:
            return bool(client.images.list(name))
    except docker.errors.DockerException:
        return False


def _user_error(error: BaseException | None) -> UserError | None:
    """The user's error behind an exception, if there is one."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__cause__ or error.__context__
    return None

"""A run on this machine, from the command's arguments to its summary."""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
import os
import pathlib
import shutil
import time
from collections.abc import Callable
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
from pipeline.metadata_uri import connection_config
from pipeline.recording import recording
from pipeline.run_lock import RunLock, held
from pipeline.verdict import PUSHED

if TYPE_CHECKING:
    from ml_metadata.proto import metadata_store_pb2
    from tfx.orchestration.pipeline import Pipeline

    from components.example_gen.daily_logs import Window
    from models.language_model_source import LanguageModelSource
    from pipeline.local_runner import LocalRunner

_log = logging.getLogger(LOGGER)
# Files whose first row is read before the run starts.
_CHECKED_FILES = 20
# What the copy of an imported schema is called: ImportSchemaGen wants its own name for it.
SCHEMA = "schema.pbtxt"


def run(
    spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None = None,
    metadata_uri: str | None = None, wait: bool = False, span: str | None = None,
) -> bool:
    """Runs the pipeline and prints its summary. Needs `console.quiet` around it.

    Args:
        spec: the dataset.
        config: everything else about the run.
        layout: where it writes.
        data_dir: folder of the log's files, when the specification does not say.
        metadata_uri: the ML Metadata store, see `pipeline.metadata_uri.connection_config`.
        wait: for the end of other runs that are in the way, rather than refuse.
        span: of daily logs, the newest that is read, by its day or number; None for the newest there is.

    Returns:
        Whether the student passed the gate and was pushed.

    Raises:
        UserError: something in the data, the specification, the configuration or the metadata store
            is wrong, or another run is in the way.
    """
    with recording(layout, metadata_uri, purpose="ctrl run", wait=wait) as (connection, lock):
        return _run(spec, config, layout, data_dir, connection, lock, span)


def _run(
    spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None,
    connection: metadata_store_pb2.ConnectionConfig, lock: RunLock, span: str | None,
) -> bool:
    began, started = datetime.datetime.now(datetime.timezone.utc), time.monotonic()
    pipeline = prepare(spec, config, layout, data_dir, connection, span)
    from models.language_model_source import LanguageModelSource
    from pipeline.local_runner import LocalRunner
    from pipeline.report.write import report_at_end
    from pipeline.run_summary import summarise
    from pipeline.runs.run_facts import facts_at_start
    from pipeline.runs.run_record import RunRecord

    runner = LocalRunner(locks=layout.locks)
    lock.identify(runner.run_id)
    facts = facts_at_start("run", layout.root.name, pipeline, config.model_dump(mode="json"))
    with (report_at_end(connection, runner, layout, config.report.enabled) as report,
          RunRecord(connection, runner, began, **facts) as record):
        execute(pipeline, runner)
        pretrained = LanguageModelSource(config.language_model).pretrained
        summary = summarise(
            connection, runner, spec, config, layout, pretrained, time.monotonic() - started)
        layout.runs.mkdir(parents=True, exist_ok=True)
        summary_path = layout.runs / f"{runner.run_id.replace(':', '')}.json"
        summary_path.write_text(json.dumps(summary.to_dict(), indent=2), encoding="utf-8")
        record.complete(**summary.facts(), summary=str(summary_path))
    # Every stage has published its result, so nothing goes on from here any more but another run.
    if lock.alone():
        shutil.rmtree(layout.checkpoints, ignore_errors=True)
    _log.info("%s", summary.render(summary_path, report.path))
    return summary.verdict == PUSHED


def prepare(
    spec: DatasetSpec, config: RunConfig, layout: RunLayout, data_dir: str | None = None,
    connection: metadata_store_pb2.ConnectionConfig | None = None, span: str | None = None,
) -> Pipeline:
    """The pipeline of a run, with its files in place and its arguments checked; see `run`.

    Without a connection it is recorded where the layout's runs are.

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
    check_texts(spec)
    config = with_catalogue(config, spec, lambda path: str(keep(path, layout.catalogues)))
    window = daily_window(spec, config, data_dir, span)
    _log.info("loading the libraries ...")
    # TFX takes 20 to 40 seconds to import, so wrong arguments have been refused before.
    # This imports TensorFlow, and what is imported first goes last at the interpreter's end: Beam keeps models that
    # were evaluated, and TensorFlow prints an error for each that outlives it.
    language_model = check_models(config)
    from components.example_gen import readers
    from pipeline.beam_options import check_options
    from pipeline.pipeline import create_pipeline

    check_options(config.beam)
    spec, files = resolve_source(spec, layout, data_dir, window)
    layout.root.mkdir(parents=True, exist_ok=True)
    return create_pipeline(
        # Not the dataset's: in a store of several, what --smoke made must not be compared with what was trained.
        pipeline_name=layout.root.name,
        pipeline_root=str(layout.artifacts),
        spec=spec,
        config=with_schema(config, lambda path: str(keep(path, layout.schemas, SCHEMA))),
        files=files,
        fingerprint=readers.fingerprint(files),
        serving_dir=str(layout.serving(config.model_name)),
        checkpoint_dir=str(layout.checkpoints),
        deployment_dir=str(layout.deployment(config.model_name)),
        dead_letter_dir=str(layout.dead_letters),
        language_model_fingerprint=language_model.fingerprint,
        metadata_connection_config=connection or connection_config(None, layout),
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
        cause = user_error(error)
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

    layout.locks.mkdir(parents=True, exist_ok=True)
    # What a run prepares, another that starts at the same time finds prepared.
    with held(RunLock(layout.locks / "data", exclusive=True, purpose="the preparation of data"),
              waiting=lambda holder: _log.info("waiting for %s ...", holder)):
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


def check_texts(spec: DatasetSpec) -> None:
    """Raises UserError where a dataset has no text."""
    if not spec.text_sides:
        raise UserError(f"dataset {spec.name}: no feature has a text, so there is nothing to align with a language "
                        "model; give at least one feature the key text")


def check_models(config: RunConfig) -> LanguageModelSource:
    """The language model, once it and the backbone are known to exist with the given options.

    They fail now, not after an hour, when a name or an option means nothing.
    """
    from models import backbones
    from models.language_model import LanguageModel
    from models.language_model_source import LanguageModelSource

    language_model = LanguageModelSource(config.language_model)
    LanguageModel.tokenizer_of(config.language_model)
    language_model.check_max_tokens(config.max_tokens)
    backbones.get(config.backbone, **config.backbone_options)
    if not language_model.pretrained:
        _log.info("WARNING: the language model %s is untrained: its vectors carry no meaning; for tests only",
                  config.language_model)
    return language_model


def with_schema(config: RunConfig, kept: Callable[[str], str]) -> RunConfig:
    """The configuration with an imported schema checked, and named by what is in it.

    Args:
        config: the configuration.
        kept: copies a file and returns the copy's path, which its content decides.
    """
    path = config.data.schema_path
    if path is None:
        return config
    import tensorflow_data_validation as tfdv
    from google.protobuf import text_format

    try:
        tfdv.load_schema_text(path)
        copy = kept(path)
    except (OSError, text_format.ParseError) as error:
        raise UserError(f"data.schema_path: {path}: cannot be read as a schema: {error}") from error
    return config.model_copy(update={"data": config.data.model_copy(update={"schema_path": copy})})


def with_catalogue(config: RunConfig, spec: DatasetSpec, kept: Callable[[str], str]) -> RunConfig:
    """The configuration with its catalogue checked, and named by what is in it; `kept` as for `with_schema`."""
    options = config.cold_start
    if options.catalogue is None:
        return config
    try:
        catalogue = Catalogue.read(options.catalogue, spec, options.side)
    except UserError as error:
        raise UserError(f"cold_start.catalogue: {error}") from error
    for reason in catalogue.rejected:
        _log.info("WARNING: cold_start.catalogue: %s", reason)
    copy = kept(options.catalogue)
    return config.model_copy(update={"cold_start": options.model_copy(update={"catalogue": copy})})


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
    # Another run may be reading it.
    draft = kept.with_name(f".{kept.name}.{os.getpid()}")
    draft.write_bytes(content)
    os.replace(draft, kept)
    return kept


def _has_image(name: str) -> bool:
    """Whether a Docker engine answers and holds an image; a run downloads nothing."""
    import docker

    try:
        with contextlib.closing(docker.from_env(timeout=5)) as client:
            return bool(client.images.list(name))
    except docker.errors.DockerException:
        return False


def user_error(error: BaseException | None) -> UserError | None:
    """The user's error behind an exception, if there is one."""
    while error is not None:
        if isinstance(error, UserError):
            return error
        error = error.__cause__ or error.__context__
    return None

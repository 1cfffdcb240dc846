"""A refresh on this machine, from the command's arguments to its summary."""

from __future__ import annotations

import dataclasses
import logging
import pathlib
import shlex
from typing import TYPE_CHECKING

from models.spec.errors import UserError
from pipeline.catalogue import Catalogue
from pipeline.console import LOGGER
from pipeline.layout import RunLayout, newest_version, served_spec
from pipeline.recording import recording
from pipeline.run_lock import RunLock
from pipeline.verdict import NOT_PUSHED, PUSHED

if TYPE_CHECKING:
    from pipeline.run_inspection import RunInspection
    from pipeline.served_lineage import ServedLineage

_log = logging.getLogger(LOGGER)
_SHOWN = 20


def refresh(
    served: pathlib.Path, catalogue_path: str, side: str, metadata_uri: str | None = None, wait: bool = False,
) -> bool:
    """Adds a catalogue's new entries to the model that is served. Needs `console.quiet` around it.

    Nothing is trained: the new rows come from the map that the run learnt, and every row
    that the model has stays as it is.

    Args:
        served: the folder of the model's versions.
        catalogue_path: a CSV or JSONL file with the log's columns.
        side: whose entries they are, `item` or `user`.
        metadata_uri: the ML Metadata store, see `pipeline.metadata_uri.connection_config`.
        wait: for the end of runs that are in the way, rather than refuse.

    Returns:
        Whether the new version passed the gate and was pushed, or there was nothing to add.

    Raises:
        UserError: something in the catalogue or the metadata store is wrong, the model has no use for
            it, or a run is in the way.
    """
    layout = RunLayout(served.parents[1])
    with recording(layout, metadata_uri, purpose="ctrl refresh", wait=wait) as (connection, lock):
        return _refresh(served, catalogue_path, side, layout, connection, lock)


def _refresh(
    served: pathlib.Path, catalogue_path: str, side: str, layout: RunLayout, connection, lock: RunLock,
) -> bool:
    version = newest_version(served)
    spec = served_spec(served)
    catalogue = Catalogue.read(catalogue_path, spec, side)
    _log.info("model %s", version)
    _log.info("loading the libraries ...")
    import tensorflow_transform as tft

    from models.catalogue_rows import CatalogueRows
    from pipeline.local_runner import LocalRunner
    from pipeline.pipeline import COLD_START
    from pipeline.refresh_pipeline import create_refresh_pipeline
    from pipeline.report.write import report_at_end
    from pipeline.run import execute, keep
    from pipeline.run_inspection import RunInspection
    from pipeline.runs.run_facts import facts_at_start
    from pipeline.runs.run_record import RunRecord
    from pipeline.served_lineage import ServedLineage

    lineage = ServedLineage(connection, version)
    rows = CatalogueRows.load(lineage.uris[lineage.model_run])
    ids = spec.entity_ids(side)
    if not any(map(rows.can_add, ids)):
        raise UserError(f"{version}: its texts explain nothing of the rows of {', '.join(ids)}, so rows made from them "
                        "would be no better than the one that unknown values share")
    graph = tft.TFTransformOutput(lineage.uris[lineage.inputs["transform_graph"]])
    new = catalogue.unknown(spec, rows, {
        name: {v.decode("utf-8", "replace") for v in graph.vocabulary_by_name(f"{name}_vocabulary")} for name in ids})
    counted = _counted(catalogue, len(new))
    if not new:
        _log.info("%s", "\n".join([
            "", f"Refresh of {spec.name}", *counted, "  verdict     nothing to add; what is served stays as it is"]))
        return True

    _check_language_model(lineage)
    runner, kept = LocalRunner(locks=layout.locks), str(keep(catalogue_path, layout.catalogues))
    lock.identify(runner.run_id)
    pipeline = create_refresh_pipeline(
        pipeline_name=layout.root.name, pipeline_root=str(layout.artifacts), lineage=lineage, catalogue=kept,
        side=side, serving_dir=str(served), metadata_connection_config=connection)
    settings = {**lineage.custom_config["config"], "cold_start": {"catalogue": catalogue_path, "side": side}}
    facts = facts_at_start("refresh", layout.root.name, pipeline, settings, [kept])
    with (report_at_end(connection, runner, layout) as report,
          RunRecord(connection, runner, **facts) as record):
        execute(pipeline, runner)
        inspection = RunInspection(connection, runner.components)
        outcome = _outcome(inspection)
        record.complete(**outcome)
    made = CatalogueRows.load(inspection.uri(COLD_START, "model_run"))
    rows_made = (
        f"{len(made.rows[name]) - len(rows.rows[name]):,} of {name}" for name in filter(rows.can_add, ids))
    _log.info("%s", "\n".join([
        "", f"Refresh {runner.run_id} of {spec.name}", *counted, f"  rows        {', '.join(rows_made)}",
        *_verdict(outcome, layout), *([f"  report      {report.path}"] if report.path else [])]))
    return outcome["verdict"] == PUSHED


def _counted(catalogue: Catalogue, new: int) -> list[str]:
    """How many entries are what, and what is wrong with those that are rejected."""
    rejected = catalogue.rejected
    lines = [f"  catalogue   {new:,} new, {len(catalogue.entries) - new:,} already known, {len(rejected):,} rejected",
             *(f"              {reason}" for reason in rejected[:_SHOWN])]
    return lines + [f"              and {len(rejected) - _SHOWN:,} more"] * (len(rejected) > _SHOWN)


def _check_language_model(lineage: ServedLineage) -> None:
    from models.language_model_source import LanguageModelSource

    source = LanguageModelSource(lineage.custom_config["config"]["language_model"])
    if source.fingerprint != lineage.language_model_fingerprint:
        raise UserError(f"language model {source.name!r}: its weights are no longer those that the model was trained "
                        "with; bring them back, or train anew with `ctrl run`")


def _outcome(inspection: RunInspection) -> dict:
    """Attributes of `pipeline.runs.run.Run`."""
    from pipeline.gate import GATE

    pushed = inspection.flag("Pusher", "pushed_model", "pushed") == 1
    return {
        "student": dataclasses.asdict(inspection.evaluated(GATE)),
        "verdict": PUSHED if pushed else NOT_PUSHED,
        "reasons": [] if pushed else inspection.gate_failures(GATE),
        "pushed": inspection.text("Pusher", "pushed_model", "pushed_destination") if pushed else None,
    }


def _verdict(outcome: dict, layout: RunLayout) -> list[str]:
    """The new version's figures, and what became of it."""
    from pipeline.run_summary import FIGURES_HEADER, figures

    lines = ["", FIGURES_HEADER, figures("with the new entries", outcome["student"]["overall"]), "",
             f"  verdict     {outcome['verdict']}"]
    if outcome["verdict"] == NOT_PUSHED:
        return [*lines, *(f"              {reason}" for reason in outcome["reasons"])]
    return [
        *lines,
        f"  model       {outcome['pushed']}",
        "  next        a running `ctrl serve` loads it by itself; else ctrl serve --root "
        f"{shlex.quote(str(layout.root.parent))} --dataset {layout.root.name}"]

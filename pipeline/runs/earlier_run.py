"""What is known of a run that an earlier version of the project made."""

from __future__ import annotations

import json
import pathlib

from ml_metadata import metadata_store
from ml_metadata import proto as mlmd_proto

from pipeline.evaluated import Evaluated
from pipeline.runs.run import time_of
from pipeline.runs.run_state import RunState

_ENDED = (mlmd_proto.Execution.COMPLETE, mlmd_proto.Execution.CACHED)


def earlier_facts(
    store: metadata_store.MetadataStore, context: mlmd_proto.Context, folder: pathlib.Path | None,
) -> dict:
    """Attributes of a run whose context has no properties.

    They come from its executions and artifacts, and from the summary that every run left beside
    a SQLite store.

    Args:
        store: where it is kept.
        context: the run's.
        folder: of the SQLite file; None for another kind of store.

    Returns:
        Arguments of `Run`, without `id` and `started`.
    """
    executions = sorted(store.get_executions_by_context(context.id), key=lambda e: e.id)
    facts = {"dataset": _dataset(store, executions), "state": _state(executions)}
    if executions:
        facts["ended"] = time_of(max(e.last_update_time_since_epoch for e in executions))
    for artifact in store.get_artifacts_by_context(context.id):
        if artifact.type == "Model":
            facts.update({
                name: artifact.custom_properties[name].string_value
                for name in ("backbone", "language_model", "text_mode") if name in artifact.custom_properties})
    return {**facts, **_summary(folder, context.name)}


def _dataset(store, executions) -> str:
    contexts = store.get_contexts_by_execution(executions[0].id) if executions else []
    return next((c.name for c in contexts if c.type == "pipeline"), "")


def _state(executions) -> RunState:
    if any(e.last_known_state == mlmd_proto.Execution.FAILED for e in executions):
        return RunState.FAILED
    pushed = any(e.type.endswith(".Pusher") and e.last_known_state in _ENDED for e in executions)
    return RunState.COMPLETE if pushed else RunState.INTERRUPTED


def _summary(folder: pathlib.Path | None, run_id: str) -> dict:
    path = folder / "runs" / f"{run_id.replace(':', '')}.json" if folder else None
    if path is None or not path.is_file():
        return {}
    values = json.loads(path.read_text(encoding="utf-8"))
    return {
        "rows": sum(values["ingestion"]["rows"].values()),
        "plain": Evaluated(**values["plain"]) if values["plain"] else None,
        "student": Evaluated(**values["student"]),
        "verdict": values["verdict"],
        "reasons": tuple(values["reasons"]),
        "pushed": values["pushed_path"],
        "language_model": values["language_model"]["name"],
        "summary": str(path),
    }

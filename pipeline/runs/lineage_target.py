"""Which artifact a user means."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Sequence

from ml_metadata import metadata_store
from ml_metadata import proto as mlmd_proto

from models.spec.errors import UserError
from pipeline.runs.lineage import PUSHED_MODEL
from pipeline.runs.records import OUTPUTS
from pipeline.runs.run_store import RunStore

_SHOWN = 3


def find_artifact(stores: Sequence[RunStore], text: str) -> tuple[RunStore, int]:
    """The artifact that is meant, and the store that knows it.

    Args:
        stores: where it is looked for.
        text: number of a pushed version, an artifact's id, or a path or URI: of a pushed version,
            of an artifact or something in it, or of a file of a log.

    Returns:
        Store and artifact id.

    Raises:
        UserError: it is none of these, or several stores know one.
    """
    found = [(store, artifact) for store in stores if (artifact := _in_store(store.mlmd, text)) is not None]
    if len(found) == 1:
        return found[0]
    if found:
        folders = ", ".join(str(store.folder.name) for store, _ in found if store.folder)
        raise UserError(f"{text}: is known for several datasets; choose one with --dataset: {folders}")
    versions = [a.custom_properties["pushed_destination"].string_value
                for store in stores for a in _newest_pushed(store.mlmd)]
    hint = f"; the newest pushed versions are {', '.join(versions)}" if versions else "; nothing has been pushed yet"
    raise UserError(f"{text}: is no pushed version, artifact id, or path or URI of one or of a log's file that the "
                    f"metadata know{hint}")


def _in_store(mlmd: metadata_store.MetadataStore, text: str) -> int | None:
    if text.isdecimal():
        # Versions are seconds since the epoch, far above any artifact's id.
        pushed = _artifacts(mlmd, f"custom_properties.pushed_version.string_value = '{text}'")
        return pushed[0].id if pushed else next((a.id for a in mlmd.get_artifacts_by_id([int(text)])), None)
    return _by_uri(mlmd, text if "://" in text else os.path.abspath(text))


def _by_uri(mlmd: metadata_store.MetadataStore, uri: str) -> int | None:
    uri = uri.rstrip("/")
    quoted = uri.replace("'", "''")
    pushed = _artifacts(mlmd, f"custom_properties.pushed_destination.string_value = '{quoted}'")
    if pushed:
        return pushed[0].id
    readers = [e for e in mlmd.get_executions(metadata_store.ListOptions(
        filter_query=f"custom_properties.files.string_value LIKE '%{quoted}%'",
        order_by=metadata_store.OrderByField.ID, is_asc=False))
        if uri in e.custom_properties["files"].string_value.split("\n")]
    for execution in readers:
        for event in mlmd.get_events_by_execution_ids([execution.id]):
            if event.type in OUTPUTS:
                return event.artifact_id
    # What is named may lie in an artifact, as a model's Format-Serving does.
    while posixpath.basename(uri):
        if found := mlmd.get_artifacts_by_uri(uri):
            return max(artifact.id for artifact in found)
        uri = posixpath.dirname(uri)
    return None


def _newest_pushed(mlmd: metadata_store.MetadataStore) -> list[mlmd_proto.Artifact]:
    return _artifacts(mlmd, "custom_properties.pushed.int_value = 1", limit=_SHOWN)


def _artifacts(mlmd: metadata_store.MetadataStore, query: str, limit: int | None = None) -> list[mlmd_proto.Artifact]:
    """Pushed models, newest first."""
    if PUSHED_MODEL not in {t.name for t in mlmd.get_artifact_types()}:
        return []
    return mlmd.get_artifacts(metadata_store.ListOptions(
        limit=limit, order_by=metadata_store.OrderByField.ID, is_asc=False,
        filter_query=f"type = '{PUSHED_MODEL}' AND {query}"))

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
                for store in stores for a in _newest_pushed(store.mlmd)[:_SHOWN]]
    hint = f"; the newest pushed versions are {', '.join(versions)}" if versions else "; nothing has been pushed yet"
    raise UserError(f"{text}: is no pushed version, artifact id, or path or URI of one or of a log's file that the "
                    f"metadata know{hint}")


def _in_store(mlmd: metadata_store.MetadataStore, text: str) -> int | None:
    if text.isdecimal():
        # Versions are seconds since the epoch, far above any artifact's id.
        pushed = _pushed_as(mlmd, "pushed_version", text)
        return next((a.id for a in mlmd.get_artifacts_by_id([int(text)])), None) if pushed is None else pushed
    uri = (text if "://" in text else os.path.abspath(text)).rstrip("/")
    for found in (_pushed_as(mlmd, "pushed_destination", uri), _read_from(mlmd, uri)):
        if found is not None:
            return found
    # What is named may lie in an artifact, as a model's Format-Serving does.
    while posixpath.basename(uri):
        if found := mlmd.get_artifacts_by_uri(uri):
            return max(artifact.id for artifact in found)
        uri = posixpath.dirname(uri)
    return None


def _pushed_as(mlmd: metadata_store.MetadataStore, name: str, value: str) -> int | None:
    """The newest pushed model with a property. ML Metadata's own queries cannot hold every character."""
    return next((a.id for a in _newest_pushed(mlmd) if a.custom_properties[name].string_value == value), None)


def _read_from(mlmd: metadata_store.MetadataStore, file: str) -> int | None:
    """What the newest ExampleGen that read a file made of it."""
    types = [t.name for t in mlmd.get_execution_types() if t.name.rpartition(".")[2] == "ExampleGen"]
    readers = [e.id for name in types for e in mlmd.get_executions_by_type(name)
               if file in e.custom_properties["files"].string_value.split("\n")]
    events = mlmd.get_events_by_execution_ids([max(readers)]) if readers else []
    return next((event.artifact_id for event in events if event.type in OUTPUTS), None)


def _newest_pushed(mlmd: metadata_store.MetadataStore) -> list[mlmd_proto.Artifact]:
    pushed = [a for a in mlmd.get_artifacts_by_type(PUSHED_MODEL) if a.custom_properties["pushed"].int_value == 1]
    return sorted(pushed, key=lambda artifact: artifact.id, reverse=True)

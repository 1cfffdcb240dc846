"""Nodes of ML Metadata as plain values."""

from __future__ import annotations

import json

from google.protobuf import json_format
from ml_metadata import metadata_store
from ml_metadata import proto as mlmd_proto

from pipeline.runs.artifact_record import ArtifactRecord

RUN, PIPELINE, NODE = "pipeline_run", "pipeline", "node"
INPUTS = (mlmd_proto.Event.INPUT, mlmd_proto.Event.DECLARED_INPUT)
OUTPUTS = (mlmd_proto.Event.OUTPUT, mlmd_proto.Event.DECLARED_OUTPUT)


def artifact_record(artifact: mlmd_proto.Artifact, name: str = "") -> ArtifactRecord:
    """An artifact, under the name that a component reads or writes it by."""
    return ArtifactRecord(
        name=name, type=artifact.type, uri=artifact.uri, id=artifact.id, properties=plain(artifact.custom_properties),
        deleted=artifact.state == mlmd_proto.Artifact.DELETED)


def plain(properties) -> dict[str, str | int | float | bool]:
    """Property values of ML Metadata as plain ones; structures, which TFX uses for lists, as JSON."""
    return {name: _value(value) for name, value in properties.items()}


def name_of(event: mlmd_proto.Event) -> str:
    """The name of the input or output that an event stands for."""
    return event.path.steps[0].key if event.path.steps else ""


def place_of(store: metadata_store.MetadataStore, execution: int) -> tuple[str, str]:
    """The id of an execution's node and of its run; empty where it has none."""
    names = {context.type: context.name for context in store.get_contexts_by_execution(execution)}
    # TFX calls the context of a node `<pipeline>.<node>`.
    return names.get(NODE, "").removeprefix(f"{names.get(PIPELINE, '')}."), names.get(RUN, "")


def _value(value: mlmd_proto.Value):
    kind = value.WhichOneof("value")
    if kind == "struct_value":
        return json.dumps(json_format.MessageToDict(value.struct_value))
    return getattr(value, kind) if kind else None

import pathlib

import pytest
from ml_metadata import metadata_store
from ml_metadata import proto as mlmd_proto
from tfx.orchestration import metadata

from models.spec.errors import UserError
from pipeline.served_lineage import ServedLineage

VERSION = pathlib.Path("/srv/books/serving/ctr/7")


@pytest.fixture
def connection(tmp_path):
    return metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))


def record(connection, run_fn):
    """A trainer that wrote a model, which a Pusher then pushed as `VERSION`."""
    store = metadata_store.MetadataStore(connection)

    def put(type_name, execution_type, inputs, properties=(), execution_properties=()):
        artifact = mlmd_proto.Artifact(type_id=store.put_artifact_type(mlmd_proto.ArtifactType(name=type_name)))
        execution = mlmd_proto.Execution(
            type_id=store.put_execution_type(mlmd_proto.ExecutionType(name=execution_type)))
        for target, values in ((artifact, properties), (execution, execution_properties)):
            for name, value in values:
                target.custom_properties[name].string_value = value
        (artifact.id,), (execution.id,) = store.put_artifacts([artifact]), store.put_executions([execution])
        events = [(mlmd_proto.Event.OUTPUT, {"Model": "model", "PushedModel": "pushed_model"}[type_name], artifact.id)]
        events += [(mlmd_proto.Event.INPUT, key, number) for key, number in inputs.items()]
        for kind, key, number in events:
            event = mlmd_proto.Event(type=kind, artifact_id=number, execution_id=execution.id)
            event.path.steps.add(key=key)
            store.put_events([event])
        return artifact.id

    model = put("Model", "Trainer", {}, execution_properties=[("run_fn", run_fn)])
    put("PushedModel", "Pusher", {"model": model}, properties=[("pushed_destination", str(VERSION))])


def test_a_version_that_was_not_pushed_here_cannot_be_refreshed(connection):
    with pytest.raises(UserError, match="^/srv/books/serving/ctr/7: the metadata below this root know nothing of it"):
        ServedLineage(connection, VERSION)
    record(connection, "pipeline.run_fns.cold_start.run_fn")
    with pytest.raises(UserError, match="/8: the metadata"):
        ServedLineage(connection, VERSION.with_name("8"))


def test_a_version_without_a_map_cannot_be_refreshed(connection):
    record(connection, "pipeline.run_fns.distillation.run_fn")
    with pytest.raises(UserError, match="without a map from texts.*cold_start.enabled: true"):
        ServedLineage(connection, VERSION)

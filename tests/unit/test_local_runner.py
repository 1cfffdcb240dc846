"""What runs at the same time must not share."""

import threading

import ml_metadata
import pytest
from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.proto.orchestration import pipeline_pb2
from tfx.types import standard_artifacts

from pipeline import local_runner
from pipeline.local_runner import LocalRunner


@component
def Maker(made: OutputArtifact[standard_artifacts.Model]):
    made.set_int_custom_property("weight", 7)


@component
def Reader(made: InputArtifact[standard_artifacts.Model], copy: OutputArtifact[standard_artifacts.Model]):
    copy.set_int_custom_property("weight", made.get_int_custom_property("weight"))


def node(share):
    made = pipeline_pb2.PipelineNode()
    made.parameters.parameters["max_rejected_share"].field_value.double_value = share
    return made


def test_a_run_id_is_taken_once(tmp_path, monkeypatch):
    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    ids = iter(["12:00:00.000", "12:00:00.000", "12:00:00.000", "12:00:00.001"])
    monkeypatch.setattr(local_runner, "_new_run_id", lambda: next(ids))
    first, second = LocalRunner(), LocalRunner()
    for runner in (first, second):
        runner._claim_run_id(connection)
    assert (first.run_id, second.run_id) == ("12:00:00.000", "12:00:00.001")
    store = ml_metadata.MetadataStore(connection)
    assert {c.name for c in store.get_contexts_by_type("pipeline_run")} == {first.run_id, second.run_id}


def test_a_run_is_gone_on_with_by_its_id(tmp_path):
    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))
    for name in ("Maker", "Reader"):
        maker = Maker()
        LocalRunner(only=[name], run_id="of both").run(tfx.dsl.Pipeline(
            pipeline_name="small", pipeline_root=str(tmp_path), metadata_connection_config=connection,
            components=[maker, Reader(made=maker.outputs["made"])]))
    store = ml_metadata.MetadataStore(connection)
    assert [a.custom_properties["weight"].int_value for a in store.get_artifacts()] == [7, 7]
    assert [c.name for c in store.get_contexts_by_type("pipeline_run")] == ["of both"]


@pytest.mark.parametrize(("share", "waits"), [(0.01, True), (0.02, False)])
def test_the_same_work_waits_for_the_one_that_does_it(tmp_path, share, waits):
    first, second = (LocalRunner(locks=tmp_path / "locks") for _ in range(2))
    first.current = second.current = "ExampleGen"
    entered = threading.Event()

    def enter():
        with second._alone(node(share)):
            entered.set()

    other = threading.Thread(target=enter)
    with first._alone(node(0.01)):
        other.start()
        assert entered.wait(1.0 if waits else 30.0) is not waits
    other.join()
    assert entered.is_set()

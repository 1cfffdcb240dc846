"""What runs at the same time must not share."""

import threading

import ml_metadata
import pytest
from tfx.orchestration import metadata
from tfx.proto.orchestration import pipeline_pb2

from pipeline import local_runner
from pipeline.local_runner import LocalRunner


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
        assert entered.wait(1.0) is not waits
    other.join()
    assert entered.is_set()

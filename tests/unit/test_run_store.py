import datetime
import os
import platform
import subprocess
import sys
import time

import pytest
from ml_metadata import proto as mlmd_proto

from models.spec.errors import UserError
from pipeline.runs import this_process
from pipeline.runs.run_state import RunState
from pipeline.runs.run_store import RunStore
from tests.unit.generated_store import STATES, GeneratedStore


@pytest.fixture
def store(tmp_path):
    return GeneratedStore(tmp_path / "metadata.sqlite")


def test_a_run_is_read_as_it_was_written(store):
    began = datetime.datetime(2026, 3, 1, 12, tzinfo=datetime.timezone.utc)
    files = [{"path": "/data/log.csv", "fingerprint": "ab12", "bytes": 7}]
    with store.record("2026-03-01T13:00", started=began, dataset="books", command="run", config={"seed": 3}, seed=3,
                      backbone="dcn", language_model="minilm", text_mode="frozen", files=files, fingerprint="cd34",
                      graph={"ExampleGen": [], "StatisticsGen": ["ExampleGen"]}) as record:
        student = {"overall": {"auc": 0.75}, "slices": {"gender = F": {"auc": 0.5}}}
        record.complete(
            rows=3_000_000_000, plain={"overall": {"auc": 0.7}, "slices": {}}, student=student, verdict="NOT PUSHED",
            reasons=["auc is 0.75; it must be at least 0.8"])
    run = RunStore(store.connection).get("2026-03-01T13:00")
    assert (run.dataset, run.command, run.state, run.started) == ("books", "run", RunState.COMPLETE, began)
    assert (run.config, run.seed, run.backbone, run.language_model) == ({"seed": 3}, 3, "dcn", "minilm")
    assert (run.rows, run.auc, run.plain_auc) == (3_000_000_000, 0.75, 0.7)
    assert run.student.slices == {"gender = F": {"auc": 0.5}}
    assert (run.verdict, run.reasons) == ("NOT PUSHED", ("auc is 0.75; it must be at least 0.8",))
    assert [(f.path, f.fingerprint, f.bytes) for f in run.files] == [("/data/log.csv", "ab12", 7)]
    assert run.graph["StatisticsGen"] == ["ExampleGen"]
    assert (run.host, run.pid) == (platform.node(), os.getpid())
    assert run.seconds == (run.ended - began).total_seconds() > 0


def test_an_error_ends_a_run_as_failed_with_its_component_and_message(store):
    with pytest.raises(UserError), store.record("a", "DataValidator", dataset="books"):
        raise UserError("DataValidator: price drifted")
    with pytest.raises(ZeroDivisionError), store.record("b", "Trainer", dataset="books"):
        raise ZeroDivisionError("by zero")
    store.execution("books", "b", "ExampleGen")
    store.execution("books", "b", "Trainer", state=STATES.FAILED)
    runs = RunStore(store.connection)
    assert [(r.state, r.failed_component, r.error) for r in runs.list()] == [
        (RunState.FAILED, "Trainer", "ZeroDivisionError: by zero"),
        (RunState.FAILED, "DataValidator", "price drifted")]
    assert [(c.node, c.state, c.error) for c in runs.components("b")] == [
        ("ExampleGen", "complete", None), ("Trainer", "failed", "ZeroDivisionError: by zero")]


def test_ctrl_c_ends_a_run_as_interrupted(store):
    with pytest.raises(KeyboardInterrupt), store.record("a", dataset="books"):
        raise KeyboardInterrupt
    run = RunStore(store.connection).get("a")
    assert run.state is RunState.INTERRUPTED and run.error is None


def test_a_run_goes_on_while_its_process_does(store):
    sleeper = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = store.record("a", dataset="books").__enter__()
    record._write({"pid": sleeper.pid, "process": this_process.identify(sleeper.pid)})
    store.execution("books", "a", "ExampleGen", state=STATES.RUNNING)
    runs = RunStore(store.connection)
    assert runs.get("a").state is RunState.RUNNING and runs.components("a")[0].state == "running"
    sleeper.kill()
    sleeper.wait()
    assert runs.get("a").state is RunState.INTERRUPTED and runs.components("a")[0].state == "interrupted"


def test_the_number_of_an_ended_process_may_be_given_again(store):
    record = store.record("a", dataset="books").__enter__()
    record._write({"process": f"{this_process.identify()}0"})
    assert RunStore(store.connection).get("a").state is RunState.INTERRUPTED


def test_a_process_on_another_host_is_not_judged(store):
    record = store.record("a", dataset="books").__enter__()
    record._write({"host": "elsewhere", "process": "?"})
    assert RunStore(store.connection).get("a").state is RunState.RUNNING


def test_filters(store):
    store.complete("1", "books")
    store.complete("2", "films", verdict="NOT PUSHED")
    time.sleep(0.01)
    since = datetime.datetime.now()
    store.complete("3", "books", verdict="NOT PUSHED")
    with pytest.raises(KeyboardInterrupt), store.record("4", dataset="books"):
        raise KeyboardInterrupt
    runs = RunStore(store.connection)

    def ids(**filters):
        return [r.id for r in runs.list(**filters)]

    assert ids() == ["4", "3", "2", "1"]
    assert ids(dataset="books") == ["4", "3", "1"]
    assert ids(dataset="books", limit=2) == ["4", "3"]
    assert ids(state=RunState.INTERRUPTED) == ["4"]
    assert ids(verdict="NOT PUSHED") == ["3", "2"]
    assert ids(since=since) == ["4", "3"]
    assert ids(dataset="none") == []


def test_a_run_can_be_named_by_its_beginning(store):
    for name in ("2026-03-01T12", "2026-03-01T13", "2026-04-01T12"):
        store.complete(name)
    runs = RunStore(store.connection)
    assert runs.get("2026-04").id == "2026-04-01T12"
    with pytest.raises(UserError, match="beginning of several runs: 2026-03-01T13, 2026-03-01T12; give more"):
        runs.get("2026-03")
    with pytest.raises(UserError, match="no run '2026-04-01T13'; the nearest are 2026-0.-01T1"):
        runs.get("2026-04-01T13")
    with pytest.raises(UserError, match="no run ''"):
        runs.get("")


def test_a_store_without_runs(store):
    runs = RunStore(store.connection)
    assert runs.list() == []
    with pytest.raises(UserError, match="holds none yet"):
        runs.get("2026")


def test_a_store_that_is_not_there_is_not_made(tmp_path):
    connection = mlmd_proto.ConnectionConfig()
    connection.sqlite.filename_uri = str(tmp_path / "metadata.sqlite")
    with pytest.raises(UserError, match="there is no ML Metadata store; run `ctrl run` first"):
        RunStore(connection)
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_store(tmp_path):
    file = tmp_path / "metadata.sqlite"
    file.write_text("this is no database, however long it may be " * 100)
    connection = mlmd_proto.ConnectionConfig()
    connection.sqlite.filename_uri = str(file)
    with pytest.raises(UserError, match=f"{file}: cannot be read as an ML Metadata store. ML Metadata says: .*not a d"):
        RunStore(connection)


def test_components_with_what_they_read_and_wrote(store):
    examples = store.artifact("Examples", "/data/1", span=4)
    for run_id, state in (("1", STATES.COMPLETE), ("2", STATES.CACHED)):
        store.complete(run_id)
        made = store.execution(
            "sample", run_id, "ExampleGen", outputs={"examples": examples}, state=state, max_rejected_share=0.01)
        if run_id == "1":
            first = made
    store.execution("sample", "2", "StatisticsGen", inputs={"examples": examples})
    generated, statistics = RunStore(store.connection).components("2")
    assert (generated.node, generated.cached, generated.made_by, generated.made_in) == ("ExampleGen", True, first, "1")
    assert generated.parameters == {"max_rejected_share": 0.01}
    (output,) = generated.outputs
    assert (output.name, output.type, output.uri, output.properties) == (
        "examples", "Examples", "/data/1", {"span": 4})
    assert statistics.inputs == (output,) and not statistics.cached and statistics.made_by is None


def test_a_run_of_an_earlier_version_is_listed_with_what_is_known(store):
    model = store.artifact("Model", "/data/model", backbone="autoint", language_model="minilm", text_mode="frozen")
    store.execution("sample", "done", "Trainer", outputs={"model": model})
    store.execution("sample", "done", "Pusher", inputs={"model": model}, type_name="tfx.Pusher")
    store.execution("sample", "failed", "Trainer", state=STATES.FAILED)
    store.execution("sample", "killed", "Trainer", state=STATES.RUNNING)
    killed, failed, done = RunStore(store.connection).list()
    assert [r.state for r in (done, failed, killed)] == [RunState.COMPLETE, RunState.FAILED, RunState.INTERRUPTED]
    assert (done.dataset, done.backbone, done.language_model, done.auc) == ("sample", "autoint", "minilm", None)

"""A real pipeline of three small components, run by the runner of `ctrl run`."""

import pathlib

import pytest
from tfx import v1 as tfx
from tfx.dsl.component.experimental.annotations import InputArtifact, OutputArtifact, Parameter
from tfx.dsl.component.experimental.decorators import component
from tfx.orchestration import metadata
from tfx.types import standard_artifacts

from pipeline.local_runner import LocalRunner
from pipeline.resolvers import PreviousBlessedModelStrategy
from pipeline.runs.garbage import Garbage
from pipeline.runs.run_record import RunRecord
from pipeline.runs.run_store import RunStore


@component
def Maker(setting: Parameter[int], made: OutputArtifact[standard_artifacts.Model]):
    pathlib.Path(made.uri, "made").write_text(f"{setting}", encoding="utf-8")


@component
def Judge(
    model: InputArtifact[standard_artifacts.Model],
    blessed: Parameter[int],
    blessing: OutputArtifact[standard_artifacts.ModelBlessing],
):
    blessing.set_int_custom_property("blessed", blessed)
    blessing.set_int_custom_property("current_model_id", model.id)


@pytest.fixture
def run(tmp_path):
    """Runs the pipeline; returns what each component did, and the model that the resolver found."""
    connection = metadata.sqlite_metadata_connection_config(str(tmp_path / "metadata.sqlite"))

    def start(run_id: str, setting: int, blessed: int = 0) -> tuple[dict[str, bool], list[int]]:
        maker = Maker(setting=setting)
        judge = Judge(model=maker.outputs["made"], blessed=blessed)
        baseline = tfx.dsl.Resolver(
            strategy_class=PreviousBlessedModelStrategy, model=tfx.dsl.Channel(type=standard_artifacts.Model),
            model_blessing=tfx.dsl.Channel(type=standard_artifacts.ModelBlessing), candidate=maker.outputs["made"],
        ).with_id("Baseline")
        runner = LocalRunner(run_id=run_id)
        with RunRecord(connection, runner, dataset="small", command="run") as record:
            runner.run(tfx.dsl.Pipeline(
                pipeline_name="small", pipeline_root=str(tmp_path / "artifacts"), components=[maker, judge, baseline],
                enable_cache=True, metadata_connection_config=connection))
            record.complete()
        resolved = {c.node: c for c in RunStore(connection).components(run_id)}["Baseline"]
        return {c.node: c.cached for c in runner.components}, [o.id for o in resolved.outputs if o.name == "model"]

    start.connection = connection
    return start


def test_what_was_removed_is_made_again_and_not_used_again(run, tmp_path):
    assert run("1", setting=1)[0] == {"Maker": False, "Judge": False}
    assert run("2", setting=1)[0] == {"Maker": True, "Judge": True}
    cached = RunStore(run.connection).components("2")[0]
    assert cached.state == "cached" and cached.made_in == "1"
    run("3", setting=2)
    store = RunStore(run.connection)
    garbage = Garbage.find(store, keep=1)
    (folder,) = garbage.removable
    assert (folder.node, folder.run) == ("Maker", "1")
    assert folder.bytes == 1
    list(garbage.remove(store))
    again, _ = run("4", setting=1)
    assert again == {"Maker": False, "Judge": False}
    assert run("5", setting=1)[0] == {"Maker": True, "Judge": True}
    # What the newest run had made is still there to be used.
    assert run("6", setting=2)[0] == {"Maker": True, "Judge": True}
    assert sorted(f.read_text() for f in (tmp_path / "artifacts" / "Maker" / "made").glob("*/made")) == ["1", "2"]


def test_a_removed_model_is_no_baseline(run):
    run("1", setting=1, blessed=1)
    assert len(run("2", setting=2, blessed=1)[1]) == 1
    store = RunStore(run.connection)
    garbage = Garbage.find(store, keep=1, blessed=1)
    assert [folder.run for folder, error in garbage.remove(store)] == ["1"]
    done, found = run("3", setting=2, blessed=1)
    assert done == {"Maker": True, "Judge": True} and found == []

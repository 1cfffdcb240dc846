import pathlib

import pytest
from ml_metadata import proto as mlmd_proto

from components import artifacts
from pipeline.runs.garbage import RECORDS, Garbage
from pipeline.runs.run_store import RunStore
from tests.unit.generated_store import STATES, GeneratedStore


class Books(GeneratedStore):
    """Runs of a small pipeline: examples, a model, its blessing, its push; with files on disk."""

    def __init__(self, folder: pathlib.Path):
        super().__init__(folder / "metadata.sqlite")
        self.folder = folder

    def make(self, run_id: str, node: str, outputs: dict[str, str], inputs: dict[str, int] | None = None,
             state=STATES.COMPLETE, **properties) -> dict[str, int]:
        """An execution whose outputs are folders of 10 bytes each; returns their ids by name."""
        number = self.execution("books", run_id, node, inputs=inputs, state=state)
        ids = {}
        for name, type_name in outputs.items():
            folder = self.folder / "artifacts" / node / name / str(number)
            folder.mkdir(parents=True)
            (folder / "file").write_bytes(b"0123456789")
            if state == STATES.COMPLETE:
                ids[name] = self.artifact(type_name, folder, **properties)
                self.output(number, name, ids[name])
        return ids

    def run(self, run_id: str, blessed: bool, examples: int | None = None, pushed: str | None = None) -> dict[str, int]:
        """A run; with `examples`, it uses those of an earlier one again."""
        self.complete(run_id, "books", command="run")
        if examples is None:
            made = self.make(run_id, "ExampleGen", {"examples": "Examples"})
        else:
            made = {"examples": examples}
            self.execution("books", run_id, "ExampleGen", outputs=made, state=STATES.CACHED)
        made |= self.make(run_id, "Trainer", {"model": "Model", "model_run": "ModelRun"}, made)
        given = {"model": made["model"], "examples": made["examples"]}
        made |= self.make(run_id, "Evaluator", {"blessing": "ModelBlessing"}, given, blessed=int(blessed))
        if pushed:
            destination = self.folder / "serving" / "ctr" / pushed
            destination.mkdir(parents=True)
            given = {"model": made["model"], "model_blessing": made["blessing"]}
            made |= self.make(run_id, "Pusher", {"pushed_model": "PushedModel"}, given, pushed=1, pushed_version=pushed,
                              pushed_destination=str(destination))
        return made

    def garbage(self, keep: int, blessed: int | None = None) -> set[str]:
        """What is found, as `<node>/<name>`."""
        found = Garbage.find(RunStore(self.connection), keep, blessed)
        return {"/".join(folder.folder.parts[-3:-1]) for folder in found.removable}

    def on_disk(self) -> set[str]:
        return {"/".join(f.parts[-3:]) for f in (self.folder / "artifacts").glob("*/*/*")}


@pytest.fixture
def books(tmp_path):
    return Books(tmp_path)


def test_what_the_newest_runs_read_or_wrote_is_kept(books):
    books.run("1", blessed=False)
    assert books.garbage(keep=1) == set()
    books.run("2", blessed=False)
    assert books.garbage(keep=2) == set()
    assert books.garbage(keep=1) == {"ExampleGen/examples", "Trainer/model", "Trainer/model_run"}


def test_what_a_kept_run_used_again_is_kept(books):
    first = books.run("1", blessed=False)
    books.run("2", blessed=False, examples=first["examples"])
    assert books.garbage(keep=1) == {"Trainer/model", "Trainer/model_run"}


def test_a_blessed_model_is_kept_with_what_it_was_made_of_and_with(books):
    books.run("1", blessed=True)
    books.run("2", blessed=True)
    books.run("3", blessed=False)
    books.run("4", blessed=False)
    found = Garbage.find(RunStore(books.connection), keep=1)
    assert {f.run for f in found.removable} == {"3"}
    found = Garbage.find(RunStore(books.connection), keep=1, blessed=1)
    assert {f.run for f in found.removable} == {"1", "3"}


def test_what_is_served_is_kept_though_it_is_none_of_the_newest_blessed(books):
    books.run("1", blessed=True, pushed="100")
    books.run("2", blessed=True)
    books.run("3", blessed=True)
    found = Garbage.find(RunStore(books.connection), keep=1, blessed=1)
    assert {f.run for f in found.removable} == {"2"}
    (books.folder / "serving" / "ctr" / "100").rmdir()
    found = Garbage.find(RunStore(books.connection), keep=1, blessed=1)
    assert {f.run for f in found.removable} == {"1", "2"}


def test_records_are_kept(books):
    books.run("1", blessed=False)
    books.run("2", blessed=False)
    assert "Evaluator/blessing" not in books.garbage(keep=1)


def test_nothing_is_garbage_while_a_run_goes_on(books):
    books.run("1", blessed=False)
    books.run("2", blessed=False)
    books.record("3", dataset="books", command="run").__enter__()
    found = Garbage.find(RunStore(books.connection), keep=1)
    assert found.removable == () and found.going_on == ("3",)


def test_a_run_that_goes_on_spares_its_own_dataset_only(books):
    books.run("1", blessed=False)
    books.run("2", blessed=False)
    books.record("3", dataset="films", command="run").__enter__()
    assert books.garbage(keep=1) == {"ExampleGen/examples", "Trainer/model", "Trainer/model_run"}


def test_what_a_killed_component_wrote_is_garbage(books):
    books.run("1", blessed=False)
    with pytest.raises(KeyboardInterrupt), books.record("2", dataset="books", command="run"):
        books.make("2", "Trainer", {"model": "Model"}, state=STATES.RUNNING)
        assert books.garbage(keep=2) == set()
        raise KeyboardInterrupt
    (folder,) = Garbage.find(RunStore(books.connection), keep=2).removable
    assert (folder.node, folder.run, folder.bytes, folder.artifact) == ("Trainer", "2", 10, None)


def test_what_lies_elsewhere_is_left_alone(books, tmp_path):
    books.run("1", blessed=False)
    mine = tmp_path / "mine"
    mine.mkdir()
    imported, remote = books.artifact("Examples", mine), books.artifact("Examples", "gs://bucket/ExampleGen/examples/9")
    books.execution("books", "1", "ExampleGen", outputs={"examples": imported})
    books.execution("books", "1", "ExampleGen", outputs={"examples": remote})
    books.run("2", blessed=False)
    found = Garbage.find(RunStore(books.connection), keep=1)
    assert found.elsewhere == (str(mine), "gs://bucket/ExampleGen/examples/9")
    list(found.remove(RunStore(books.connection)))
    assert mine.is_dir()


def test_what_is_removed_is_gone_from_disk_and_deleted_in_the_metadata(books):
    first = books.run("1", blessed=False)
    second = books.run("2", blessed=True)
    before = books.on_disk()
    found = Garbage.find(RunStore(books.connection), keep=1)
    done = list(found.remove(RunStore(books.connection)))
    assert sum(folder.bytes for folder, _ in done) == 30 and not any(error for _, error in done)
    assert before - books.on_disk() == {"/".join(f.folder.parts[-3:]) for f in found.removable}
    states = {a.id: a.state for a in books.mlmd.get_artifacts()}
    deleted = {number for number, state in states.items() if state == mlmd_proto.Artifact.DELETED}
    assert deleted == {first["examples"], first["model"], first["model_run"]}
    assert all((f / "file").read_bytes() == b"0123456789" for f in (books.folder / "artifacts").glob("*/*/*"))
    assert second["model"] not in deleted
    # What was written of it stays.
    (model,) = books.mlmd.get_artifacts_by_id([first["model"]])
    assert model.uri and model.type == "Model"
    assert Garbage.find(RunStore(books.connection), keep=1).removable == ()


def test_what_was_marked_and_not_removed_is_found_again(books):
    first = books.run("1", blessed=False)
    books.run("2", blessed=False)
    (model,) = books.mlmd.get_artifacts_by_id([first["model"]])
    model.state = mlmd_proto.Artifact.DELETED
    books.mlmd.put_artifacts([model])
    assert "Trainer/model" in books.garbage(keep=1)


def test_a_model_that_a_run_started_from_is_kept_but_not_what_that_was_made_of(books):
    """Else a model that each day's run goes on from would keep all days."""
    for day in "123":
        books.complete(day, "books", command="run")
        earlier = [a.id for a in books.mlmd.get_artifacts() if a.type == "Model"][-1:]
        given = dict.fromkeys(["base_model"], earlier[0]) if earlier else {}
        if earlier:
            resolver = "tfx.dsl.components.common.resolver.Resolver"
            books.execution("books", day, "Latest", outputs=given, type_name=resolver)
        examples = books.make(day, "ExampleGen", {"examples": "Examples"})
        model = books.make(day, "Trainer", {"model": "Model"}, {**examples, **given})
        books.make(day, "Evaluator", {"blessing": "ModelBlessing"}, model, blessed=1)
    found = Garbage.find(RunStore(books.connection), keep=1, blessed=1)
    assert {(f.run, f.node) for f in found.removable} == {("1", "ExampleGen"), ("1", "Trainer"), ("2", "ExampleGen")}


def test_our_own_records_are_known_by_the_names_of_their_types():
    assert {artifacts.DeploymentFiles.TYPE_NAME, artifacts.IngestionReport.TYPE_NAME} <= RECORDS

import json
import os

import pytest

from components.example_gen.files import fingerprint
from models.spec.errors import UserError
from pipeline.runs.data_file import DataFile
from pipeline.runs.lineage import Lineage
from pipeline.runs.lineage_target import find_artifact
from pipeline.runs.lineage_tree import state_of, tree
from pipeline.runs.run_store import RunStore
from pipeline.runs.terminal import show
from tests.unit.generated_store import STATES, GeneratedStore


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("clicked\n1\n")
    return path


@pytest.fixture
def store(tmp_path, log):
    """Two runs: the second uses the examples of the first again, and pushes version 200."""
    (tmp_path / "serving" / "ctr" / "200").mkdir(parents=True)
    store = GeneratedStore(tmp_path / "metadata.sqlite")
    files = [{"path": str(log), "fingerprint": fingerprint([str(log)]), "bytes": 10}]
    read = {"files": str(log), "fingerprint": "cd34"}
    store.complete("1", files=files, config={"seed": 1})
    examples = store.artifact("Examples", tmp_path / "artifacts" / "ExampleGen" / "examples" / "1")
    store.execution("sample", "1", "ExampleGen", outputs={"examples": examples}, **read)
    baseline = store.artifact("Model", "/models/old")
    store.execution("sample", "1", "Trainer", inputs={"examples": examples}, outputs={"model": baseline})
    store.complete("2", files=files, config={"seed": 2, "training": {"epochs": 6}})
    store.execution("sample", "2", "ExampleGen", outputs={"examples": examples}, state=STATES.CACHED, **read)
    schema = store.artifact("Schema", "/schema")
    store.execution("sample", "2", "SchemaGen", inputs={"examples": examples}, outputs={"schema": schema})
    later = store.artifact("Schema", "/later")
    store.execution("sample", "2", "Textualiser", inputs={"schema": schema}, outputs={"schema": later})
    vectors = store.artifact("Examples", "/vectors")
    store.execution("sample", "2", "TextEncoder", inputs={"schema": later}, outputs={"text_vectors": vectors},
                    language_model="minilm", language_model_fingerprint="ef56")
    model = store.artifact("Model", "/models/new")
    store.execution("sample", "2", "Trainer", inputs={"examples": examples, "text_vectors": vectors},
                    outputs={"model": model}, custom_config="null")
    blessing = store.artifact("ModelBlessing", "/blessing", blessed=1)
    store.execution("sample", "2", "Evaluator", inputs={"model": model, "baseline_model": baseline},
                    outputs={"blessing": blessing})
    pushed = store.artifact("PushedModel", "/pushed", pushed=1, pushed_version="200",
                            pushed_destination=str(tmp_path / "serving" / "ctr" / "200"))
    store.execution("sample", "2", "Pusher", inputs={"model": model, "model_blessing": blessing},
                    outputs={"pushed_model": pushed})
    store.execution("sample", "2", "ServingConfig", inputs={"pushed_model": pushed}, deployment_dir="/deploy")
    store.ids = {"examples": examples, "baseline": baseline, "schema": schema, "model": model, "pushed": pushed}
    return store


def trace(store, text):
    return Lineage.trace(*find_artifact([RunStore(store.connection)], text))


def test_back_from_a_pushed_version_to_the_log(store, log):
    lineage = trace(store, "200")
    assert lineage.target.id == store.ids["pushed"]
    assert [(f.path, f.bytes, state_of(f)) for f in lineage.files] == [(str(log), 10, "unchanged")]
    assert lineage.fingerprints == ("cd34",)
    assert lineage.schema.id == store.ids["schema"]
    assert lineage.config == {"seed": 2, "training": {"epochs": 6}}
    assert (lineage.language_model, lineage.language_model_fingerprint) == ("minilm", "ef56")
    # The examples were made in the run before.
    assert lineage.steps[store.ids["examples"]].run == "1"
    assert [run.id for run in lineage.runs] == ["1", "2"] and all(run.code_version for run in lineage.runs)


def test_a_baseline_is_named_and_not_followed(store):
    lineage = trace(store, "200")
    assert store.ids["baseline"] in lineage.artifacts and store.ids["baseline"] not in lineage.steps


def test_forward_to_where_it_was_pushed(store, tmp_path):
    for artifact in ("examples", "model", "pushed"):
        lineage = trace(store, str(store.ids[artifact]))
        assert [a.id for a in lineage.pushed] == [store.ids["pushed"]] and lineage.deployments == ("/deploy",)
    # It was compared with, and nothing was made of it.
    assert trace(store, str(store.ids["baseline"])).pushed == ()


def test_what_names_an_artifact(store, tmp_path, log, monkeypatch):
    def found(text):
        return find_artifact([RunStore(store.connection)], str(text))[1]

    version = tmp_path / "serving" / "ctr" / "200"
    examples = tmp_path / "artifacts" / "ExampleGen" / "examples" / "1"
    assert found(200) == found(version) == found(f"{version}/") == store.ids["pushed"]
    assert found("/models/new/Format-Serving") == found(store.ids["model"]) == store.ids["model"]
    assert found(examples) == found(log) == store.ids["examples"]
    monkeypatch.chdir(version.parent)
    assert found("200/") == store.ids["pushed"]
    for text in ("201", "/models", "it's"):
        with pytest.raises(UserError, match=f"the newest pushed versions are {version}"):
            found(text)


def test_an_id_that_several_datasets_know(store, tmp_path):
    runs = RunStore(store.connection)
    with pytest.raises(UserError, match="known for several datasets; choose one with --dataset"):
        find_artifact([runs, runs], "200")


def test_a_store_in_which_nothing_was_pushed(tmp_path):
    empty = GeneratedStore(tmp_path / "metadata.sqlite")
    with pytest.raises(UserError, match="nothing has been pushed yet"):
        find_artifact([RunStore(empty.connection)], "200")


def test_a_file_that_is_no_longer_what_was_read(log):
    file = DataFile(str(log), fingerprint([str(log)]), 10)
    assert state_of(file) == "unchanged"
    os.utime(log, (1, 1))
    assert state_of(file) == "changed since"
    log.unlink()
    assert state_of(file) == "no longer there"
    assert state_of(DataFile("gs://bucket/log.csv", "ab")) == state_of(DataFile(str(log))) == "not checked"


def test_the_tree_and_the_json_say_the_same(store, tmp_path, capsys):
    lineage = trace(store, "200")
    show(tree(lineage))
    printed = capsys.readouterr().out
    for words in ("version 200", str(tmp_path / "serving" / "ctr" / "200"), "unchanged", "minilm, fingerprint ef56",
                  "training: epochs 6", "text_vectors: Examples", "(see above)"):
        assert words in printed
    values = json.loads(json.dumps(lineage.to_dict()))
    assert values["target"]["properties"]["pushed_version"] == "200"
    assert values["files"][0]["bytes"] == 10 and [run["id"] for run in values["runs"]] == ["1", "2"]

"""The built-in sample, all the way from the log to an answer over gRPC."""

import collections
import csv
import json
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import yaml
from tensorflow_serving.apis import prediction_log_pb2

from models import raw_example
from serving.export import assert_pure_id
from serving.warmup_requests import WARMUP_FILE
from tests.integration import report_checks
from tests.integration.conftest import components, peak_memory

NOISE = ("Warning", "WARNING", "W0000", "E0000", "Traceback", "cuda", "oneDNN", "absl")


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("root")


@pytest.fixture(scope="module")
def run(ctrl, root):
    return ctrl("run", "--dataset", "sample", "--root", root, "--smoke")


@pytest.fixture(scope="module")
def version(run, root) -> pathlib.Path:
    (found,) = (root / "sample-smoke" / "serving" / "ctr").iterdir()
    return found


@pytest.fixture(scope="module")
def summary(run, root) -> dict:
    (path,) = (root / "sample-smoke" / "runs").glob("*.json")
    return json.loads(path.read_text())


def test_it_says_what_happened(run, summary, version):
    for words in ("20,000 read, 0 dropped by the label rule, 0 rejected", "train 15,", "13: user_id, gender",
                  "plain autoint", "student", "difference", "verdict     PUSHED", str(version), "ctrl serve --root"):
        assert words in run.stdout, run.stdout
    assert sum(summary["ingestion"]["rows"].values()) == 20_000
    assert summary["student"]["overall"]["example_count"] == summary["ingestion"]["rows"]["test"]
    assert 0.5 < summary["student"]["overall"]["auc"] < 1
    assert {"gender = female", "device = phone"} <= set(summary["student"]["slices"])


def test_the_metadata_say_which_language_model_it_was(run, root):
    from ml_metadata import metadata_store
    from tfx.orchestration import metadata

    store = metadata_store.MetadataStore(
        metadata.sqlite_metadata_connection_config(str(root / "sample-smoke" / "metadata.sqlite")))
    models = [a.custom_properties for a in store.get_artifacts_by_type("Model")]
    students = [m for m in models if "language_model" in m]
    # Alignment, plain, and the student before and after new entries got their rows; the plain one reads no text.
    assert len(models) == 4 and len(students) == 3
    assert all(m["language_model"].string_value == "minilm" for m in students)
    assert all(m["language_model_pretrained"].int_value == 1 for m in students)


@pytest.fixture(scope="module")
def report(run, root) -> pathlib.Path:
    (path,) = (root / "sample-smoke" / "runs").glob("*/report.html")
    assert f"report      {path}" in run.stdout
    return path


def test_the_report_says_what_the_artifacts_say(report, root):
    report_checks.check_figures(report, root / "sample-smoke" / "artifacts")


def test_the_report_opens_in_a_browser(report, tmp_path):
    report_checks.check_in_browser(report, tmp_path)


def test_the_notebook_opens_the_artifacts(run, root, summary, monkeypatch):
    monkeypatch.setenv("CTRL_ROOT", str(root))
    names = report_checks.run_notebook()
    assert names["result"].get_metrics_for_slice()["auc"]["doubleValue"] == summary["student"]["overall"]["auc"]
    assert len(names["rows"]) == summary["ingestion"]["rows"]["test"]


def test_it_takes_less_than_4_gigabytes(run):
    assert peak_memory() < 4e9


def test_it_is_quiet(run):
    assert run.stderr == ""
    assert not [line for line in run.stdout.splitlines() if any(word in line for word in NOISE)]


def test_it_downloads_nothing(run, root):
    (log,) = (root / "sample-smoke" / "logs").glob("*.log")
    said = log.read_text(encoding="utf-8")
    assert "apache_beam" in said
    assert "ownload" not in said and "urlopen" not in said


def test_the_auc_is_that_of_the_pushed_model_on_the_test_split(root, summary, version):
    rows = _test_rows(root)
    scores = _probabilities(version, rows)
    labels = np.array([raw_example.decode(r)["label"][0] for r in rows])
    positive, negative = scores[labels == 1], scores[labels == 0]
    auc = (positive[:, None] > negative[None]).mean() + (positive[:, None] == negative[None]).mean() / 2
    assert summary["student"]["overall"]["auc"] == pytest.approx(auc, abs=1e-3)


def test_the_student_s_graph_is_the_plain_backbone_s(run, root):
    def operations(trainer):
        (path,) = (root / "sample-smoke" / "artifacts" / trainer / "model").glob("*/Format-Serving")
        graph = tf.saved_model.load(str(path)).signatures["serving_default"].graph.as_graph_def()
        return collections.Counter(
            node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes)

    student = operations("DistillationTrainer")
    assert student["MatMul"] > 0 and student == operations("PlainTrainer")


def test_the_exported_graph_is_pure_id_and_small(version):
    assert_pure_id(str(version))
    # The language model alone has 22.7 million parameters, 90 MB.
    assert sum(f.stat().st_size for f in version.rglob("*") if f.is_file()) < 10e6


def test_it_can_be_served_by_stock_tensorflow_serving(root, version):
    folder = root / "sample-smoke" / "deployment" / "ctr"
    assert {path.name for path in folder.iterdir()} == {
        "models.config", "batching_parameters.txt", "monitoring.config", "docker-compose.yaml", "kubernetes.yaml"}
    compose = yaml.safe_load((folder / "docker-compose.yaml").read_text())
    assert (folder / compose["services"]["serving"]["volumes"][0]["source"]).resolve() == version.parent.resolve()


def test_the_exported_graph_scores_like_the_keras_model(root, run):
    """Unseen categories and missing values included."""
    import tensorflow_transform as tft

    from models.ctr_model import CTRModel
    from models.preprocessing import fields
    from models.served_transform import ServedTransform
    from pipeline import datasets
    from pipeline.config import RunConfig

    spec, config = datasets.load("sample"), RunConfig.load("sample")
    (graph,) = (root / "sample-smoke" / "artifacts" / "Transform" / "transform_graph").iterdir()
    (weights,) = (root / "sample-smoke" / "artifacts").glob("DistillationTrainer/model_run/*/student.weights.h5")
    # What was pushed has rows for values that the Keras model does not know.
    (exported,) = (root / "sample-smoke" / "artifacts").glob("DistillationTrainer/model/*/Format-Serving")
    output = tft.TFTransformOutput(str(graph))
    model = CTRModel(fields(spec, output), backbone=config.backbone, embedding_dim=config.embedding_dim)
    known = _test_rows(root)[:200]
    model.load_weights(weights)
    transform = ServedTransform(spec, output)
    transformed = tf.function(lambda rows: transform(tf.io.parse_example(rows, raw_example.feature_spec(spec))))

    def keras_scores(rows):
        return tf.sigmoid(model(transformed(tf.constant(rows)))).numpy()

    odd = [raw_example.encode(values) for values in (
        {}, {"user_id": ["nobody"], "brand": ["none such"], "hour": ["99"]},
        {"user_id": [], "price": [], "tags": [], "recent_titles": []},
        {"price": [-1e9], "tags": ["?"], "recent_titles": ["?"] * 10})]
    rows = known + odd
    np.testing.assert_allclose(_probabilities(exported, rows), keras_scores(rows), atol=1e-5)


def test_a_second_run_with_nothing_changed_reuses_everything(ctrl, run, root, version):
    again = ctrl("run", "--dataset", "sample", "--root", root, "--smoke")
    states = components(again.stdout)
    assert len(states) == 16 and set(states.values()) == {"reused"}
    assert "verdict     PUSHED" in again.stdout
    assert [version] == list(version.parent.iterdir())


def test_changing_the_gate_repeats_the_evaluation_only(ctrl, run, root, version):
    again = ctrl(
        "run", "--dataset", "sample", "--root", root, "--smoke", "--set", "evaluation.min_auc=0.999", check=False)
    assert again.returncode == 3
    repeated = {name for name, state in components(again.stdout).items() if state != "reused"}
    assert repeated == {"Evaluator", "Pusher", "ServingConfig"}
    assert "verdict     NOT PUSHED" in again.stdout
    assert "it must be at least 0.999 (evaluation.min_auc)" in again.stdout.split("NOT PUSHED")[1]
    assert [version] == list(version.parent.iterdir())


def test_the_pushed_model_answers_over_grpc(ctrl, run, root, version, tmp_path):
    rows = tmp_path / "rows.csv"
    with open(root / "sample-smoke" / "data" / "sample.csv", encoding="utf-8") as f:
        lines = f.readlines()[:6]
    rows.write_text("".join(lines), encoding="utf-8")
    with ctrl.serving(root, tmp_path / "port") as (server, target):
        answer = ctrl("predict", "--target", target, "--dataset", "sample", "--input", rows, "--format", "json")
    with server.stdout as stream:
        said = stream.read()
    assert server.returncode == 0 and answer.stderr == ""
    # Standard error is in it too.
    assert said.splitlines()[0].startswith("serving ctr version") and not any(word in said for word in NOISE)
    served = [row["probability"] for row in json.loads(answer.stdout)]
    table = list(csv.DictReader(lines))
    from pipeline import datasets
    from serving.rows import to_example

    expected = _probabilities(version, [to_example(datasets.load("sample"), row) for row in table])
    np.testing.assert_allclose(served, expected, atol=1e-5)


CATALOGUE = """\
item_id,title,category,brand,price,tags
new-1,Blue Kettle,kitchen,Gladwyn,31.5,eco|new
i078,Trehean Planter,garden,Kestrelle,65.56,eco
new-2,Red Robot,toys,Lumora,cheap,
"""
NEW = {"item_id": ["new-1"], "title": ["Blue Kettle"], "category": ["kitchen"], "brand": ["Gladwyn"], "price": [31.5],
       "tags": ["eco", "new"]}
NOBODY_KNOWS = {**NEW, "item_id": ["nothing"], "title": ["No such thing"]}


@pytest.fixture(scope="module")
def versions(run, version):
    """What `ctrl serve` follows the versions with."""
    from serving.model_config import ModelConfig
    from serving.model_versions import ModelVersions

    found = ModelVersions(ModelConfig("ctr", str(version.parent)))
    found.poll(settle=False)
    assert found.loaded == [int(version.name)]
    return found


@pytest.fixture(scope="module")
def refreshed(ctrl, run, root, versions, tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogue") / "items.csv"
    path.write_text(CATALOGUE, encoding="utf-8")
    return ctrl("refresh", "--root", root, "--catalog", path)


@pytest.fixture(scope="module")
def second_version(refreshed, version) -> pathlib.Path:
    return max(version.parent.iterdir(), key=lambda folder: int(folder.name))


def test_a_refresh_says_what_it_did(refreshed, version, second_version):
    assert "1 new, 1 already known, 1 rejected" in refreshed.stdout
    assert "items.csv, line 4: column 'price' is 'cheap', not a number" in refreshed.stdout
    assert "1 of item_id" in refreshed.stdout and "verdict     PUSHED" in refreshed.stdout
    assert list(components(refreshed.stdout)) == ["ColdStart", "Evaluator", "Pusher"]
    assert str(second_version) in refreshed.stdout and int(second_version.name) > int(version.name)
    assert refreshed.stderr == "" and not any(word in refreshed.stdout for word in NOISE)


def test_a_refreshed_model_knows_the_new_item_and_scores_the_others_as_before(root, version, second_version):
    rows = _test_rows(root)
    users = [raw_example.decode(row) for row in rows[:20]]
    new, unknown = ([raw_example.encode({**user, **item}) for user in users] for item in (NEW, NOBODY_KNOWS))
    before, after = (
        np.split(_probabilities(folder, [*rows, *unknown, *new]), [len(rows), len(rows) + 20])
        for folder in (version, second_version))
    np.testing.assert_allclose(after[0], before[0], atol=1e-6)
    np.testing.assert_allclose(after[1], before[1], atol=1e-6)
    # Before, the new item is one of those that nobody knows.
    np.testing.assert_allclose(before[2], before[1], atol=1e-6)
    assert np.median(np.abs(after[2] - before[2])) > 1e-4
    assert_pure_id(str(second_version))


def test_a_running_server_loads_the_refreshed_version(versions, second_version):
    versions.poll(settle=False)
    assert versions.loaded == [int(second_version.name)] and not versions.failures


def test_every_pushed_version_is_warmed_up_with_rows_of_the_log(version, second_version):
    for folder in (version, second_version):
        model = tf.saved_model.load(str(folder))
        records = list(tf.data.TFRecordDataset(str(folder / WARMUP_FILE)).as_numpy_iterator())
        logs = [prediction_log_pb2.PredictionLog.FromString(record) for record in records]
        requests = [log.predict_log.request for log in logs if log.HasField("predict_log")]
        assert (len(logs), len(requests)) == (14, 10)
        for request in requests:
            assert request.model_spec.name == "ctr"
            inputs = {name: tf.constant(tf.make_ndarray(value)) for name, value in request.inputs.items()}
            answer = model.signatures[request.model_spec.signature_name](**inputs)
            assert np.isfinite(answer["probability"]).all()


def test_the_gate_compared_the_refreshed_model_with_the_served_one(root, refreshed):
    from ml_metadata import metadata_store
    from tfx.orchestration import metadata

    store = metadata_store.MetadataStore(
        metadata.sqlite_metadata_connection_config(str(root / "sample-smoke" / "metadata.sqlite")))
    # Pusher records a refused model too, as not pushed.
    pushed = [a for a in store.get_artifacts_by_type("PushedModel") if a.custom_properties["pushed"].int_value]
    first, second = sorted(pushed, key=lambda a: a.id)
    blessing = max(store.get_artifacts_by_type("ModelBlessing"), key=lambda a: a.id).custom_properties
    pushed = [_input(store, _maker(store, a.id), "model") for a in (first, second)]
    assert [blessing["baseline_model_id"].int_value, blessing["current_model_id"].int_value] == pushed
    assert blessing["blessed"].int_value == 1
    # Both were made from the same student.
    assert len({_input(store, _maker(store, model), "base_model") for model in pushed}) == 1


@pytest.mark.long
def test_a_second_refresh_adds_to_the_first_and_a_third_has_nothing_to_do(
        ctrl, root, second_version, tmp_path):
    catalogue = tmp_path / "items.csv"
    catalogue.write_text(CATALOGUE.replace("cheap", "10"), encoding="utf-8")
    again = ctrl("refresh", "--root", root, "--catalog", catalogue)
    assert "1 new, 2 already known, 0 rejected" in again.stdout
    third = max(second_version.parent.iterdir(), key=lambda folder: int(folder.name))
    assert third != second_version
    rows = [*_test_rows(root), raw_example.encode(NEW)]
    np.testing.assert_allclose(_probabilities(third, rows), _probabilities(second_version, rows), atol=1e-6)
    last = ctrl("refresh", "--root", root, "--catalog", catalogue)
    assert "0 new, 3 already known, 0 rejected" in last.stdout and "nothing to add" in last.stdout
    # A run in which nothing changed is reused as before.
    run = ctrl("run", "--dataset", "sample", "--root", root, "--smoke")
    assert set(components(run.stdout).values()) == {"reused"}


def test_ctrl_runs_tells_what_the_summary_tells(ctrl, root, summary, refreshed):
    runs = json.loads(ctrl("runs", "--root", root, "--json").stdout)
    assert runs[0]["command"] == "refresh" and all(r["state"] == "complete" for r in runs)
    found = {r["id"]: r for r in runs}[summary["run_id"]]
    assert (found["dataset"], found["command"], found["verdict"]) == ("sample-smoke", "run", "PUSHED")
    assert (found["student"], found["plain"]) == (summary["student"], summary["plain"])
    assert found["seconds"] == pytest.approx(summary["seconds"], abs=10)
    shown = json.loads(ctrl("runs", "show", summary["run_id"], "--root", root, "--json").stdout)
    ended = [c for c in shown["components"] if not c["type"].endswith(".Resolver")]
    assert [(c["node"], c["id"]) for c in ended] == [(c["node"], c["execution_id"]) for c in summary["components"]]
    for component, noted in zip(ended, summary["components"]):
        assert component["seconds"] == pytest.approx(noted["seconds"], abs=5)
    assert set(shown["graph"]) == {c["node"] for c in shown["components"]}
    compared = json.loads(ctrl("runs", "compare", summary["run_id"], runs[0]["id"], "--root", root, "--json").stdout)
    first, second = compared["figures"]["student"][""]["auc"]
    assert first == summary["student"]["overall"]["auc"] and second == pytest.approx(first, abs=1e-4)
    assert "cold_start.catalogue" in compared["settings"]


def test_a_refreshed_version_is_traced_to_the_log_and_on_to_where_it_was_pushed(ctrl, root, second_version, summary):
    lineage = json.loads(ctrl("lineage", second_version, "--root", root, "--json").stdout)
    (file,) = lineage["files"]
    assert file["path"] == str(root / "sample-smoke" / "data" / "sample.csv") and file["state"] == "unchanged"
    assert file["bytes"] == pathlib.Path(file["path"]).stat().st_size
    assert (lineage["language_model"], lineage["schema"]["type"]) == ("minilm", "Schema")
    assert [r["id"] for r in lineage["runs"]][0] == summary["run_id"] and len(lineage["runs"]) == 2
    assert [a["properties"]["pushed_destination"] for a in lineage["pushed"]] == [str(second_version)]


def test_collecting_garbage_spares_what_is_served(ctrl, root, version, second_version):
    before = {f for f in root.rglob("*") if f.is_file()}
    done = json.loads(ctrl(
        "runs", "gc", "--keep", 1, "--blessed", 1, "--yes", "--root", root, "--json").stdout)
    gone = before - set(root.rglob("*"))
    assert gone and not done["failed"]
    assert {pathlib.Path(f).parents[1].name for f in done["removed"]} >= {"PlainTrainer"}
    assert all(any(f.is_relative_to(folder) for folder in done["removed"]) for f in gone)
    assert not any(f.is_relative_to(version.parent) for f in gone)
    lineage = json.loads(ctrl("lineage", second_version, "--root", root, "--json").stdout)
    for artifact in lineage["artifacts"].values():
        assert pathlib.Path(artifact["uri"]).is_dir() != artifact["deleted"], artifact
    # All that the served version was made from is needed by a refresh.
    stage = next(s for s in lineage["steps"].values() if s["node"] == "ColdStart")
    assert not any(lineage["artifacts"][str(number)]["deleted"] for _, number in stage["inputs"])


def _maker(store, artifact: int) -> int:
    """The execution that wrote an artifact: the first that had it as its output."""
    return min(e.execution_id for e in store.get_events_by_artifact_ids([artifact]) if e.type == e.OUTPUT)


def _input(store, execution: int, key: str) -> int:
    (found,) = (
        e.artifact_id for e in store.get_events_by_execution_ids([execution])
        if e.type == e.INPUT and e.path.steps[0].key == key)
    return found


def _test_rows(root) -> list[bytes]:
    files = map(str, (root / "sample-smoke" / "artifacts").glob("ExampleGen/examples/*/Split-test/*.gz"))
    return list(tf.data.TFRecordDataset(sorted(files), "GZIP").as_numpy_iterator())


def _probabilities(version, rows) -> np.ndarray:
    model = tf.saved_model.load(str(version))
    return model.signatures["serving_default"](examples=tf.constant(rows))["probability"].numpy()

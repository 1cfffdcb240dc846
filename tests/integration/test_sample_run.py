"""The built-in sample, all the way from the log to an answer over gRPC."""

import csv
import json
import pathlib
import signal
import time

import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from serving.export import assert_pure_id
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
    assert len(models) == 3 and len(students) == 2
    assert all(m["language_model"].string_value == "minilm" for m in students)
    assert all(m["language_model_pretrained"].int_value == 1 for m in students)


def test_it_takes_less_than_4_gigabytes(run):
    assert peak_memory() < 4e9


def test_it_is_quiet(run):
    assert run.stderr == ""
    assert not [line for line in run.stdout.splitlines() if any(word in line for word in NOISE)]


def test_the_auc_is_that_of_the_pushed_model_on_the_test_split(root, summary, version):
    rows = _test_rows(root)
    scores = _probabilities(version, rows)
    labels = np.array([raw_example.decode(r)["label"][0] for r in rows])
    positive, negative = scores[labels == 1], scores[labels == 0]
    auc = (positive[:, None] > negative[None]).mean() + (positive[:, None] == negative[None]).mean() / 2
    assert summary["student"]["overall"]["auc"] == pytest.approx(auc, abs=1e-3)


def test_the_exported_graph_is_pure_id_and_small(version):
    assert_pure_id(str(version))
    # The language model alone has 22.7 million parameters, 90 MB.
    assert sum(f.stat().st_size for f in version.rglob("*") if f.is_file()) < 10e6


def test_the_exported_graph_scores_like_the_keras_model(root, version):
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
    np.testing.assert_allclose(_probabilities(version, rows), keras_scores(rows), atol=1e-5)


def test_a_second_run_with_nothing_changed_reuses_everything(ctrl, run, root, version):
    again = ctrl("run", "--dataset", "sample", "--root", root, "--smoke")
    states = components(again.stdout)
    assert len(states) == 13 and set(states.values()) == {"reused"}
    assert "verdict     PUSHED" in again.stdout
    assert [version] == list(version.parent.iterdir())


def test_changing_the_gate_repeats_the_evaluation_only(ctrl, run, root, version):
    again = ctrl(
        "run", "--dataset", "sample", "--root", root, "--smoke", "--set", "evaluation.min_auc=0.999", check=False)
    assert again.returncode == 3
    repeated = {name for name, state in components(again.stdout).items() if state != "reused"}
    assert repeated == {"Evaluator", "Pusher"}
    assert "verdict     NOT PUSHED" in again.stdout
    assert "it must be at least 0.999 (evaluation.min_auc)" in again.stdout.split("NOT PUSHED")[1]
    assert [version] == list(version.parent.iterdir())


def test_the_pushed_model_answers_over_grpc(ctrl, run, root, version, tmp_path):
    rows = tmp_path / "rows.csv"
    with open(root / "sample-smoke" / "data" / "sample.csv", encoding="utf-8") as f:
        lines = f.readlines()[:6]
    rows.write_text("".join(lines), encoding="utf-8")
    port_file = tmp_path / "port"
    server = ctrl.start("serve", "--root", root, "--port", 0, "--port-file", port_file)
    try:
        for _ in range(240):
            if port_file.exists() and port_file.read_text().strip():
                break
            assert server.poll() is None, server.stdout.read()
            time.sleep(0.25)
        target = f"127.0.0.1:{port_file.read_text().strip()}"
        answer = ctrl("predict", "--target", target, "--dataset", "sample", "--input", rows, "--format", "json")
    finally:
        server.send_signal(signal.SIGTERM)
        server.wait(20)
        said = server.stdout.read()
        server.stdout.close()
    assert server.returncode == 0 and answer.stderr == ""
    # Standard error is in it too.
    assert said.splitlines()[0].startswith("serving ctr version") and not any(word in said for word in NOISE)
    served = [row["probability"] for row in json.loads(answer.stdout)]
    table = list(csv.DictReader(lines))
    from pipeline import datasets
    from serving.rows import to_example

    expected = _probabilities(version, [to_example(datasets.load("sample"), row) for row in table])
    np.testing.assert_allclose(served, expected, atol=1e-5)


def _test_rows(root) -> list[bytes]:
    files = map(str, (root / "sample-smoke" / "artifacts").glob("ExampleGen/examples/*/Split-test/*.gz"))
    return list(tf.data.TFRecordDataset(sorted(files), "GZIP").as_numpy_iterator())


def _probabilities(version, rows) -> np.ndarray:
    model = tf.saved_model.load(str(version))
    return model.signatures["serving_default"](examples=tf.constant(rows))["probability"].numpy()

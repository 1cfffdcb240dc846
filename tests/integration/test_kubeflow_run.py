"""The compiled pipeline, run step by step as Kubeflow Pipelines would, to a pushed model that answers."""

import csv
import json
import pathlib
import time

import pytest
import tensorflow as tf
import tensorflow_model_analysis as tfma

from pipeline.evaluation import AUC, CALIBRATION, COUNT, LOGLOSS
from tests.kubeflow_driver import KubeflowDriver

pytestmark = [pytest.mark.long, pytest.mark.timeout(5400)]

SETTINGS = ["--dataset", "sample", "--smoke", "--set", "language_model=tiny-random", "--set", "adaptation.epochs=1",
            "--set", "training.epochs=4"]
STEPS = {
    "ExampleGen", "StatisticsGen", "SchemaGen", "DataValidator", "Textualiser", "LanguageAdapter", "TextEncoder",
    "Transform", "AlignmentTrainer", "PlainTrainer", "DistillationTrainer", "ColdStart", "PlainEvaluator",
    "ServedModel", "Evaluator", "Pusher", "ServingConfig", "Scorer"}


@pytest.fixture(scope="module")
def root(tmp_path_factory) -> pathlib.Path:
    return tmp_path_factory.mktemp("kubeflow")


@pytest.fixture(scope="module")
def driver(ctrl, root) -> KubeflowDriver:
    file = root / "pipeline.yaml"
    ctrl("compile", *SETTINGS, "--image", "registry.example/ctrl:1", "--pipeline-root", "minio://bucket/ctrl",
         "--shared", root / "shared", "-o", file)
    return KubeflowDriver(
        file, root / "logs", root / "storage", lambda name: print(time.strftime("%X"), name, flush=True))


@pytest.fixture(scope="module")
def outputs(driver):
    return driver.run("run-1")


@pytest.fixture(scope="module")
def local(ctrl, root) -> dict:
    """The summary of a run on this machine with the same settings and seed."""
    ctrl("run", *SETTINGS, "--root", root / "local")
    (path,) = (root / "local" / "sample-smoke" / "runs").glob("*.json")
    return json.loads(path.read_text())


def figures(driver, outputs, step: str) -> dict[str, float]:
    result = tfma.load_eval_result(str(driver.stored(outputs[step]["evaluation"].uri)))
    overall = next(metrics for key, metrics in result.slicing_metrics if not key)[""][""]
    return {name: overall[name]["doubleValue"] for name in (AUC, LOGLOSS, CALIBRATION, COUNT)}


def test_every_step_was_run(driver, outputs):
    assert set(driver.order()) == set(outputs) == STEPS


def test_every_artifact_lies_below_the_pipeline_root(driver, outputs):
    empty = set()
    for name, step in outputs.items():
        for key, artifact in step.items():
            assert artifact.uri == f"minio://bucket/ctrl/sample-smoke/artifacts/run-1/{name}/{key}"
            assert "/minio/" not in str(artifact.metadata)
            if not driver.stored(artifact.uri).exists():
                empty.add((name, key))
    # Nothing is served before the first push, and the plain backbone is evaluated without a gate.
    assert empty == {("ServedModel", "model"), ("PlainEvaluator", "blessing")}


def records(folder: pathlib.Path) -> list[bytes]:
    """The serialized examples of a split; the order in which Beam writes them is another at every run."""
    files = sorted(map(str, folder.glob("*.gz")))
    return sorted(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())


@pytest.mark.parametrize(("step", "key", "split"), [
    ("ExampleGen", "examples", "test"), ("ExampleGen", "examples", "train"),
    # Of the language model that was adapted, so that its training is compared too.
    ("TextEncoder", "text_vectors", "item")])
def test_rows_and_vectors_are_those_of_a_run_on_one_machine(driver, outputs, local, root, step, key, split):
    (here,) = (root / "local" / "sample-smoke" / "artifacts" / step / key).glob(f"*/Split-{split}")
    found = records(driver.stored(outputs[step][key].uri) / f"Split-{split}")
    assert found and found == records(here)


def test_the_figures_are_those_of_a_run_on_one_machine(driver, outputs, local):
    report = json.loads((driver.stored(outputs["ExampleGen"]["report"].uri) / "summary.json").read_text())
    assert {name: local["ingestion"][name] for name in report} == report
    for step, model in (("PlainEvaluator", "plain"), ("Evaluator", "student")):
        # Two trainings with one seed read the rows in another order, which shows less after some epochs.
        assert figures(driver, outputs, step) == pytest.approx(local[model]["overall"], abs=0.03)


def test_the_model_is_blessed_and_pushed(root, outputs):
    assert outputs["Evaluator"]["blessing"].metadata["blessed"] == 1
    pushed = outputs["Pusher"]["pushed_model"].metadata
    assert pushed["pushed"] == 1
    (version,) = (root / "shared" / "sample-smoke" / "serving" / "ctr").iterdir()
    assert pushed["pushed_destination"] == str(version)
    assert (root / "shared" / "sample-smoke" / "deployment" / "ctr" / "models.config").exists()


def test_the_next_run_is_compared_with_what_is_served(root, driver, outputs):
    again = driver.run("run-2", cached=outputs)
    assert {name for name in again if again[name] is not outputs[name]} == {
        "ServedModel", "Evaluator", "Pusher", "ServingConfig", "Scorer"}
    assert again["ServedModel"]["model"].metadata["served_from"] == outputs["Pusher"]["pushed_model"].metadata[
        "pushed_destination"]
    results = tfma.load_eval_results(str(driver.stored(again["Evaluator"]["evaluation"].uri))).get_results()
    assert {model.name for result in results for model in result.config.model_specs} == {"candidate", "baseline"}
    assert len(list((root / "shared" / "sample-smoke" / "serving" / "ctr").iterdir())) == 2


def test_the_pushed_model_answers(ctrl, root, outputs):
    log = next((root / "shared" / "sample-smoke" / "data").glob("**/sample.csv"))
    rows = root / "rows.csv"
    rows.write_text("".join(log.read_text().splitlines(keepends=True)[:6]))
    with ctrl.serving(root / "shared", root / "port") as (server, target):
        answer = ctrl("predict", "--target", target, "--dataset", "sample", "--input", rows, "--format", "json")
    server.stdout.close()
    probabilities = [row["probability"] for row in json.loads(answer.stdout)]
    assert len(probabilities) == len(list(csv.DictReader(rows.open()))) == 5
    assert all(0 < p < 1 for p in probabilities)

"""Five days of operation on the sample log: three good ones, one whose labels are shuffled, and the next."""

import json
import os
import pathlib
import types

import pytest
from ml_metadata import metadata_store
from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata

from models.raw_example import decode
from models.rolling_vocabulary import RollingVocabulary
from pipeline.console import set_environment
from tests.integration.conftest import REPOSITORY
from tests.integration.daily_log import NAME, Days, days, write_day
from tests.integration.report_checks import Tables

pytestmark = [pytest.mark.long, pytest.mark.timeout(3600)]

BAD = 3
SPAN_OF_FIRST = 19877  # 2024-06-03, the newest day of the first run


@pytest.fixture(scope="module")
def operation(tmp_path_factory):
    """Everything that five days left: `runs`, by number, and the metadata store."""
    set_environment()
    logs, root = tmp_path_factory.mktemp("logs"), tmp_path_factory.mktemp("root")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("TF_", "KERAS_", "CUDA_", "GRPC_"))}
    daily = Days(logs, root, {**environment, "PYTHONPATH": str(REPOSITORY)})
    names, rows, runs = sorted(days()), days(), []
    for day in names[:2]:
        write_day(logs, day, rows[day])
    try:
        for number, day in enumerate(names[2:7]):
            write_day(logs, day, rows[day], shuffled=number == BAD)
            excluded = [] if number <= BAD else ["--set", f"rolling.exclude={json.dumps([names[2 + BAD]])}"]
            status, summary, said = daily.run(*excluded)
            versions = sorted((root / NAME / "serving" / "ctr").glob("*"))
            runs.append(types.SimpleNamespace(status=status, summary=summary, said=said, versions=versions))
        status, summary, said = daily.run(*excluded)
        again = types.SimpleNamespace(status=status, summary=summary, said=said, versions=versions)
    finally:
        daily.close()
    store = metadata_store.MetadataStore(
        metadata.sqlite_metadata_connection_config(str(root / NAME / "metadata.sqlite")))
    return types.SimpleNamespace(runs=runs, names=names, store=store, logs=logs, root=root, again=again)


def executions(operation, number) -> dict:
    """The run's executions in ML Metadata, by node."""
    nodes = {c["execution_id"]: c["node"] for c in operation.runs[number].summary["components"]}
    return {nodes[e.id]: e for e in operation.store.get_executions_by_id(list(nodes))}


def worked(operation, number) -> set[str]:
    """The nodes that did anything; all others are CACHED."""
    states = {node: e.last_known_state for node, e in executions(operation, number).items()}
    assert set(states.values()) <= {metadata_store_pb2.Execution.COMPLETE, metadata_store_pb2.Execution.CACHED}
    return {node for node, state in states.items() if state == metadata_store_pb2.Execution.COMPLETE}


def artifact(operation, number, node, key, output=True):
    """The artifact that a node read, or wrote, under a key; None where it read none."""
    execution = executions(operation, number)[node]
    kinds = (metadata_store_pb2.Event.OUTPUT,) if output else (metadata_store_pb2.Event.INPUT,)
    ids = [e.artifact_id for e in operation.store.get_events_by_execution_ids([execution.id])
           if e.type in kinds and e.path.steps[0].key == key]
    return operation.store.get_artifacts_by_id(ids)[0] if ids else None


def span(found) -> int | None:
    return found and found.custom_properties["span"].int_value - SPAN_OF_FIRST


def texts(operation, number) -> set[bytes]:
    import tensorflow as tf

    folder = pathlib.Path(artifact(operation, number, "RollingWindow", "texts").uri)
    files = [str(f) for f in folder.glob("Split-*/*.gz")]
    return {decode(r)["text"][0] for r in tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator()}


def test_three_good_days_are_pushed_and_the_bad_one_is_not(operation):
    assert [run.status for run in operation.runs] == [0, 0, 0, 3, 0], operation.runs[-1].said
    assert [len(run.versions) for run in operation.runs] == [1, 2, 3, 3, 4]
    assert "it must be at least 0.55 (evaluation.min_auc)" in operation.runs[BAD].said


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_day_processes_what_is_new_only(operation, number):
    newest, before = operation.names[number + 2], operation.names[number + 1]
    of_days = {node for node in worked(operation, number) if "-20" in node}
    assert of_days == {f"ExampleGen-{newest}", f"StatisticsGen-{newest}"} | {
        f"{node}-{before}" for node in ("SchemaGen", "Textualiser", "ValueCounts", "UserHistories")}
    # The other days' are there, and cached.
    assert len([node for node in executions(operation, number) if "-20" in node]) > 2 * len(of_days)


def test_the_first_day_encodes_all_texts_and_the_next_only_new_ones(operation):
    for number, run in enumerate(operation.runs):
        before = set().union(*(texts(operation, n) for n in range(number - 1, number) if n >= 0))
        now = texts(operation, number)
        assert run.summary["texts"] == {"encoded": len(now - before), "reused": len(now & before)}
    assert operation.runs[1].summary["texts"]["encoded"] < 0.5 * operation.runs[0].summary["texts"]["encoded"]


def test_the_gate_compares_with_what_is_served_on_the_newest_day(operation):
    found = [(span(artifact(operation, n, "Evaluator", "baseline_model", output=False)),
              span(artifact(operation, n, "Evaluator", "examples", output=False))) for n in range(5)]
    # The day after the bad one it is the model of the last good one.
    assert found == [(None, 0), (0, 1), (1, 2), (2, 3), (2, 4)]
    rows = operation.runs[1].summary["ingestion"]["rows"]
    assert operation.runs[1].summary["student"]["overall"]["example_count"] == rows["test"]
    assert rows["test"] == sum(1 for _ in open(operation.logs / f"{operation.names[3]}.csv", encoding="utf-8")) - 1


@pytest.mark.parametrize("trainer", ["PlainTrainer", "AlignmentTrainer", "DistillationTrainer", "VocabularyGen"])
def test_training_goes_on_from_the_last_blessed_model(operation, trainer):
    key = "base_model" if trainer == "VocabularyGen" else "earlier_model"
    found = [span(artifact(operation, n, trainer, key, output=False)) for n in range(5)]
    assert found == [None, 0, 1, 2, 2]
    assert not any("not taken over" in run.said for run in operation.runs)


def test_an_id_keeps_its_row(operation):
    for feature in ("user_id", "item_id", "title", "tags"):
        values = [RollingVocabulary.load(artifact(operation, n, "VocabularyGen", "vocabularies").uri, feature).values
                  for n in range(5)]
        for before, after in [(0, 1), (1, 2), (2, 3), (2, 4)]:
            assert values[after][:len(values[before])] == values[before]
        assert len(set(values[4])) == len(values[4])
    assert len(values[2]) > 0


def test_a_warm_start_is_no_worse_after_one_day(operation):
    auc = [run.summary["student"]["overall"]["auc"] for run in operation.runs]
    assert min(auc[0], auc[1], auc[2], auc[4]) > 0.55 > auc[BAD]


def test_the_day_after_can_leave_the_bad_one_out(operation):
    nodes = set(executions(operation, 4))
    assert f"ExampleGen-{operation.names[6]}" in nodes and f"ExampleGen-{operation.names[2 + BAD]}" not in nodes
    assert f"WARNING: no log of {operation.names[2 + BAD]}" in operation.runs[4].said


def test_the_same_day_again_reuses_everything(operation):
    assert operation.again.status == 0
    assert all(c["cached"] for c in operation.again.summary["components"])
    assert len(operation.again.versions) == 4


def test_its_page_counts_all_days_and_knows_how_certain_its_figures_are(operation):
    run = operation.runs[0].summary
    (page,) = (operation.root / NAME / "runs").glob(f"{run['run_id'].replace(':', '')}/report.html")
    tables = Tables(page.read_text(encoding="utf-8"))
    for split, rows in run["ingestion"]["rows"].items():
        assert tables.row("splits", split)[1]["text"] == f"{rows:,}"
    student = [cell["text"] for cell in tables.row("models", "student")]
    assert " to " in student[1], "the interval"
    features = {row[0]["text"] for row in tables.found["features"][1:]}
    assert {"user_id", "title", "price"} <= features

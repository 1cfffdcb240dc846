"""A user's own log: from a new specification alone, through kills, and trained end to end."""

import json
import pathlib

import pytest

from serving.export import assert_pure_id
from tests.integration import hotel_log
from tests.integration.conftest import components
from tests.unit.toy_language_models import write_keras_hub

# Small and untrained: what is tested is the way, not the figures.
QUICK = ("--smoke", "--set", "language_model=tiny-random", "--set", "training.batch_size=128",
         "--set", "alignment.batch_size=128", "--set", "embedding_dim=8",
         "--set", "backbone_options={hidden_units: [16], num_layers: 1}")


def _pushed(root: pathlib.Path) -> pathlib.Path:
    (version,) = root.glob("*/serving/ctr/*")
    return version


def _summary(root: pathlib.Path) -> dict:
    return json.loads(max(root.glob("*/runs/*.json")).read_text())


def _runs(ctrl, root: pathlib.Path) -> list[dict]:
    return json.loads(ctrl("runs", "--root", root, "--json").stdout)


def test_csv_from_an_inferred_specification(ctrl, tmp_path):
    hotel_log.write_csv(tmp_path / "log.csv", malformed=5)
    ctrl("init", tmp_path / "log.csv", "-o", tmp_path / "hotels.yaml")
    preview = ctrl("preview", "--dataset", tmp_path / "hotels.yaml", "--root", tmp_path / "root")
    assert "1,500 rows" in preview.stdout and "This is" in preview.stdout
    # The language model learns the log's texts before it encodes them.
    run = ctrl("run", "--dataset", tmp_path / "hotels.yaml", "--root", tmp_path / "root", *QUICK,
               "--set", "adaptation.epochs=1")
    assert "verdict     PUSHED" in run.stdout
    assert components(run.stdout)["LanguageAdapter"].startswith("done")
    assert "frozen, adapted for 1 epoch (UNTRAINED" in run.stdout
    assert "WARNING: the language model tiny-random is untrained" in run.stdout
    assert "UNTRAINED" in run.stdout.split("Run ")[1]
    summary = _summary(tmp_path / "root")
    assert summary["ingestion"]["rejected"] == 5 and summary["ingestion"]["read"] == 1500
    reasons = [json.loads(line) for line in open(summary["ingestion"]["dead_letters"], encoding="utf-8")]
    assert sorted(r["line"] for r in reasons) == [2, 3, 4, 5, 6]
    assert all("'nightly_price' is 'cheap', not a number" in r["reason"] for r in reasons)
    assert_pure_id(str(_pushed(tmp_path / "root")))


def test_a_changed_specification_starts_afresh_in_the_same_root(ctrl, tmp_path):
    hotel_log.write_csv(tmp_path / "log.csv")
    spec = hotel_log.write_spec(tmp_path, "log.csv")
    command = ("run", "--dataset", spec, "--root", tmp_path / "root", *QUICK, "--set", "plain_backbone=false",
               "--set", "distillation.weight=0")
    whole = spec.read_text()
    # At first without one feature, and with another of a different kind.
    lines = [line for line in whole.splitlines() if "amenities" not in line]
    spec.write_text("\n".join(lines).replace("item, kind: numeric", "item, kind: categorical"))
    assert "verdict     PUSHED" in ctrl(*command).stdout
    first = _pushed(tmp_path / "root")
    spec.write_text(whole)
    # Neither the drift against the run before nor a baseline that reads other types stands in the way.
    assert "verdict     PUSHED" in ctrl(*command).stdout
    assert len(list(first.parent.iterdir())) == 2


def _kill_and_resume(ctrl, folder, killed_in):
    hotel_log.write_parquet(folder / "log.parquet")
    spec = hotel_log.write_spec(folder, "log.parquet")
    command = ("run", "--dataset", spec, "--root", folder / "root", *QUICK)
    finished = set()
    for component in killed_in:
        # At once: ingestion of so few rows is done in a second.
        states = components(ctrl.kill_in(component, *command, after=0.2))
        assert {n for n, s in states.items() if s == "reused"} == finished, states
        finished |= {n for n, s in states.items() if s.startswith("done")}
    run = ctrl(*command)
    states = components(run.stdout)
    assert {n for n, s in states.items() if s == "reused"} == finished, states
    assert "verdict     PUSHED" in run.stdout
    assert _summary(folder / "root")["ingestion"]["read"] == 1500
    assert [r["state"] for r in _runs(ctrl, folder / "root")] == ["complete"] + ["interrupted"] * len(killed_in)
    return _pushed(folder / "root")


def test_parquet_killed_and_resumed(ctrl, tmp_path):
    _kill_and_resume(ctrl, tmp_path, ["ExampleGen", "Transform", "AlignmentTrainer", "Evaluator"])


@pytest.mark.long
def test_killed_in_every_component(ctrl, tmp_path):
    _kill_and_resume(ctrl, tmp_path, [
        "ExampleGen", "StatisticsGen", "Textualiser", "TextEncoder", "Transform", "AlignmentTrainer",
        "PlainTrainer", "DistillationTrainer", "PlainEvaluator", "ColdStart", "Evaluator"])


def test_finetuned_language_model_leaves_no_trace_in_the_exported_graph(ctrl, tmp_path):
    hotel_log.write_csv(tmp_path / "log.csv")
    spec = hotel_log.write_spec(tmp_path, "log.csv")
    run = ctrl("run", "--dataset", spec, "--root", tmp_path / "root", *QUICK, "--set", "text_mode=finetune",
               "--set", f"language_model={write_keras_hub(tmp_path / 'roberta', 'roberta')}",
               "--set", "max_tokens=32", "--set", "plain_backbone=false")
    assert "verdict     PUSHED" in run.stdout and "TextEncoder" not in run.stdout
    version = _pushed(tmp_path / "root")
    assert_pure_id(str(version))


def test_too_many_malformed_rows_stop_the_run_with_a_readable_list(ctrl, tmp_path):
    hotel_log.write_csv(tmp_path / "log.csv", malformed=50)
    spec = hotel_log.write_spec(tmp_path, "log.csv")
    failed = ctrl("run", "--dataset", spec, "--root", tmp_path / "root", *QUICK, check=False)
    assert failed.returncode == 2
    assert "50 of 1,500 rows are malformed" in failed.stderr
    assert "log.csv:2: column 'nightly_price' is 'cheap', not a number" in failed.stderr
    assert "Traceback" not in failed.stdout + failed.stderr
    kept = tmp_path / "root" / "hotels-smoke" / "rejected" / "rejected.jsonl"
    assert len(kept.read_text().splitlines()) == 50
    (run,) = _runs(ctrl, tmp_path / "root")
    assert (run["state"], run["failed_component"], run["verdict"]) == ("failed", "ExampleGen", None)
    assert "50 of 1,500 rows are malformed" in run["error"]
    # The page says where and why, too.
    (report,) = (tmp_path / "root" / "hotels-smoke" / "runs").glob("*/report.html")
    page = report.read_text(encoding="utf-8")
    assert str(report) in failed.stdout and "The run failed in ExampleGen." in page
    assert "50 of 1,500 rows are malformed" in page
    assert 'data-node="ExampleGen" data-state="failed"' in page and 'data-node="Pusher" data-state="open"' in page


@pytest.mark.parametrize(("arguments", "message"), [
    (["--dataset", "sampel"], "Did you mean 'sample'"),
    (["--dataset", "sample", "--set", "backbone=autoin"], "autoin"),
    (["--dataset", "sample", "--set", "language_model=no-such-model"], "no-such-model"),
    (["--dataset", "movielens-1m", "--data-dir", "/nowhere"], "ratings.dat"),
])
def test_wrong_arguments_are_refused_before_anything_runs(ctrl, tmp_path, arguments, message):
    failed = ctrl("run", *arguments, "--root", tmp_path / "root", check=False)
    assert failed.returncode == 2
    assert message in failed.stderr and "Traceback" not in failed.stderr
    assert "[ 1/" not in failed.stdout


def test_help_is_instant_and_imports_nothing_heavy(ctrl):
    import time

    times = []
    for _ in range(3):
        start = time.monotonic()
        ctrl("--help")
        times.append(time.monotonic() - start)
    assert min(times) < 1

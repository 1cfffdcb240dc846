import json
import os
import types

import pytest
from tfx.orchestration import metadata

from components.example_gen.daily_logs import DailyLog, Window
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from pipeline.config import RunConfig
from pipeline.daily_window import daily_window
from pipeline.pipeline import create_pipeline
from pipeline.runs.run_facts import facts_at_start

SPEC = """
name: toy
source: {format: csv, path: "day-{SPAN}.csv"}
label: {column: clicked}
split: {by: day}
features:
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical}
"""
LIKED = """
- {name: liked, side: user, kind: history, of: film, derive: {user: who, time: when}}
"""


@pytest.fixture
def nodes(tmp_path):
    """The nodes of a day's pipeline by id; days are numbers."""
    def made(newest, settings=(), text=SPEC, earlier=()):
        def log(day):
            path = tmp_path / f"day-{day}.csv"
            if not path.exists():
                path.touch()
            return DailyLog(day, str(day), (str(path),))

        window = Window(
            training=tuple(log(day) for day in range(newest - 3, newest)), newest=log(newest),
            earlier=tuple(map(log, earlier)), missing=())
        pipeline = create_pipeline(
            "toy", str(tmp_path / "artifacts"), DatasetSpec.parse(text, "toy.yaml"),
            RunConfig.load("toy", None, list(settings)), [], "", str(tmp_path / "serving"),
            str(tmp_path / "checkpoints"), window=window,
            metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "m.sqlite")))
        return {c.id: c for c in pipeline.components}
    return made


EVERY_DAY = {"ExampleGen", "StatisticsGen", "SchemaGen", "Textualiser", "ValueCounts"}
ONCE = {"DataValidator", "RollingWindow", "EarlierDayModel", "VocabularyGen", "DailyTransform", "EarlierTextVectors",
        "TextEncoder", "PlainTrainer", "PlainEvaluator", "AlignmentTrainer", "DistillationTrainer", "ColdStart",
        "LastBlessedModel", "Evaluator", "Pusher", "Scorer"}


def test_every_day_has_nodes_of_its_own_and_the_newest_is_read_and_described_only(nodes):
    assert set(nodes(8)) == ONCE | {f"{name}-{day}" for name in EVERY_DAY for day in (5, 6, 7)} | {
        "ExampleGen-8", "StatisticsGen-8"}


def test_a_run_says_which_days_it_reads(nodes):
    found = nodes(8, text=SPEC + LIKED, earlier=(4,))
    facts = facts_at_start("run", "toy", types.SimpleNamespace(components=list(found.values())), {})
    assert sorted(os.path.basename(file["path"]) for file in facts["files"]) == [
        f"day-{day}.csv" for day in (4, 5, 6, 7, 8)]
    fewer = nodes(8, text=SPEC + LIKED)
    assert facts["fingerprint"] != facts_at_start(
        "run", "toy", types.SimpleNamespace(components=list(fewer.values())), {})["fingerprint"]


def inputs(node):
    return {key: (c.producer_component_id, c.output_key) for key, c in node.inputs.items()}


def test_the_next_day_finds_the_results_of_the_days_that_both_have(nodes):
    one, two = nodes(8), nodes(9)
    common = {name for name in one if name.partition("-")[2] in ("6", "7")} | {"ExampleGen-8", "StatisticsGen-8"}
    assert common <= set(two) and len(common) == 12
    for name in common:
        assert one[name].exec_properties == two[name].exec_properties, name
        assert inputs(one[name]) == inputs(two[name]), name


def test_models_are_trained_on_the_window_and_evaluated_on_the_newest_day(nodes):
    found = nodes(8)
    assert inputs(found["RollingWindow"])["examples_00"] == ("Textualiser-5", "textualised_examples")
    assert len(inputs(found["RollingWindow"])) == 6
    assert inputs(found["Scorer"])["train_examples"] == ("RollingWindow", "examples")
    for evaluator in ("Evaluator", "PlainEvaluator", "Scorer"):
        assert inputs(found[evaluator])["examples"] == ("ExampleGen-8", "examples")
        assert json.loads(found[evaluator].exec_properties["example_splits"]) == ["train", "validation"]
    validated = inputs(found["DataValidator"])
    assert (validated["statistics"][0], validated["previous_statistics"][0], validated["schema"][0]) == (
        "StatisticsGen-8", "StatisticsGen-7", "SchemaGen-7")
    assert json.loads(found["ColdStart"].exec_properties["eval_args"])["splits"] == ["validation"]


def test_training_starts_from_the_earlier_day_and_the_last_model_has_what_the_next_needs(nodes):
    found = nodes(8)
    earlier = ("EarlierDayModel", "model")
    for name in ("PlainTrainer", "AlignmentTrainer", "DistillationTrainer"):
        assert inputs(found[name])["earlier_model"] == earlier
        assert json.loads(found[name].exec_properties["custom_config"])["span"] == 8
    assert inputs(found["VocabularyGen"])["base_model"] == earlier
    last = inputs(found["ColdStart"])
    assert (last["plain_model"][0], last["vocabularies"][0]) == ("PlainTrainer", "VocabularyGen")
    # Without cold start the student is the last.
    last = inputs(nodes(8, ["cold_start.enabled=false"])["DistillationTrainer"])
    assert (last["plain_model"][0], last["vocabularies"][0]) == ("PlainTrainer", "VocabularyGen")
    cold = nodes(8, ["rolling.warm_start=false", "plain_backbone=false"])
    assert "earlier_model" not in inputs(cold["AlignmentTrainer"])
    # An ID keeps its row all the same.
    assert inputs(cold["VocabularyGen"])["base_model"] == earlier
    assert "plain_model" not in inputs(cold["ColdStart"])


def test_histories_reach_over_days_whose_other_nodes_are_gone(nodes):
    found = nodes(8, ["rolling.history_days=2"], SPEC + LIKED.strip("\n"), earlier=(3, 4))
    past = {name: [p for p, key in inputs(found[name]).values() if key == "histories"]
            for name in found if name.startswith("ExampleGen")}
    assert past == {f"ExampleGen-{day}": [f"UserHistories-{day - 2}", f"UserHistories-{day - 1}"]
                    for day in (5, 6, 7, 8)}
    assert "ExampleGen-3" not in found and "UserHistories-8" not in found
    assert not any(name.startswith("UserHistories") for name in nodes(8))


def test_one_imported_schema_is_for_all_days(nodes):
    found = nodes(8, ["data.schema_path=schema.pbtxt"])
    assert not any(name.startswith("SchemaGen") for name in found)
    assert inputs(found["Textualiser-5"])["schema"] == inputs(found["DataValidator"])["schema"]


def test_a_language_model_that_changes_every_day_is_refused(nodes):
    with pytest.raises(UserError, match="adaptation.epochs: .* no text could be taken over"):
        nodes(8, ["adaptation.epochs=1"])


def test_fine_tuning_has_no_vectors(nodes):
    found = nodes(8, ["text_mode=finetune"])
    assert not {"TextEncoder", "EarlierTextVectors", "ColdStart"} & set(found)


def test_days_are_asked_for_where_there_are_days_only(tmp_path):
    one = DatasetSpec.parse(SPEC.replace("day-{SPAN}", "log").replace("by: day", "by: hash"), "toy.yaml")
    config = RunConfig.load("toy", None, ["rolling.days=2", "rolling.exclude=[2]"])
    assert daily_window(one, config, None, None) is None
    with pytest.raises(UserError, match="--span 3: dataset toy is one log"):
        daily_window(one, config, None, "3")
    for day in range(1, 6):
        (tmp_path / f"day-{day}.csv").write_text("who,film,clicked\na,b,1\n")
    found = daily_window(DatasetSpec.parse(SPEC, "toy.yaml"), config, str(tmp_path), "4")
    assert ([log.name for log in found.training], found.newest.name, found.missing) == (["3"], "4", ())
    # A history needs what users did before the window.
    liked = DatasetSpec.parse(SPEC + LIKED.strip("\n"), "toy.yaml")
    assert [log.name for log in daily_window(liked, config, str(tmp_path), None).earlier] == ["1"]


def test_daily_logs_without_a_window_are_refused(tmp_path):
    with pytest.raises(UserError, match="one log a day, which `ctrl run` reads"):
        create_pipeline("toy", str(tmp_path), DatasetSpec.parse(SPEC, "toy.yaml"), RunConfig.load("toy"), ["day-1.csv"],
                        "0", str(tmp_path), str(tmp_path))

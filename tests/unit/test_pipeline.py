import json

import pytest
from tfx.dsl.components.common.resolver import Resolver
from tfx.orchestration import metadata
from tfx.orchestration.data_types import RuntimeParameter

from models.spec.dataset_spec import DatasetSpec
from pipeline.config import SERVING_IMAGE, RunConfig
from pipeline.pipeline import create_pipeline

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
features:
- {name: who, side: user, kind: categorical}
- {name: film, side: item, kind: categorical}
slices: [who]
""", where="toy.yaml")


def nodes(tmp_path, settings=(), **options) -> dict:
    config = RunConfig.load("toy", None, list(settings))
    pipeline = create_pipeline(
        "toy", str(tmp_path / "artifacts"), SPEC, config, ["toy.csv"], "0", str(tmp_path / "serving"),
        str(tmp_path / "checkpoints"),
        metadata_connection_config=metadata.sqlite_metadata_connection_config(str(tmp_path / "m.sqlite")),
        **options)
    return {c.id: c for c in pipeline.components}


COMMON = {"ExampleGen", "StatisticsGen", "SchemaGen", "PreviousStatistics", "DataValidator", "Textualiser",
          "Transform", "AlignmentTrainer", "DistillationTrainer", "LastBlessedModel", "Evaluator", "Pusher", "Scorer"}


@pytest.mark.parametrize(("settings", "more"), [
    ([], {"TextEncoder", "PlainTrainer", "PlainEvaluator", "ColdStart"}),
    (["text_mode=finetune"], {"PlainTrainer", "PlainEvaluator"}),
    (["plain_backbone=false"], {"TextEncoder", "ColdStart"}),
    (["cold_start.enabled=false"], {"TextEncoder", "PlainTrainer", "PlainEvaluator"}),
    (["adaptation.epochs=1"], {"LanguageAdapter", "TextEncoder", "PlainTrainer", "PlainEvaluator", "ColdStart"}),
    (["adaptation.epochs=1", "text_mode=finetune"], {"LanguageAdapter", "PlainTrainer", "PlainEvaluator"}),
])
def test_the_configuration_decides_on_the_components(tmp_path, settings, more):
    assert set(nodes(tmp_path, settings)) == COMMON | more


def test_a_benchmark_needs_what_stands_before_the_first_trainer(tmp_path):
    from benchmarks.prepared_data import upstream

    assert upstream(nodes(tmp_path)["AlignmentTrainer"]) == {
        "ExampleGen", "StatisticsGen", "SchemaGen", "PreviousStatistics", "DataValidator", "Textualiser",
        "TextEncoder", "Transform"}


def test_where_nothing_can_look_for_earlier_runs_the_served_model_is_the_baseline(tmp_path):
    found = nodes(tmp_path, accepted_dir=str(tmp_path / "accepted"))
    assert not any(isinstance(node, Resolver) for node in found.values())
    assert set(found) == COMMON - {"PreviousStatistics", "LastBlessedModel"} | {
        "TextEncoder", "PlainTrainer", "PlainEvaluator", "ColdStart", "ServedModel"}
    assert found["Evaluator"].inputs["baseline_model"].producer_component_id == "ServedModel"
    assert found["DataValidator"].exec_properties["accepted_dir"] == str(tmp_path / "accepted")
    assert found["ServedModel"].upstream_nodes == {found["ColdStart"]}


def test_a_run_parameter_takes_the_place_of_a_value(tmp_path):
    drift = RuntimeParameter("max_drift", ptype=float)
    found = nodes(tmp_path, run_parameters={"max_drift": drift})
    assert found["DataValidator"].exec_properties["max_drift"] is drift
    assert found["ExampleGen"].exec_properties["files"] == "toy.csv"


def test_deployment_files_are_written_after_the_push_and_where_they_are_asked_for(tmp_path):
    found = nodes(tmp_path, deployment_dir=str(tmp_path / "deployment"))
    assert list(found)[-3:] == ["Pusher", "ServingConfig", "Scorer"]
    assert found["ServingConfig"].upstream_nodes == {found["Pusher"]}
    assert found["ServingConfig"].exec_properties == {
        "model_name": "serving", "image": SERVING_IMAGE, "serving_dir": str(tmp_path / "serving"),
        "deployment_dir": str(tmp_path / "deployment")}


def test_the_scorer_is_given_every_model_there_is(tmp_path):
    scorer = nodes(tmp_path)["Scorer"]
    assert {n.id for n in scorer.upstream_nodes} == {
        "ExampleGen", "Textualiser", "ColdStart", "PlainTrainer", "LastBlessedModel", "Pusher"}
    assert "plain_model" not in nodes(tmp_path, ["plain_backbone=false"])["Scorer"].inputs
    assert "Scorer" not in nodes(tmp_path, ["report.enabled=false"])


def test_infra_validation_stands_before_the_push(tmp_path):
    found = nodes(tmp_path, infra_validation=True)
    assert found["InfraValidator"] in found["Pusher"].upstream_nodes


@pytest.mark.parametrize(("settings", "last"), [
    ([], "ColdStart"), (["cold_start.enabled=false"], "DistillationTrainer")])
def test_what_is_evaluated_is_what_is_pushed(tmp_path, settings, last):
    found = nodes(tmp_path, settings)
    for name in ("LastBlessedModel", "Evaluator", "Pusher", "Scorer"):
        assert found[last] in found[name].upstream_nodes


def test_cold_start_reads_the_rows_of_all_splits_and_the_student(tmp_path):
    found = nodes(tmp_path, ["adaptation.epochs=1"])
    assert {n.id for n in found["ColdStart"].upstream_nodes} == {
        "Textualiser", "Transform", "TextEncoder", "LanguageAdapter", "DistillationTrainer"}
    properties = found["ColdStart"].exec_properties
    assert json.loads(properties["train_args"])["splits"] == ["train"]
    assert json.loads(properties["eval_args"])["splits"] == ["validation", "test"]


@pytest.mark.parametrize("settings", [[], ["cold_start.enabled=false"], ["text_mode=finetune"]])
def test_the_student_is_warmed_up_with_what_ingestion_wrote(tmp_path, settings):
    found = nodes(tmp_path, settings)
    raw = found["DistillationTrainer"].inputs["raw_examples"]
    assert (raw.producer_component_id, raw.output_key) == ("ExampleGen", "examples")
    # Nothing that is not served last is.
    assert all("raw_examples" not in found[n].inputs for n in ("AlignmentTrainer", "PlainTrainer"))


def test_only_the_last_export_knows_the_models_name(tmp_path):
    first, second = nodes(tmp_path), nodes(tmp_path, ["model_name=shop"])
    assert {n for n in first if first[n].exec_properties != second[n].exec_properties} == {"ColdStart"}


def test_a_schema_can_be_imported(tmp_path):
    assert "ImportSchemaGen" in nodes(tmp_path, ["data.schema_path=schema.pbtxt"])


def test_a_setting_reaches_only_the_stages_that_read_it(tmp_path):
    first, second = nodes(tmp_path), nodes(tmp_path, ["distillation.weight=0"])
    changed = {n for n in first if first[n].exec_properties != second[n].exec_properties}
    assert changed == {"DistillationTrainer"}
    # Another catalogue trains nothing anew.
    filled = nodes(tmp_path, ["cold_start.catalogue=items.csv"])
    assert {n for n in first if first[n].exec_properties != filled[n].exec_properties} == {"ColdStart"}
    third = nodes(tmp_path, ["evaluation.min_auc=0.7"])
    # The plain backbone is evaluated without a gate.
    assert {n for n in first if first[n].exec_properties != third[n].exec_properties} == {"Evaluator"}


def test_another_text_form_reaches_what_writes_texts(tmp_path):
    first, second = nodes(tmp_path), nodes(tmp_path, ["text_form=values"])
    assert {n for n in first if first[n].exec_properties != second[n].exec_properties} == {"Textualiser", "ColdStart"}
    assert second["Textualiser"].exec_properties["text_form"] == "values"
    # What earlier runs made of prose stays reusable.
    assert first["Textualiser"].exec_properties["text_form"] is None


@pytest.mark.parametrize(("settings", "readers"), [
    ([], {"TextEncoder"}),
    (["adaptation.epochs=1"], {"LanguageAdapter", "TextEncoder"}),
    (["text_mode=finetune"], {"AlignmentTrainer", "DistillationTrainer"}),
])
def test_other_weights_repeat_what_reads_them(tmp_path, settings, readers):
    first, second = (nodes(tmp_path, settings, language_model_fingerprint=f) for f in ("a", "b"))
    assert {n for n in first if first[n].exec_properties != second[n].exec_properties} == readers


def test_ids_do_not_depend_on_the_language_model(tmp_path):
    first, second = (
        nodes(tmp_path, ["text_mode=finetune", f"max_tokens={n}", f"language_model={name}"])["Transform"]
        for n, name in ((16, "minilm"), (32, "tiny-random")))
    assert first.exec_properties == second.exec_properties


def test_an_adapted_language_model_reaches_what_reads_text(tmp_path):
    frozen = nodes(tmp_path, ["adaptation.epochs=1"])
    assert frozen["LanguageAdapter"] in frozen["TextEncoder"].upstream_nodes
    assert frozen["LanguageAdapter"] not in frozen["AlignmentTrainer"].upstream_nodes
    finetuned = nodes(tmp_path, ["adaptation.epochs=1", "text_mode=finetune"])
    readers = {n for n, c in finetuned.items() if finetuned["LanguageAdapter"] in c.upstream_nodes}
    assert readers == {"AlignmentTrainer", "DistillationTrainer"}
    assert frozen["LanguageAdapter"] in frozen["ColdStart"].upstream_nodes


def test_adaptation_gathers_texts_that_are_not_gathered_otherwise(tmp_path):
    def gathers(*settings):
        return nodes(tmp_path, settings)["Textualiser"].exec_properties["gather_texts"]

    assert gathers("text_mode=finetune", "adaptation.epochs=1") == 1
    assert gathers("text_mode=finetune") == 0
    # A frozen run's texts are the same with it and without, and stay reusable.
    assert gathers("adaptation.epochs=1") == gathers() == 0


def test_settings_of_an_adaptation_that_is_off_repeat_nothing(tmp_path):
    first, second = nodes(tmp_path), nodes(tmp_path, ["adaptation.learning_rate=0.1"])
    assert all(first[n].exec_properties == second[n].exec_properties for n in first)


def test_a_slice_is_shown_but_does_not_gate(tmp_path):
    config = json.loads(nodes(tmp_path)["Evaluator"].exec_properties["eval_config"])
    assert config["slicing_specs"] == [{}, {"feature_keys": ["who"]}]
    metrics = {m["class_name"]: m for m in config["metrics_specs"][0]["metrics"]}
    assert not any("threshold" in m for m in metrics.values())
    # A threshold that names the overall slice, the empty one, and no other.
    assert [t["slicing_specs"] for t in metrics["AUC"]["per_slice_thresholds"]] == [[{}]]

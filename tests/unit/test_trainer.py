import pathlib

import pytest
from tfx.types import standard_artifacts
from tfx.utils import json_utils

from components.artifacts import AdaptedLanguageModel, Vocabularies
from components.trainer import executor
from models.spec.dataset_spec import DatasetSpec
from tests.executor_case import artifact

SPEC = DatasetSpec.parse(
    """
name: toy
source: {format: csv, path: toy.csv}
label: {column: clicked}
features:
- {name: film, side: item, kind: categorical}
""", where="toy.yaml")


def trained(folder, monkeypatch, config, custom=None, **texts):
    """Runs the executor with a `run_fn` that trains nothing; returns what it was given and the model."""
    given = []

    def run_fn(fn_args):
        given.append(fn_args)
        pathlib.Path(fn_args.serving_model_dir).mkdir(parents=True)

    monkeypatch.setattr(executor.tfx_executor.udf_utils, "get_fn", lambda *args: run_fn)
    graph = artifact(standard_artifacts.TransformGraph, folder / "graph")
    examples = artifact(standard_artifacts.Examples, folder / "examples", ["train", "validation"])
    model = artifact(standard_artifacts.Model, folder / "model")
    model_run = artifact(standard_artifacts.ModelRun, folder / "model_run")
    executor.Executor().Do(
        {"examples": [examples], "transform_graph": [graph], **{name: [a] for name, a in texts.items()}},
        {"model": [model], "model_run": [model_run]},
        {"run_fn": "no.matter", "train_args": '{"splits": ["train"]}', "eval_args": '{"splits": ["validation"]}',
         "custom_config": json_utils.dumps({"dataset_spec": SPEC.to_json(), "config": config, **(custom or {})})})
    return given[0].custom_config, model


def test_an_adapted_language_model_is_handed_on_and_written_down(tmp_path, monkeypatch):
    adapted = artifact(AdaptedLanguageModel, tmp_path / "adapted")
    given, model = trained(
        tmp_path, monkeypatch, {"language_model": "tiny-random", "text_mode": "finetune"},
        adapted_language_model=adapted)
    assert (given["adapted_language_model"], given["text_vectors"]) == (str(tmp_path / "adapted"), None)
    assert model.get_int_custom_property("language_model_adapted") == 1
    assert model.get_int_custom_property("language_model_pretrained") == 0
    assert model.get_string_custom_property("text_mode") == "finetune"


@pytest.mark.parametrize("adapted", [0, 1])
def test_vectors_say_whether_their_language_model_was_adapted(tmp_path, monkeypatch, adapted):
    vectors = artifact(standard_artifacts.Examples, tmp_path / "vectors", ["item"])
    vectors.set_int_custom_property(executor.ADAPTED, adapted)
    given, model = trained(tmp_path, monkeypatch, {"language_model": "tiny-random"}, text_vectors=vectors)
    assert (given["adapted_language_model"], given["text_vectors"]) == (None, str(tmp_path / "vectors"))
    assert model.get_int_custom_property("language_model_adapted") == adapted


def test_raw_examples_are_handed_on(tmp_path, monkeypatch):
    raw = artifact(standard_artifacts.Examples, tmp_path / "raw", ["train", "test"])
    given, _ = trained(tmp_path, monkeypatch, {"backbone": "autoint"}, raw_examples=raw)
    assert (given["raw_examples"], given["base_run"]) == (str(tmp_path / "raw"), None)


def test_a_model_without_text_says_nothing_of_it(tmp_path, monkeypatch):
    _, model = trained(tmp_path, monkeypatch, {"backbone": "autoint"})
    assert not model.has_custom_property("language_model_adapted")


def test_a_model_of_a_day_knows_its_span_and_is_given_what_it_starts_from(tmp_path, monkeypatch):
    earlier, plain = (artifact(standard_artifacts.Model, tmp_path / name) for name in ("earlier", "plain"))
    made = artifact(Vocabularies, tmp_path / "vocabularies")
    given, model = trained(tmp_path, monkeypatch, {"backbone": "autoint"}, {"span": 19875}, earlier_model=earlier,
                           plain_model=plain, vocabularies=made)
    assert [given[key] for key in ("earlier_model", "plain_model", "vocabularies")] == [
        str(tmp_path / name) for name in ("earlier", "plain", "vocabularies")]
    assert model.get_int_custom_property("span") == 19875
    assert not trained(tmp_path / "2", monkeypatch, {"backbone": "autoint"})[1].has_custom_property("span")

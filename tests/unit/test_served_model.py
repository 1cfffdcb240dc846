import pathlib

import pytest
import tensorflow as tf
from tfx.components.evaluator import executor as tfx_evaluator
from tfx.types import standard_artifacts

from components.evaluator.executor import Executor as EvaluatorExecutor
from components.served_model.executor import SERVED_FROM, Executor, newest_version
from components.trainer.executor import TASK, task_fingerprint
from models.spec.dataset_spec import DatasetSpec
from tests.executor_case import artifact

SPEC = """
name: toy
source: {format: csv, path: toy.csv}
label: {column: %s}
features: [{name: film, side: item, kind: categorical}]
"""


def spec(label="clicked") -> DatasetSpec:
    return DatasetSpec.parse(SPEC % label, where="toy.yaml")


def serve(folder: pathlib.Path, version: str, text: str | None) -> pathlib.Path:
    """A served version: a SavedModel's file, and the specification beside it."""
    version = folder / version
    (version / "assets.extra").mkdir(parents=True)
    (version / tf.saved_model.SAVED_MODEL_FILENAME_PB).write_bytes(b"graph")
    if text is not None:
        (version / "assets.extra" / "dataset.json").write_text(text)
    return version


def resolve(folder: pathlib.Path) -> standard_artifacts.Model:
    model = artifact(standard_artifacts.Model, folder / "model")
    Executor().Do({}, {"model": [model]}, {
        "serving_dir": str(folder / "serving"), "dataset_spec": spec().to_json(),
        "spec_file": "assets.extra/dataset.json"})
    return model


def holds_a_model(model) -> bool:
    return (pathlib.Path(model.uri) / "Format-Serving" / "saved_model.pb").exists()


def test_the_newest_version_is_the_baseline(tmp_path):
    serve(tmp_path / "serving", "9", spec().to_json())
    newest = serve(tmp_path / "serving", "10", spec().to_json())
    # A version that is still being written, and what is no version.
    (tmp_path / "serving" / "11").mkdir()
    (tmp_path / "serving" / "models.config").touch()
    model = resolve(tmp_path)
    assert holds_a_model(model)
    assert model.get_string_custom_property(SERVED_FROM) == str(newest)
    assert model.get_string_custom_property(TASK) == task_fingerprint(spec())


def test_there_is_none_before_the_first_push(tmp_path):
    assert newest_version(str(tmp_path / "serving")) is None
    assert not holds_a_model(resolve(tmp_path))


@pytest.mark.parametrize("text", [spec(label="bought").to_json(), "no JSON", None])
def test_a_version_of_another_task_is_none(tmp_path, text):
    serve(tmp_path / "serving", "1", text)
    assert not holds_a_model(resolve(tmp_path))


def test_the_evaluator_takes_an_empty_baseline_for_none(tmp_path, monkeypatch):
    given = {}
    monkeypatch.setattr(tfx_evaluator.Executor, "Do", lambda self, inputs, *_: given.update(inputs))
    empty, full = (artifact(standard_artifacts.Model, tmp_path / name) for name in ("empty", "full"))
    serve(tmp_path / "full", "Format-Serving", None)
    for baseline, expected in (([empty], []), ([full], [full]), ([], [])):
        EvaluatorExecutor().Do({"model": [full], "baseline_model": baseline}, {}, {})
        assert given == {"model": [full], "baseline_model": expected}

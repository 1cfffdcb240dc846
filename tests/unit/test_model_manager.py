"""Versions of several models: policies, labels, reloading, warm-up and draining."""

import gc
import logging
import os
import shutil

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import get_model_status_pb2, prediction_log_pb2

from models import raw_example
from models.spec.errors import UserError
from serving import model_versions
from serving.model_config import ModelConfig
from serving.model_manager import ModelManager
from serving.model_versions import ModelVersions
from serving.request_error import RequestError
from serving.version_policy import VersionPolicy
from serving.warmup_requests import WARMUP_FILE
from tests.unit import served_model
from tests.waiting import wait_until

STATE = get_model_status_pb2.ModelVersionStatus.State


@pytest.fixture(scope="module")
def export(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "model"
    served_model.export(folder, 0.0)
    return folder


@pytest.fixture
def push(tmp_path, export):
    """Adds a version to a model's folder, which it returns."""

    def push(version, model="books"):
        shutil.copytree(export, tmp_path / model / str(version))
        return str(tmp_path / model)

    return push


def _states(model, **asked):
    return {s.version: STATE.Name(s.state) for s in model.statuses(**asked).model_version_status}


def _refused(call, *arguments, **named):
    with pytest.raises(RequestError) as caught:
        call(*arguments, **named)
    return f"{caught.value.code.name}: {caught.value}"


def test_a_policy_says_which_versions_are_loaded_and_dropped(push):
    path = [push(version) for version in (1, 2, 3)][0]
    versions = ModelVersions(ModelConfig("books", path, VersionPolicy(latest=2)))
    versions.poll(settle=False)
    assert versions.loaded == [3, 2]
    assert versions.find().version == 3 and versions.find(2).version == 2
    assert _refused(versions.find, 1) == (
        "NOT_FOUND: no version 1 of the model 'books'; versions 3, 2 are loaded")
    held = versions.find(2)
    push(4)
    versions.poll()
    # Its files may still be written.
    assert versions.loaded == [3, 2]
    versions.poll()
    assert versions.loaded == [4, 3]
    # A request under way ends on the version that it began with.
    assert _states(versions) == {4: "AVAILABLE", 3: "AVAILABLE", 2: "UNLOADING"}
    assert held.run_arrays("serving_default", {"examples": np.array([b""], object)})["logit"] == [0.0]
    del held
    gc.collect()
    versions.poll()
    assert _states(versions) == {4: "AVAILABLE", 3: "AVAILABLE"}


def test_memory_is_given_back_when_a_version_was_loaded_and_when_one_is_gone(push, monkeypatch):
    given_back = []
    monkeypatch.setattr(model_versions, "give_back", lambda: given_back.append(versions.loaded))
    versions = ModelVersions(ModelConfig("books", push(1)))
    versions.poll(settle=False)
    versions.poll()
    assert given_back == [[1]]
    held = versions.find()
    push(2)
    versions.poll(settle=False)
    versions.poll()
    # The old one still answers a request.
    assert given_back == [[1], [2, 1]]
    del held
    gc.collect()
    versions.poll()
    versions.poll()
    assert given_back == [[1], [2, 1], [2]]


def test_specific_versions_and_no_others(push):
    path = [push(version) for version in (1, 2, 3)][0]
    versions = ModelVersions(ModelConfig("books", path, VersionPolicy(specific=(1, 2, 8))))
    versions.poll(settle=False)
    assert versions.loaded == [2, 1]
    push(8)
    versions.poll()
    versions.poll()
    assert versions.loaded == [8, 2, 1]
    assert _states(versions, version=2) == {2: "AVAILABLE"}
    assert "no version 3" in _refused(versions.statuses, 3)


def test_versions_go_with_their_folders_but_the_last_stays(push, tmp_path):
    path = [push(version) for version in (1, 2)][0]
    versions = ModelVersions(ModelConfig("books", path))
    versions.poll(settle=False)
    shutil.rmtree(tmp_path / "books" / "2")
    versions.poll()
    assert versions.loaded == [1]
    shutil.rmtree(tmp_path / "books")
    versions.poll()
    assert versions.loaded == [1]


def test_a_number_that_is_no_version_is_passed_over_and_told_of_once(push, caplog):
    path = [push(version) for version in (1, 1 << 63, "9" * 200, "09", "x2")][0]
    versions = ModelVersions(ModelConfig("books", path))
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            versions.poll(settle=False)
    assert versions.loaded == [1] and not versions.failures
    assert [r.getMessage().split(": ")[0] for r in caplog.records] == [
        f"{path}/{name} is passed over" for name in ("09", 1 << 63, "9" * 200)]
    push((1 << 63) - 1)
    versions.poll(settle=False)
    # The greatest number that the protocol can name.
    assert versions.loaded == [(1 << 63) - 1]


def test_a_file_that_cannot_be_read_stops_no_other_version(push):
    path = push(1)
    versions = ModelVersions(ModelConfig("books", path))
    versions.poll(settle=False)
    needed = os.path.join(push(2), "2", "variables", "variables.index")
    os.remove(needed)
    os.symlink("nowhere", needed)
    versions.poll(settle=False)
    assert versions.loaded == [1] and list(versions.failures) == [2]
    # The model can do without this one.
    os.symlink("nowhere", os.path.join(push(3), "3", "dangling"))
    versions.poll()
    assert versions.loaded == [1]
    versions.poll()
    assert versions.loaded == [3]


def test_a_name_that_is_no_text_ends_no_following(push, tmp_path, caplog):
    models = ModelManager([ModelConfig("books", push(1))], poll_seconds=0.01)
    models.load()
    odd = os.path.join(os.fsencode(tmp_path / "books"), b"\xff")
    os.mkdir(odd)
    models.start()
    try:
        wait_until(seconds=20, condition=lambda: any("books cannot be read" in r.getMessage() for r in caplog.records))
        os.rmdir(odd)
        os.mkdir(os.path.join(os.fsencode(push(2)), b"2", b"\xff"))
        push(3)
        wait_until(seconds=20, condition=lambda: models.loaded == {"books": [3]})
    finally:
        models.stop()


def test_labels_stand_for_versions(push):
    path = [push(version) for version in (1, 2)][0]
    models = ModelManager([ModelConfig("books", path, VersionPolicy(latest=2), {"stable": 1, "canary": 2})])
    models.load()
    assert models.find("books", label="stable").version == 1
    assert models.find("books", label="canary").version == 2
    assert [s.version for s in models.statuses("books", label="stable").model_version_status] == [1]
    assert _refused(models.find, "books", label="best") == (
        "NOT_FOUND: no version label 'best' of the model 'books'; there are: canary, stable; versions 2, 1 are loaded")
    with pytest.raises(UserError, match="the label 'stable' stands for version 1, which is not served; served are: 2"):
        ModelManager([ModelConfig("books", path, labels={"stable": 1})]).load()


def test_other_models_are_served_after_a_reload_and_loaded_versions_are_kept(push):
    books, films = [push(version) for version in (1, 2)][0], push(7, "films")
    models = ModelManager([ModelConfig("books", books)])
    models.load()
    kept = models.find("books")
    assert _refused(models.find, "films") == "NOT_FOUND: no model 'films'; this server has: 'books'"
    models.reload([ModelConfig("books", books, VersionPolicy(latest=2), {"stable": 1}), ModelConfig("films", films)])
    assert models.loaded == {"books": [2, 1], "films": [7]}
    assert models.find("books") is kept and models.find("books", label="stable").version == 1
    models.reload([ModelConfig("films", films)])
    assert models.loaded == {"films": [7]}
    # The same name elsewhere is another model.
    models.reload([ModelConfig("films", books)])
    assert models.loaded == {"films": [2]}


def test_a_reload_that_cannot_be_done_changes_nothing(push, tmp_path):
    books = push(1)
    models = ModelManager([ModelConfig("books", books)])
    models.load()
    (tmp_path / "films" / "3").mkdir(parents=True)
    (tmp_path / "films" / "3" / "saved_model.pb").write_bytes(b"rubbish")
    films = ModelConfig("films", str(tmp_path / "films"))
    for configs, words in [
            ([films], "version 3: "),
            ([ModelConfig("books", books), films], "version 3: "),
            ([ModelConfig("books", books, VersionPolicy(specific=(5,)))], "no model version of 5 can be served"),
            ([ModelConfig("books", books, labels={"stable": 9})], "stands for version 9")]:
        before = models.find("books")
        message = _refused(models.reload, configs)
        assert message.startswith("FAILED_PRECONDITION: nothing is changed: ") and words in message
        assert models.loaded == {"books": [1]} and models.find("books") is before


def _with_requests(folder, *logs):
    path = os.path.join(folder, WARMUP_FILE)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString())


def _logs(signature="serving_default", examples=(b"",)):
    predict, classify, regress = (prediction_log_pb2.PredictionLog() for _ in range(3))
    predict.predict_log.request.model_spec.signature_name = signature
    predict.predict_log.request.inputs["examples"].CopyFrom(tf.make_tensor_proto(list(examples)))
    for given in (classify.classify_log.request, regress.regress_log.request):
        given.input.example_list.examples.add().ParseFromString(raw_example.encode({"age": [3.0]}))
    return predict, classify, regress


def test_a_version_answers_its_own_warm_up_requests_before_it_is_served(push, caplog):
    path = push(1)
    _with_requests(os.path.join(path, "1"), *_logs())
    _with_requests(os.path.join(push(2), "2"), *_logs(signature="score"))
    _with_requests(os.path.join(push(3), "3"), *_logs(examples=[b"\xff\xff"]))
    versions = ModelVersions(ModelConfig("books", path))
    with caplog.at_level(logging.ERROR):
        versions.poll(settle=False)
    assert versions.loaded == [1]
    assert versions.failures[2].startswith("its warm-up request 1 fails: no signature 'score'")
    assert "its warm-up request 1 fails: input 'examples', row 0" in versions.failures[3]


def test_an_answer_of_no_number_is_a_broken_version(tmp_path):
    served_model.export(tmp_path / "books" / "1", float("nan"))
    with pytest.raises(UserError, match="version 1: its answer to an empty example is not a finite number"):
        ModelManager([ModelConfig("books", str(tmp_path / "books"))]).load()

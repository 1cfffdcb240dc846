"""Each push is a version of its own."""

import json
import time

import pytest
from tfx.types import standard_artifacts

from components.pusher.executor import Executor
from tests.executor_case import artifact


@pytest.fixture
def clock(monkeypatch):
    """Time passes only while someone sleeps."""
    now = [1_000.9]
    monkeypatch.setattr(time, "time", lambda: now[0])
    monkeypatch.setattr(time, "sleep", lambda seconds: now.__setitem__(0, now[0] + seconds))
    return now


def push(folder, name, blessed=1):
    """Pushes a model whose one file holds its name; returns what became of it."""
    model = artifact(standard_artifacts.Model, folder / name)
    (folder / name / "Format-Serving").mkdir()
    (folder / name / "Format-Serving" / "saved_model.pb").write_text(name)
    blessing = artifact(standard_artifacts.ModelBlessing, folder / f"{name}-blessing")
    blessing.set_int_custom_property("blessed", blessed)
    pushed = artifact(standard_artifacts.PushedModel, folder / f"{name}-pushed")
    Executor().Do(
        {"model": [model], "model_blessing": [blessing]}, {"pushed_model": [pushed]},
        {"push_destination": json.dumps({"filesystem": {"baseDirectory": str(folder / "serving")}})})
    return pushed


def test_pushes_within_a_second_are_two_versions(tmp_path, clock):
    first, second = push(tmp_path, "first"), push(tmp_path, "second")
    for pushed, version, name in ((first, "1000", "first"), (second, "1001", "second")):
        assert pushed.get_string_custom_property("pushed_destination") == str(tmp_path / "serving" / version)
        assert (tmp_path / "serving" / version / "saved_model.pb").read_text() == name


def test_what_the_gate_refused_is_not_pushed(tmp_path, clock):
    assert push(tmp_path, "bad", blessed=0).get_int_custom_property("pushed") == 0
    assert not (tmp_path / "serving").exists()

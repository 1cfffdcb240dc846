"""What a run leaves below its root, with the pipeline itself left out."""

import contextlib
import types

import pytest

from models.spec.errors import UserError
from pipeline import run, run_summary
from pipeline.config import RunConfig
from pipeline.layout import RunLayout
from pipeline.metadata_uri import connection_config
from pipeline.run_lock import RunLock, held
from pipeline.verdict import PUSHED


@pytest.fixture
def layout(tmp_path, monkeypatch):
    """A layout with a checkpoint; a run below it does nothing and pushes."""
    summary = types.SimpleNamespace(to_dict=dict, facts=dict, render=lambda *_: "", verdict=PUSHED)
    monkeypatch.setattr(run, "prepare", lambda *_: types.SimpleNamespace(components=[]))
    monkeypatch.setattr(run, "execute", lambda *_: None)
    monkeypatch.setattr(run_summary, "summarise", lambda *_: summary)
    made = RunLayout(tmp_path / "sample")
    made.checkpoints.mkdir(parents=True)
    return made


def start(layout, **options) -> bool:
    return run.run(None, RunConfig(language_model="tiny-random"), layout, **options)


def test_a_run_that_ended_leaves_a_summary_and_no_checkpoints(layout):
    assert start(layout)
    assert len(list(layout.runs.glob("*.json"))) == 1 and not layout.checkpoints.exists()


def test_a_run_that_failed_leaves_its_checkpoints(layout, monkeypatch):
    def fail(*_):
        raise UserError("Trainer: wrong")

    monkeypatch.setattr(run, "execute", fail)
    with pytest.raises(UserError, match="Trainer: wrong"):
        start(layout)
    assert layout.checkpoints.exists()
    # And no lock.
    with held(RunLock(layout.locks / "run", exclusive=True, purpose="ctrl run"), wait=False):
        pass


def test_the_checkpoints_of_another_run_stay(layout, monkeypatch):
    # As on a server, where runs hold the lock shared.
    monkeypatch.setattr(run, "recording", lambda *_, **__: shared(layout))
    layout.locks.mkdir()
    with shared(layout):
        assert start(layout)
        assert layout.checkpoints.exists()
    assert start(layout)
    assert not layout.checkpoints.exists()


@contextlib.contextmanager
def shared(layout):
    with held(RunLock(layout.locks / "run", exclusive=False, purpose="ctrl run"), wait=False) as lock:
        yield connection_config(None, layout), lock

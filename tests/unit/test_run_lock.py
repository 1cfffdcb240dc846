"""Locks between processes: who waits, who is told what, and what a killed process leaves."""

import signal
import subprocess
import sys

import pytest

from models.spec.errors import UserError
from pipeline.run_lock import RunLock, held

_HOLD = """
import pathlib, sys, time
from pipeline.run_lock import RunLock, held
with held(RunLock(pathlib.Path(sys.argv[1]), exclusive=sys.argv[2] == "alone", purpose="ctrl run")) as lock:
    lock.identify("2026-11-25T16:43:47.954")
    print("held", flush=True)
    sys.stdin.readline()
"""


@pytest.fixture
def other(tmp_path):
    """Starts a process that holds the lock until its standard input ends."""
    started = []

    def start(how):
        process = subprocess.Popen([sys.executable, "-c", _HOLD, str(tmp_path / "run"), how],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout.readline() == "held\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()
        process.stdin.close()


def lock(tmp_path, exclusive):
    return RunLock(tmp_path / "run", exclusive=exclusive, purpose="ctrl run")


@pytest.mark.parametrize(("held_by_other", "exclusive"), [("alone", True), ("alone", False), ("shared", True)])
def test_who_is_in_the_way_is_told(other, tmp_path, held_by_other, exclusive):
    process = other(held_by_other)
    with pytest.raises(UserError) as error, held(lock(tmp_path, exclusive), wait=False):
        pass
    assert f"ctrl run 2026-11-25T16:43:47.954 (process {process.pid} on " in str(error.value)
    assert "--wait" in str(error.value)


def test_shared_holders_are_not_in_each_others_way(other, tmp_path):
    other("shared")
    with held(lock(tmp_path, exclusive=False), wait=False) as mine:
        assert not mine.alone()


def test_the_last_shared_holder_is_alone(tmp_path):
    with held(lock(tmp_path, exclusive=False), wait=False) as mine:
        assert mine.alone()
        with pytest.raises(UserError), held(lock(tmp_path, exclusive=False), wait=False):
            pass


def test_it_waits_once_it_has_said_for_whom(other, tmp_path):
    process, told = other("alone"), []

    def waiting(holder):
        told.append(holder)
        process.stdin.close()

    with held(lock(tmp_path, exclusive=True), wait=True, waiting=waiting):
        assert len(told) == 1 and f"process {process.pid} " in told[0]
    assert process.wait(timeout=10) == 0


def test_a_killed_process_holds_nothing(other, tmp_path):
    process = other("alone")
    process.send_signal(signal.SIGKILL)
    process.wait()
    with held(lock(tmp_path, exclusive=True), wait=False):
        # Nor does what it wrote make anyone believe so.
        assert "16:43:47" not in (tmp_path / "run").read_text()


def test_a_killed_shared_holder_is_not_named(other, tmp_path):
    dead, alive = other("shared"), other("shared")
    dead.send_signal(signal.SIGKILL)
    dead.wait()
    with pytest.raises(UserError) as error, held(lock(tmp_path, exclusive=True), wait=False):
        pass
    assert f"process {alive.pid} " in str(error.value) and f"process {dead.pid} " not in str(error.value)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no/run: cannot be written: No such file"), held(
            RunLock(tmp_path / "no" / "run", exclusive=True, purpose="ctrl run"), wait=False):
        pass

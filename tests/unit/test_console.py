"""What goes to the terminal and what to the log."""

import logging
import os
import signal
import subprocess
import sys
import warnings

import absl.logging
import pytest

from pipeline import console


@pytest.fixture
def log(tmp_path):
    return tmp_path / "logs" / "run.log"


def _state():
    loggers = [logging.getLogger(name) for name in (None, console.LOGGER, "tensorflow")]
    loggers.append(absl.logging.get_absl_logger())
    stat = os.fstat(2)
    return (
        [(x.handlers[:], x.level, x.propagate) for x in loggers], warnings.filters[:], (stat.st_dev, stat.st_ino))


def test_our_lines_are_shown_and_kept_and_the_rest_is_only_kept(log, capfd):
    with console.quiet(log) as logger:
        logger.info("ours %d", 1)
        logging.getLogger("library").info("python's")
        absl.logging.info("absl's")
        logging.getLogger("tensorflow").warning("tensorflow's")
        os.write(2, b"C++'s\n")
        warnings.warn("a warning", stacklevel=1)
    assert capfd.readouterr() == ("ours 1\n", "")
    kept = log.read_text()
    for line in ("I ctrl: ours 1", "I library: python's", "I absl: absl's", "W tensorflow: tensorflow's", "C++'s"):
        assert line in kept
    assert "a warning" not in kept


def test_everything_is_restored(log, capfd):
    before = _state()
    with console.quiet(log):
        assert _state() != before
    assert _state() == before
    os.write(2, b"to the terminal\n")
    assert capfd.readouterr().err == "to the terminal\n"


def test_exceptions_pass_and_everything_is_restored(log):
    before = _state()
    with pytest.raises(KeyError, match="lost"), console.quiet(log):
        raise KeyError("lost")
    assert _state() == before


def test_a_log_is_appended_to(log):
    for line in ("first", "second"):
        with console.quiet(log) as logger:
            logger.info(line)
    assert [line.rsplit(" ", 1)[1] for line in log.read_text().splitlines()] == ["first", "second"]


def test_a_log_that_cannot_be_written_leaves_everything_as_it_was(tmp_path):
    (tmp_path / "file").write_text("")
    before = _state()
    with pytest.raises(OSError), console.quiet(tmp_path / "file" / "run.log"):
        raise AssertionError("it must not be entered")
    assert _state() == before


def test_a_traceback_is_only_kept(log, capfd):
    with console.quiet(log):
        try:
            raise KeyError("lost")
        except KeyError as error:
            console.keep_traceback(error)
    assert capfd.readouterr() == ("", "")
    assert "Traceback" in log.read_text() and "KeyError" in log.read_text()


_STUCK = """
import pathlib, signal, sys, threading, time
from pipeline import console
# Whoever runs the tests in the background may have it ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with console.quiet(pathlib.Path(sys.argv[1])) as logger, console.leave_on_interrupt("kept"):
    # Python waits for such a thread at its end.
    threading.Thread(target=time.sleep, args=(60,)).start()
    logger.info("ready")
    while True:
        try:
            time.sleep(60)
        except BaseException:
            pass
"""


def test_an_interrupt_ends_the_process_at_once_with_one_line(log):
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK, log], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.communicate(timeout=10) == ("kept\n", "")
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 130
    assert "I ctrl: kept" in log.read_text()


def test_an_interrupt_in_the_middle_of_a_line_waits_for_its_end(log):
    # Most of the time is spent writing: to write within that is an error, which logging tells the file of.
    process = subprocess.Popen(
        [sys.executable, "-c", _STUCK.replace("time.sleep(60)", "while True: logger.info('x' * 1000)"), log],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stdout.readline() == "ready\n"
        process.stdout.read(1_000_000)
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=10)
    finally:
        process.kill()
        process.wait()
    assert (process.returncode, errors) == (130, "")
    assert "kept\n" in told
    text = log.read_text()
    assert "Logging error" not in text and "I ctrl: kept\n" in text


def test_the_interrupts_handler_is_restored():
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with console.leave_on_interrupt("kept"):
            assert signal.getsignal(signal.SIGINT) is not signal.default_int_handler
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)


def test_an_ignored_interrupt_stays_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with console.leave_on_interrupt("kept"):
            assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_the_environment_asks_for_keras_3(monkeypatch):
    monkeypatch.setenv("TF_USE_LEGACY_KERAS", "1")
    monkeypatch.delenv("TF_CPP_MIN_LOG_LEVEL")
    with warnings.catch_warnings():
        console.set_environment()
    assert os.environ["TF_USE_LEGACY_KERAS"] == "0"
    assert os.environ["TF_CPP_MIN_LOG_LEVEL"] == "3"

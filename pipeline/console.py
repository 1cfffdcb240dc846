"""What the user sees: our own lines on the terminal, everything else in a log file."""

from __future__ import annotations

import _thread
import contextlib
import logging
import os
import pathlib
import signal
import sys
import warnings
from collections.abc import Iterator

LOGGER = "ctrl"
INTERRUPTED = 130  # the exit status of a program that SIGINT ended: 128 + 2


def set_environment() -> None:
    """Settings that must be made before TensorFlow, or ML Metadata, is imported.

    Raises:
        RuntimeError: TensorFlow is imported already, with Keras 2.
    """
    # keras-hub is Keras 3 only, and importing TensorFlow Transform would choose Keras 2.
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # At level 2 TensorFlow 2.16 still complains at every import that CUDA's plugins register twice.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    # At ERROR gRPC adds a line of its own to what is told of a port in use.
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")
    # ML Metadata tells of each connection to PostgreSQL, and of every error before it raises it.
    os.environ.setdefault("GLOG_minloglevel", "3")
    # Google's client libraries, which TFX brings along, warn at import that Python 3.10 grows old.
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and not tensorflow.keras.version().startswith("3."):
        raise RuntimeError("TensorFlow was imported with Keras 2; import pipeline.console first")


@contextlib.contextmanager
def quiet(log_path: pathlib.Path) -> Iterator[logging.Logger]:
    """Sends all of the process's diagnostics to a file, and our own lines to the terminal as well.

    Libraries log through Python, through absl and straight to file descriptor 2 from
    C++; all of it is kept in the file, where a failure can be looked up. At the end
    everything is as it was before: descriptor, handlers and warnings' filters.

    Args:
        log_path: the file, created with its folder, appended to.

    Yields:
        The logger whose lines the user sees.

    Raises:
        OSError: the file cannot be written.

    Example:

    ```python
    with quiet(pathlib.Path("ctrl_root/sample/logs/run.log")) as logger:
        logger.info("loading the libraries ...")
    ```
    """
    import absl.logging

    log_path.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger(LOGGER)
    with contextlib.ExitStack() as restored:
        log_file = restored.enter_context(open(log_path, "a", encoding="utf-8", buffering=1))
        restored.enter_context(_redirected_stderr(log_file.fileno()))
        restored.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")
        shown = logging.StreamHandler(sys.stdout)
        shown.setFormatter(logging.Formatter("%(message)s"))
        kept = logging.StreamHandler(log_file)
        kept.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
        restored.enter_context(_handled(logger, [shown, kept], propagate=False))
        restored.enter_context(_handled(logging.getLogger(), [kept]))
        # absl and TensorFlow bring handlers of their own; their lines belong in the file too.
        restored.enter_context(_handled(absl.logging.get_absl_logger(), [kept], propagate=False))
        restored.enter_context(_handled(logging.getLogger("tensorflow"), []))
        yield logger


@contextlib.contextmanager
def leave_on_interrupt(line: str) -> Iterator[None]:
    """Within it, SIGINT (Ctrl-C) ends the process at once, with status 130 and one line for the user.

    A KeyboardInterrupt would do neither: libraries that are being imported turn it into errors
    of their own, and the threads of Beam and gRPC hold an ending process back. A run may be
    killed at any moment, so nothing needs to be put in order first.

    Args:
        line: what the logger of this module says.
    """

    def leave() -> None:
        logging.getLogger(LOGGER).info("%s", line)
        sys.stdout.flush()
        os._exit(INTERRUPTED)

    def in_a_thread(*_) -> None:
        # The signal may have come in the middle of a line, whose stream cannot be written to before that is out. Not a
        # `threading.Thread`: its start takes a lock that may be held here.
        _thread.start_new_thread(leave, ())

    previous = signal.getsignal(signal.SIGINT)
    # A script's job in the background is started so that the terminal's Ctrl-C spares it.
    if previous != signal.SIG_IGN:
        signal.signal(signal.SIGINT, in_a_thread)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def keep_traceback(error: BaseException) -> None:
    """Writes an exception's traceback to the log file only."""
    logging.getLogger().error("failed", exc_info=error)


@contextlib.contextmanager
def _redirected_stderr(target: int) -> Iterator[None]:
    """File descriptor 2, which C++ writes to, as a copy of another one."""
    sys.stderr.flush()
    terminal = os.dup(2)
    os.dup2(target, 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)


@contextlib.contextmanager
def _handled(logger: logging.Logger, handlers: list[logging.Handler], propagate: bool = True) -> Iterator[None]:
    """A logger with other handlers, from level INFO on."""
    previous = logger.handlers, logger.propagate, logger.level
    logger.handlers, logger.propagate = handlers, propagate
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.handlers, logger.propagate = previous[:2]
        logger.setLevel(previous[2])

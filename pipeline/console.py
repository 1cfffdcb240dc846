"""What the user sees: our own lines on the terminal, everything else in a log file."""

from __future__ import annotations

import contextlib
import logging
import os
import pathlib
import sys
import warnings
from collections.abc import Iterator

LOGGER = "ctrl"


def set_environment() -> None:
    """Settings that must be made before TensorFlow is imported.

    Raises:
        RuntimeError: TensorFlow is imported already, with Keras 2.
    """
    # keras-hub is Keras 3 only, and importing TensorFlow Transform would choose Keras 2.
    os.environ["TF_USE_LEGACY_KERAS"] = "0"
    os.environ["KERAS_BACKEND"] = "tensorflow"
    # At level 2 TensorFlow 2.16 still complains at every import that CUDA's plugins register twice.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    # Google's client libraries, which TFX brings along, warn at import that Python 3.10 grows old.
    warnings.filterwarnings("ignore", category=FutureWarning, module="google")
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is not None and not tensorflow.keras.version().startswith("3."):
        raise RuntimeError("TensorFlow was imported with Keras 2; import pipeline.console first")


@contextlib.contextmanager
def quiet(log_path: pathlib.Path) -> Iterator[logging.Logger]:
    """Sends all of the process's diagnostics to a file, and our own lines to the terminal as well.

    Libraries log through Python, through absl and straight to file descriptor 2 from
    C++; all of it is kept in the file, where a failure can be looked up.

    Args:
        log_path: the file, created with its folder, appended to.

    Yields:
        The logger whose lines the user sees.
    """
    log_path.parent.mkdir(parents=True, exist_ok=True)
    log_file = open(log_path, "a", encoding="utf-8", buffering=1)
    sys.stderr.flush()
    terminal = os.dup(2)
    os.dup2(log_file.fileno(), 2)
    shown = logging.StreamHandler(sys.stdout)
    shown.setFormatter(logging.Formatter("%(message)s"))
    kept = logging.StreamHandler(log_file)
    kept.setFormatter(logging.Formatter("%(asctime)s %(levelname).1s %(name)s: %(message)s"))
    logger = logging.getLogger(LOGGER)
    root = logging.getLogger()
    previous = root.handlers[:], root.level
    logger.handlers, logger.propagate = [shown, kept], False
    logger.setLevel(logging.INFO)
    root.handlers = [kept]
    root.setLevel(logging.INFO)
    warnings.simplefilter("ignore")
    _adopt_absl(kept)
    try:
        yield logger
    finally:
        sys.stderr.flush()
        os.dup2(terminal, 2)
        os.close(terminal)
        root.handlers, root.level = previous
        logger.handlers = []
        log_file.close()


def keep_traceback(error: BaseException) -> None:
    """Writes an exception's traceback to the log file only."""
    logging.getLogger().error("failed", exc_info=error)


def _adopt_absl(handler: logging.Handler) -> None:
    """absl installs a handler of its own on import; its lines belong in the file too."""
    import absl.logging

    absl_logger = absl.logging.get_absl_logger()
    absl_logger.handlers, absl_logger.propagate = [handler], False
    absl_logger.setLevel(logging.INFO)
    logging.getLogger("tensorflow").handlers = []

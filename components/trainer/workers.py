"""One training on several machines: the chief announces it, and all of them run it, each in a process of its own.

TensorFlow connects the machines of `TF_CONFIG` before its first operation in a process, and once; a pipeline's process
has used it long before its first Trainer. So the chief's Trainer writes what its `run_fn` was given to a folder
that all machines read, and runs it in a new process; the others (`ctrl worker`) look into that folder, and do the same.

    python -m components.trainer.workers JOB.json
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import subprocess
import sys
import threading
import time
import types
import uuid
from collections.abc import Callable

import tensorflow as tf

from models import distribution
from models.spec.errors import UserError

RUN_FN = "components.trainer.workers.run_fn"
ANNOUNCED_RUN_FN = "announced_run_fn"
_FOLDER, _JOB = "workers", "job.json"
_ARGUMENTS = ("train_files", "eval_files", "transform_output", "serving_model_dir", "model_run_dir", "base_model",
              "custom_config")
# The last line of a process that failed by a user's error.
_USER_ERROR = "user error: "
_log = logging.getLogger("ctrl.train")


def wanted(config: dict) -> bool:
    """Whether a Trainer with these settings trains on several machines.

    Raises:
        UserError: it does, and this is not the machine that runs the pipeline.
    """
    several = config.get("distribution", {}).get("strategy") in ("auto", "multi_worker") and (
        distribution.num_workers() > 1)
    if several and not distribution.is_first_machine():
        raise UserError("TF_CONFIG says that this is not the first of its machines; the pipeline runs on that one, and "
                        "here it is: ctrl worker")
    return several


def run_fn(fn_args) -> None:
    """The chief's `run_fn` where there are several machines: announces the real one, and runs it.

    Args:
        fn_args: what TFX's Trainer hands to it; `custom_config` holds the real one's dotted path,
            `announced_run_fn`, and `checkpoint_dir`, beside which the others look.

    Raises:
        UserError: the training ended in one.
        RuntimeError: the training failed.
    """
    folder = os.path.join(os.path.dirname(fn_args.custom_config["checkpoint_dir"]), _FOLDER)
    job = {"id": uuid.uuid4().hex, **{name: getattr(fn_args, name, None) for name in _ARGUMENTS}}
    tf.io.gfile.makedirs(folder)
    path = os.path.join(folder, _JOB)
    with tf.io.gfile.GFile(f"{path}.tmp", "w") as file:
        json.dump(job, file)
    tf.io.gfile.rename(f"{path}.tmp", path, overwrite=True)
    try:
        _run(path, _log.info)
    finally:
        tf.io.gfile.remove(path)


def follow(folder: str, progress: Callable[[str], None], jobs: int | None = None, every: float = 1.0) -> None:
    """Takes part in every training that the chief announces.

    One that fails here is left to the chief, which fails with it: what it announces when it is started again is taken
    up anew.

    Args:
        folder: the folder of checkpoints of a pipeline's trainers.
        progress: called with each line.
        jobs: returns after so many trainings; None never does.
        every: seconds between two looks.
    """
    path, seen = os.path.join(folder, _FOLDER, _JOB), set()
    while jobs is None or len(seen) < jobs:
        job = _read(path)
        if job is None or job["id"] in seen:
            time.sleep(every)
            continue
        seen.add(job["id"])
        progress(f"training {job['custom_config'][ANNOUNCED_RUN_FN]}")
        try:
            _run(path, progress)
        except (UserError, RuntimeError) as error:
            progress(str(error))


def _read(path: str) -> dict | None:
    try:
        with tf.io.gfile.GFile(path) as file:
            return json.load(file)
    # It comes and goes.
    except (tf.errors.NotFoundError, json.JSONDecodeError):
        return None


def _run(path: str, progress: Callable[[str], None]) -> None:
    """Runs a job in a process of its own, and hands on its lines."""
    process = subprocess.Popen([sys.executable, "-m", __name__, path], stdout=subprocess.PIPE, text=True, bufsize=1)
    last = ""
    try:
        for line in process.stdout:
            last = line.rstrip("\n")
            if not last.startswith(_USER_ERROR):
                progress(last)
        status = process.wait()
    finally:
        process.kill()
    if last.startswith(_USER_ERROR):
        raise UserError(json.loads(last.removeprefix(_USER_ERROR)))
    if status:
        raise RuntimeError(f"the training's process ended with status {status}; its reason stands above")


def main(path: str) -> None:
    """Runs the job of a file."""
    job = _read(path)
    if job is None:
        return
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    logging.basicConfig(stream=sys.stdout, level=logging.WARNING, format="%(message)s")
    _log.setLevel(logging.INFO)
    module, _, name = job["custom_config"][ANNOUNCED_RUN_FN].rpartition(".")
    settings = job["custom_config"]["config"]["distribution"]
    try:
        # Before anything else of TensorFlow.
        distribution.new_strategy(settings["strategy"], settings["tpu"])
        getattr(importlib.import_module(module), name)(types.SimpleNamespace(**job))
    except UserError as error:
        print(_USER_ERROR + json.dumps(str(error)), flush=True)
        sys.exit(2)


def _end_with(parent: int) -> None:
    """Ends this process soon after the one that started it, which may be killed: it holds the machine's port."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])

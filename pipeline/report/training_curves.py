"""The curves of every training stage, out of its TensorBoard logs."""

from __future__ import annotations

import dataclasses
import os
import re

import tensorflow as tf

_EPOCH = "epoch_"
_SPLITS = ("train", "validation")


@dataclasses.dataclass(frozen=True)
class TrainingCurve:
    """One metric of one model on one split.

    Attributes:
        part: the model, as `student` or `teacher-2`.
        metric: as Keras names it, `auc`.
        split: `train` or `validation`.
        values: one an epoch.
    """

    part: str
    metric: str
    split: str
    values: list[float]


def read_curves(uri: str, name: str = "") -> list[TrainingCurve]:
    """The curves below a `model_run` artifact, parts in their natural order.

    Args:
        uri: the artifact's folder: `<part>/<split>/events...`, or the splits themselves.
        name: the part's name in the latter case.
    """
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.util import tensor_util

    found = []
    folders = {name: uri} | {part: os.path.join(uri, part) for part in _folders(uri)}
    for part in sorted(folders, key=_natural):
        for split in _SPLITS:
            folder = os.path.join(folders[part], split)
            if not tf.io.gfile.glob(os.path.join(folder, "*tfevents*")):
                continue
            events = EventAccumulator(folder, size_guidance={"tensors": 0}).Reload()
            for tag in events.Tags()["tensors"]:
                if tag.startswith(_EPOCH):
                    # Training that was killed and went on has written its last epoch twice.
                    by_step = {e.step: float(tensor_util.make_ndarray(e.tensor_proto)) for e in events.Tensors(tag)}
                    found.append(TrainingCurve(
                        part, tag.removeprefix(_EPOCH), split, [by_step[s] for s in sorted(by_step)]))
    return found


def _folders(uri: str) -> list[str]:
    return [n.rstrip("/") for n in tf.io.gfile.listdir(uri) if n.rstrip("/") not in _SPLITS] \
        if tf.io.gfile.isdir(uri) else []


def _natural(name: str) -> list:
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name)]

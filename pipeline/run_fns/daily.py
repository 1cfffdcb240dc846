"""How a stage begins with an earlier day's model, and what it leaves for the next day's."""

from __future__ import annotations

import os

from models import warm_start
from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.preprocessing import vocabulary_features
from pipeline.run_fns.stage import Stage

PLAIN, STUDENT, ALIGNMENT = "plain", "student", "alignment"


def start_ctr_model(stage: Stage, model: CTRModel, name: str) -> None:
    """Gives an ID model with initial weights those that an earlier day's run ended with, where there is one.

    Args:
        stage: says which earlier model, and what is not taken over.
        model: the model; it is changed.
        name: `PLAIN` or `STUDENT`.
    """
    earlier = stage.earlier_model and warm_start.load(stage.earlier_model, name)
    if not earlier:
        return
    now = {f.name: tuple(stage.tft_output.vocabulary_by_name(f"{f.name}_vocabulary"))
           for f in vocabulary_features(stage.spec)}
    before = warm_start.read_values(warm_start.vocabularies(stage.earlier_model), earlier)
    _tell(stage, warm_start.take_over(model, earlier, now, before))


def start_alignment(stage: Stage, model: AlignmentModel) -> None:
    """Likewise for the alignment: the ID model is the earlier day's student."""
    if stage.earlier_model:
        start_ctr_model(stage, model.ctr_model, STUDENT)
        _tell(stage, warm_start.load_layers(_layers(stage, model), stage.earlier_model, ALIGNMENT))


def start_output_layer(stage: Stage, student: CTRModel) -> None:
    """Gives an aligned student the earlier student's output layer, or else a new one (sec. 4.3)."""
    earlier = stage.earlier_model and warm_start.load(stage.earlier_model, STUDENT)
    if not earlier or not warm_start.take_over_output_layer(student, earlier):
        student.reset_output_layer(stage.log_odds)


def leave_ctr_model(fn_args, model: CTRModel, name: str) -> None:
    """Keeps an ID model for the next day, where there is one."""
    if _daily(fn_args):
        warm_start.save(model, _uri(fn_args.serving_model_dir), name)


def leave_alignment(fn_args, stage: Stage, model: AlignmentModel) -> None:
    """Keeps the alignment's own layers likewise."""
    if _daily(fn_args):
        warm_start.save_layers(_layers(stage, model), _uri(fn_args.serving_model_dir), ALIGNMENT)


def hand_on(fn_args) -> None:
    """Puts beside a model what those before it left, so that the last of a run has all that the next day needs."""
    if not _daily(fn_args):
        return
    target, custom = _uri(fn_args.serving_model_dir), fn_args.custom_config
    warm_start.copy(_uri(fn_args.base_model), target)
    if custom.get("plain_model"):
        warm_start.copy(custom["plain_model"], target)
    if custom.get("vocabularies"):
        warm_start.copy_vocabularies(custom["vocabularies"], target)


def _layers(stage: Stage, model: AlignmentModel) -> dict:
    layers = {"text_projection": model.text_projection, "tabular_projection": model.tabular_projection,
              "contrastive_loss": model.contrastive_loss}
    if model.tower.trainable_weights:
        layers[f"language model {stage.config.language_model}"] = model.tower
    return layers


def _tell(stage: Stage, left: list[str]) -> None:
    for line in left if stage.is_chief else ():
        stage.progress(f"not taken over from the earlier day's model: {line}")


def _daily(fn_args) -> bool:
    return fn_args.custom_config.get("span") is not None


def _uri(serving_model_dir: str) -> str:
    """The artifact that a folder to be served is of."""
    return os.path.dirname(serving_model_dir.rstrip("/"))

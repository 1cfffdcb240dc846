"""Stage 2: the aligned ID model learns clicks, and what its teacher knows (sec. 4.3)."""

from __future__ import annotations

import os
from collections.abc import Callable

import keras
import tensorflow as tf

from models import distribution
from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.distiller import Distiller
from models.folds import Folds
from models.soft_labels import write_soft_labels
from models.teacher_model import TeacherModel
from pipeline.run_fns import daily
from pipeline.run_fns.alignment import ALIGNED, new_alignment_model
from pipeline.run_fns.stage import Stage
from pipeline.run_fns.warmup_rows import of_raw_examples
from serving.export import export_ctr_model

STUDENT_WEIGHTS = "student.weights.h5"


def train(stage: Stage, on_teacher: Callable[[TeacherModel], None] | None = None) -> CTRModel:
    """Fine-tunes teachers and then the student, all from the aligned weights in `stage.base_model`.

    Args:
        stage: a stage that reads text where soft labels are asked for.
        on_teacher: called with each teacher once it is trained; the mean of their logits
            is the prediction of all.

    Returns:
        The student, which computes in float32.
    """
    return distil(stage, lambda: _new_student(stage), lambda: _new_teacher(stage), on_teacher)


def distil(stage: Stage, new_student: Callable[[], CTRModel], new_teacher: Callable[[], keras.Model],
           on_teacher: Callable[[keras.Model], None] | None = None) -> CTRModel:
    """Trains teachers, and a student on what they know.

    Args:
        stage: says how, and on what.
        new_student: makes the student.
        new_teacher: makes a teacher, any model of logits; it is called for each.
        on_teacher: as for `train`.

    Returns:
        The student, which computes in float32.
    """
    options = stage.config.distillation
    with stage.scope():
        teacher, soft_labels = None, []
        if options.weight > 0 and options.folds > 1:
            soft_labels = [_soft_labels(stage, Folds(options.folds), fold, new_teacher, on_teacher)
                           for fold in range(options.folds)]
        elif options.weight > 0:
            teacher = _trained(stage, "teacher", new_teacher)
            if on_teacher is not None:
                on_teacher(teacher)
        stage.name = "student"
        student = new_student()
        distiller = Distiller(student, teacher, weight=options.weight, temperature=options.temperature,
            feature_weight=options.feature_weight, soft_labels=bool(soft_labels))
        stage.build(distiller)
        stage.compile(distiller)
        stage.fit_on_clicks(distiller, "student", stage.config.training.epochs, text=teacher is not None,
            soft_labels=soft_labels)
    return stage.trained(student)


def run_fn(fn_args) -> None:
    """Trains teacher and student; exports the student."""
    stage = Stage.from_fn_args(fn_args, "student")
    student = train(stage)
    if not stage.is_chief:
        return
    # Kept beside the training curves: the Keras weights behind the exported graph.
    student.save_weights(os.path.join(fn_args.model_run_dir, STUDENT_WEIGHTS))
    export_ctr_model(student, stage.tft_output, stage.spec, fn_args.serving_model_dir,
                     warmup_rows=of_raw_examples(fn_args.custom_config["raw_examples"]))
    daily.hand_on(fn_args)
    daily.leave_ctr_model(fn_args, student, daily.STUDENT)


def _soft_labels(stage: Stage, folds: Folds, fold: int, new_teacher, on_teacher) -> str:
    """The file of a fold's rows with soft labels by a teacher of all other rows."""
    teacher = _trained(stage, f"teacher-{fold + 1}", new_teacher, keep=folds.without(fold))
    if on_teacher is not None:
        on_teacher(teacher)
    path = os.path.join(stage.checkpoint_dir, "soft_labels", f"fold-{fold}.gz")
    if stage.is_chief and not tf.io.gfile.exists(path):
        rows = stage.dataset(
            "train", stage.click_batch, keep=folds.only(fold), with_records=True, whole=True)
        write_soft_labels(teacher, rows, path)
    distribution.barrier(stage.strategy)
    return path


def _trained(stage: Stage, part: str, new_teacher, **rows) -> keras.Model:
    teacher = new_teacher()
    stage.build(teacher)
    stage.compile(teacher)
    stage.name = part
    stage.fit_on_clicks(teacher, part, stage.config.distillation.teacher_epochs, **rows)
    return teacher


def _new_teacher(stage: Stage) -> TeacherModel:
    # A teacher keeps both modalities, so it has an aligned model of its own to train.
    aligned = _aligned(stage)
    aligned.ctr_model.reset_output_layer()
    teacher = TeacherModel(aligned.ctr_model, aligned.tower, text_projection=aligned.text_projection)
    teacher.output_layer.bias.assign([stage.log_odds])
    return teacher


def _new_student(stage: Stage) -> CTRModel:
    student = _aligned(stage).ctr_model
    # Sec. 4.3: a new output layer on the aligned representation.
    daily.start_output_layer(stage, student)
    return student


def _aligned(stage: Stage) -> AlignmentModel:
    model = new_alignment_model(stage)
    model.load_weights(os.path.join(stage.base_model, ALIGNED))
    return model

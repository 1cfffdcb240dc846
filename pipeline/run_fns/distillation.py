"""Stage 2: the aligned ID model learns clicks, and what its teacher knows (sec. 4.3)."""

from __future__ import annotations

import os

from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.distiller import Distiller
from models.precision import in_float32
from models.teacher_model import TeacherModel
from pipeline.run_fns.alignment import ALIGNED, new_alignment_model
from pipeline.run_fns.stage import Stage
from serving.export import export_ctr_model

STUDENT_WEIGHTS = "student.weights.h5"


def train(stage: Stage) -> tuple[CTRModel, TeacherModel | None]:
    """Fine-tunes the teacher and then the student, both from the aligned weights in `stage.base_model`.

    Returns:
        The student, which computes in float32, and the teacher, None where no soft labels are asked for.
    """
    options = stage.config.distillation
    with stage.precision():
        teacher = _trained_teacher(stage) if options.weight > 0 else None
        stage.name = "student"
        student = _aligned(stage).ctr_model
        # Sec. 4.3: a new output layer on the aligned representation.
        student.reset_output_layer()
        distiller = Distiller(student, teacher, weight=options.weight, temperature=options.temperature,
            feature_weight=options.feature_weight)
        stage.build(distiller)
        stage.compile(distiller)
        stage.fit_on_clicks(distiller, "student", stage.config.training.epochs, text=teacher is not None)
    return in_float32(student), teacher


def run_fn(fn_args) -> None:
    """Trains teacher and student; exports the student."""
    stage = Stage.from_fn_args(fn_args, "student")
    student, _ = train(stage)
    # Kept beside the training curves: the Keras weights behind the exported graph.
    student.save_weights(os.path.join(fn_args.model_run_dir, STUDENT_WEIGHTS))
    export_ctr_model(student, stage.tft_output, stage.spec, fn_args.serving_model_dir)


def _trained_teacher(stage: Stage) -> TeacherModel:
    # The teacher keeps both modalities, so it has an aligned model of its own to train.
    aligned = _aligned(stage)
    aligned.ctr_model.reset_output_layer()
    teacher = TeacherModel(aligned.ctr_model, aligned.tower, text_projection=aligned.text_projection)
    stage.build(teacher)
    stage.compile(teacher)
    stage.name = "teacher"
    stage.fit_on_clicks(teacher, "teacher", stage.config.distillation.teacher_epochs)
    return teacher


def _aligned(stage: Stage) -> AlignmentModel:
    model = new_alignment_model(stage)
    model.load_weights(os.path.join(stage.base_model, ALIGNED))
    return model

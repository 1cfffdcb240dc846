"""The keys `distillation.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import Part


class Distillation(Part):
    """Stage 2 (arXiv 2306.02841, sec. 4.3, and a soft-label term of ours).

    Args:
        weight: of the teacher's soft labels; 0 is the paper, and trains no teacher.
        temperature: of the soft labels.
        folds: teachers, each trained on all rows but its fold of them, on which it makes
            the soft labels: none is of a row that its teacher had seen. 1: a single
            teacher of all rows.
        feature_weight: of the distance of the student's representation from the
            teacher's; 0 leaves that term out. Only with `folds` of 1.
        teacher_epochs: at most so many.
    """

    weight: float = pydantic.Field(2.0, ge=0)
    temperature: float = pydantic.Field(1.0, gt=0)
    folds: int = pydantic.Field(4, ge=1)
    feature_weight: float = pydantic.Field(0.0, ge=0)
    teacher_epochs: int = pydantic.Field(8, ge=1)

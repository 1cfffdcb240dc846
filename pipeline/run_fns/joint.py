"""Both stages at once, the ablation "end to end" (arXiv 2306.02841, sec. 5.6.1); no part of the pipeline."""

from __future__ import annotations

from models.ctr_model import CTRModel
from models.joint_model import JointModel
from pipeline.run_fns.alignment import new_alignment_model
from pipeline.run_fns.stage import Stage


def train(stage: Stage, weight: float) -> CTRModel:
    """The backbone, trained on clicks and on its agreement with the text together.

    Batches, optimizer and early stopping are those of the training on clicks.

    Args:
        stage: a stage that reads text.
        weight: of the contrastive loss.
    """
    with stage.scope():
        alignment = new_alignment_model(stage)
        model = JointModel(alignment, weight)
        stage.build(model)
        stage.compile(model)
        stage.fit_on_clicks(model, f"joint-{weight:g}", stage.config.training.epochs)
    return alignment.ctr_model

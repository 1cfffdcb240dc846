"""The plain backbone: clicks only, no text. What alignment is measured against."""

from __future__ import annotations

from models.ctr_model import CTRModel
from pipeline.run_fns import daily
from pipeline.run_fns.stage import Stage
from serving.export import export_ctr_model


def train(stage: Stage) -> CTRModel:
    """The backbone, trained on clicks alone; it computes in float32."""
    with stage.scope():
        model = stage.new_ctr_model()
        daily.start_ctr_model(stage, model, daily.PLAIN)
        stage.compile(model)
        stage.fit_on_clicks(model, "plain", stage.config.training.epochs, text=False)
    return stage.trained(model)


def run_fn(fn_args) -> None:
    """Trains the backbone and exports it like the student."""
    stage = Stage.from_fn_args(fn_args, "plain backbone")
    model = train(stage)
    if stage.is_chief:
        export_ctr_model(model, stage.tft_output, stage.spec, fn_args.serving_model_dir)
        daily.leave_ctr_model(fn_args, model, daily.PLAIN)

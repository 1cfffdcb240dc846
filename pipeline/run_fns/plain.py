"""The plain backbone: clicks only, no text. What alignment is measured against."""

from __future__ import annotations

from models.training import compile_ctr
from pipeline.run_fns.stage import Stage
from serving.export import export_ctr_model


def run_fn(fn_args) -> None:
    """Trains the backbone on clicks and exports it like the student."""
    stage = Stage(fn_args, "plain backbone")
    options = stage.config.training
    model = stage.new_ctr_model()
    compile_ctr(model, learning_rate=options.learning_rate, weight_decay=options.weight_decay)
    stage.fit_on_clicks(model, "plain", options.epochs)
    export_ctr_model(model, stage.tft_output, stage.spec, fn_args.serving_model_dir)

"""Stage 1: the ID model and the language model are aligned (arXiv 2306.02841, sec. 4.2)."""

from __future__ import annotations

import os

import keras
import tensorflow as tf

from models import alignment_snapshot, distribution, training
from models.alignment_model import AlignmentModel
from models.preprocessing import FROZEN
from pipeline.run_fns import daily
from pipeline.run_fns.stage import Stage
from pipeline.settings.alignment import Alignment

ALIGNED = "aligned.weights.h5"
SNAPSHOTS = "alignment_snapshots.npz"
# Rows that are looked at before and after.
_SNAPSHOT_ROWS = 128


def new_alignment_model(stage: Stage) -> AlignmentModel:
    """The alignment model of a stage's configuration, built, with initial weights."""
    options = stage.config.alignment
    model = AlignmentModel(
        stage.new_ctr_model(), stage.new_tower(),
        num_subspaces=options.num_subspaces, width=options.subspace_width,
        temperature=options.temperature, normalize=options.normalize,
        learn_temperature=options.learn_temperature, chunk_size=options.chunk_size,
        masked_features=options.masked_features, mask_share=options.mask_share)
    stage.build(model)
    return model


def compile_alignment(model: AlignmentModel, options: Alignment, steps: int,
                      large_table: int = training.LARGE_TABLE) -> AlignmentModel:
    """Gives a model the optimizer of stage 1, for a training of `steps` in all; returns it."""
    warmup = int(steps * options.warmup_share)
    schedule = keras.optimizers.schedules.CosineDecay(
        options.warmup_from if warmup else options.learning_rate,
        decay_steps=max(1, steps - warmup), alpha=0.1,
        warmup_target=options.learning_rate if warmup else None, warmup_steps=warmup)
    model.compile(
        optimizer=training.new_adamw(model, schedule, options.weight_decay, large_table),
        jit_compile=options.jit_compile)
    return model


def train(stage: Stage) -> AlignmentModel:
    """Aligns both models, and keeps how they saw one validation batch before and after, where one replica trains."""
    options = stage.config.alignment
    if stage.config.text_mode != FROZEN:
        stage.tell_of_cut_sentences()
    with stage.scope():
        model = new_alignment_model(stage)
        daily.start_alignment(stage, model)
        batch_size = stage.batch_size(stage.alignment_batch, stage.rows("train"))
        compile_alignment(model, options, stage.rows("train") // batch_size * options.epochs,
                          stage.config.training.large_table)
        # Of several replicas none sees a whole batch.
        alone = stage.strategy.num_replicas_in_sync == 1
        if alone:
            shown, _ = next(iter(stage.dataset("validation", _SNAPSHOT_ROWS).take(1)))
            before = alignment_snapshot.snapshot(model, shown)
        stage.fit(
            model, "alignment",
            stage.dataset("train", batch_size, training_order=True),
            stage.dataset("validation", min(batch_size, stage.rows("validation"))),
            epochs=options.epochs, monitor="val_loss", mode="min", patience=options.epochs)
        if alone:
            tf.io.gfile.makedirs(stage.log_dir)
            alignment_snapshot.save(os.path.join(stage.log_dir, SNAPSHOTS), before=before,
                                    after=alignment_snapshot.snapshot(model, shown))
    return model


def run_fn(fn_args) -> None:
    """Aligns and saves both models' weights for stage 2."""
    stage = Stage.from_fn_args(fn_args, "alignment")
    model = train(stage)
    if stage.is_chief:
        tf.io.gfile.makedirs(fn_args.serving_model_dir)
    distribution.save_weights(model, os.path.join(fn_args.serving_model_dir, ALIGNED))
    if stage.is_chief:
        daily.leave_alignment(fn_args, stage, model)

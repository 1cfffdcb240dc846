"""The keys `training.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import BatchSize, Part


class Training(Part):
    """How a model is trained on clicks: plain backbone, teacher and student alike.

    Args:
        epochs: at most so many; training stops early on the validation AUC.
        patience: epochs without a better validation AUC before it stops.
        batch_size: rows a step; 0 takes as many as leave an epoch 100 steps, a power of two from 32 to 4,096.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        embedding_l2: L2 penalty on the embeddings: its weight times the sum of their squares.
        ema_epochs: what is validated and kept is an exponential moving average of the
            weights over about so many epochs; 0 takes the weights themselves.
        shuffle_buffer: rows held in memory to shuffle.
        large_table: rows from which on an embedding table is updated only where a batch read it, so that
            a step does not grow with the table; a row that was not read neither decays nor moves.
        jit_compile: whether steps are compiled by XLA; on one device only.
    """

    epochs: int = pydantic.Field(10, ge=1)
    patience: int = pydantic.Field(2, ge=1)
    batch_size: BatchSize = 0
    learning_rate: float = pydantic.Field(1e-3, gt=0)
    weight_decay: float = pydantic.Field(1e-5, ge=0)
    embedding_l2: float = pydantic.Field(0.0, ge=0)
    ema_epochs: float = pydantic.Field(0.7, ge=0)
    shuffle_buffer: int = pydantic.Field(200_000, ge=1)
    large_table: int = pydantic.Field(1_000_000, ge=1)
    jit_compile: bool = False

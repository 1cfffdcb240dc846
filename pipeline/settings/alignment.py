"""The keys `alignment.*` of a run configuration."""

from __future__ import annotations

import pydantic

from pipeline.settings.part import BatchSize, Part


class Alignment(Part):
    """Stage 1 (arXiv 2306.02841, sec. 4.2).

    Args:
        epochs: passes over the training split.
        batch_size: rows a step, and so the number of in-batch negatives plus one; 0 takes as many as leave an
            epoch 50 steps, a power of two from 32 to 1,024.
        learning_rate: AdamW's peak; warmed up from `warmup_from`.
        warmup_from: learning rate of the first step.
        weight_decay: of AdamW.
        warmup_share: share of all steps spent warming up.
        temperature: of the contrastive loss. The paper's 0.7 goes with its own,
            unstated, scale of the similarity.
        learn_temperature: whether it is trained, from there.
        num_subspaces: the number M of sub-vectors of the fine-grained similarity.
        subspace_width: dimensions of one sub-vector.
        normalize: whether sub-vectors have unit length.
        chunk_size: rows that are encoded and compared at once, by gradient caching (arXiv
            2101.06983), for batches larger than memory; 0 takes the whole batch.
        masked_features: weight of recovering hidden fields from the text (FLIP, arXiv
            2310.19453) beside the contrastive loss; 0 leaves it out.
        mask_share: share of a row's categorical and numeric fields that is hidden.
        jit_compile: whether steps are compiled by XLA; on one device, and without `chunk_size`.
    """

    epochs: int = pydantic.Field(1, ge=1)
    batch_size: BatchSize = 0
    learning_rate: float = pydantic.Field(5e-4, gt=0)
    warmup_from: float = pydantic.Field(1e-5, gt=0)
    weight_decay: float = pydantic.Field(1e-5, ge=0)
    warmup_share: float = pydantic.Field(0.1, ge=0, lt=1)
    temperature: float = pydantic.Field(0.1, gt=0)
    learn_temperature: bool = False
    num_subspaces: int = pydantic.Field(2, ge=1)
    subspace_width: int = pydantic.Field(64, ge=1)
    normalize: bool = True
    chunk_size: int = pydantic.Field(0, ge=0)
    masked_features: float = pydantic.Field(0.0, ge=0)
    mask_share: float = pydantic.Field(0.15, gt=0, lt=1)
    jit_compile: bool = False

"""The keys `distribution.*` of a run configuration."""

from __future__ import annotations

from typing import Literal

from pipeline.settings.part import Part


class Distribution(Part):
    """The devices and machines that a model is trained on; see docs/training.md.

    Args:
        strategy: `one_device`; `mirrored`, all GPUs of this machine; `multi_worker`, the
            machines of `TF_CONFIG`; `tpu`; `auto`: `multi_worker` where `TF_CONFIG` names
            several machines, else `mirrored` where there are several GPUs, else `one_device`.
        tpu: name or address of the TPU; empty for that of this machine.
        embedding_device: `cpu` keeps the ID model's embedding tables, and what the optimizer holds
            of them, in the machine's memory, for tables that a GPU has no room for; one device only.
    """

    strategy: Literal["auto", "one_device", "mirrored", "multi_worker", "tpu"] = "auto"
    tpu: str = ""
    embedding_device: Literal["auto", "cpu"] = "auto"

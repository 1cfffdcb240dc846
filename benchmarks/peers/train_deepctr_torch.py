"""A contender of `benchmarks.speed`: DeepCTR-Torch, run by the Python of its own environment.

    python train_deepctr_torch.py JOB.json autoint|dcnv2

Its own models and its own `fit`, without their linear part over the ids, L2 penalties and
metrics, none of which the other contenders have. Its towers keep a bias before the batch
normalisation, a few hundred parameters more.
"""

import json
import sys
import time
from importlib import metadata

import numpy as np
import torch
from deepctr_torch.callbacks import Callback
from deepctr_torch.inputs import SparseFeat
from deepctr_torch.models import DCN, AutoInt


class Timer(Callback):
    """Seconds of each epoch."""

    def __init__(self):
        super().__init__()
        self.seconds = []

    def on_epoch_begin(self, epoch, logs=None):
        self._start = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        self.seconds.append(time.perf_counter() - self._start)


def build(job, name):
    """AutoInt or DCNv2 of the sizes that the job says."""
    columns = [SparseFeat(field, size, job["embedding_dim"]) for field, size in job["num_ids"].items()]
    common = {"dnn_hidden_units": job["hidden_units"], "dnn_dropout": job["dropout"], "dnn_use_bn": True,
              "l2_reg_embedding": 0, "seed": job["seed"]}
    if name == "autoint":
        return AutoInt([], columns, att_layer_num=job["num_layers"], att_head_num=job["num_heads"], **common)
    return DCN([], columns, cross_num=job["num_layers"], cross_parameterization="matrix", l2_reg_linear=0,
               l2_reg_cross=0, **common)


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(job["threads"])
    arrays = dict(np.load(job["arrays"]))
    model = build(job, sys.argv[2])
    optimizer = (
        torch.optim.Adam(model.parameters(), lr=job["learning_rate"]) if job["optimizer"] == "adam" else
        torch.optim.AdamW(model.parameters(), lr=job["learning_rate"], weight_decay=job["weight_decay"]))
    model.compile(optimizer, "binary_crossentropy")
    timer = Timer()
    label = arrays.pop("label").astype(np.float32)
    model.fit(arrays, label, batch_size=job["batch_size"], epochs=1 + job["epochs"], verbose=0, callbacks=[timer])
    print(json.dumps({
        "rows_per_second": job["epochs"] * len(label) / sum(timer.seconds[1:]),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": {"DeepCTR-Torch": metadata.version("deepctr-torch"), "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()

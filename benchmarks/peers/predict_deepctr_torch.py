"""A contender of `benchmarks.serving`: DeepCTR-Torch's predictions, run by the Python of its own environment.

    python predict_deepctr_torch.py JOB.json

AutoInt as `train_deepctr_torch.py` builds it, with its initial weights. Timed are its own `predict`,
one batch a call, and, which favours it, its network alone on a tensor that is ready.
"""

import json
import os
import sys
from importlib import metadata

import numpy as np
import torch


def main():
    # Isolated, Python does not look for modules beside the script.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from timing import timed
    from train_deepctr_torch import build

    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(job["threads"])
    model = build(job, "autoint").eval()
    arrays = dict(np.load(job["arrays"]))
    arrays.pop("label")
    found = {"predict": {}, "forward": {}}
    for rows in job["rows"]:
        batches = [{name: ids[i * rows:(i + 1) * rows] for name, ids in arrays.items()} for i in range(job["batches"])]
        tensors = [torch.from_numpy(np.column_stack(list(batch.values()))).float() for batch in batches]
        for batch in batches:
            model.predict(batch, batch_size=rows)
        found["predict"][rows] = timed(lambda i, b=batches, n=rows: model.predict(b[i], batch_size=n), job)
        with torch.no_grad():
            found["forward"][rows] = timed(lambda i, t=tensors: model(t[i]).numpy(), job)
    print(json.dumps({
        "seconds": found,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": {"DeepCTR-Torch": metadata.version("deepctr-torch"), "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()

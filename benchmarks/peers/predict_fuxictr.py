"""A contender of `benchmarks.serving`: FuxiCTR's predictions, run by the Python of its own environment.

    python predict_fuxictr.py JOB.json

AutoInt as `train_fuxictr.py` puts it together, with its initial weights. Timed are its own `predict`,
with a loader that is made beforehand and reads in this process, and, which favours it, the network
alone on a batch that is ready.
"""

import json
import os
import sys
import tempfile
from importlib import metadata

import numpy as np
import torch
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.torch_utils import seed_everything


def main():
    # Isolated, Python does not look for modules beside the script.
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from timing import timed
    from train_fuxictr import AutoInt, features

    with open(sys.argv[1], encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(job["threads"])
    seed_everything(job["seed"])
    feature_map = features(job)
    arrays = dict(np.load(job["arrays"]))
    found = {"predict": {}, "forward": {}}
    with tempfile.TemporaryDirectory() as folder:
        model = AutoInt(feature_map, job, folder).eval()
        for rows in job["rows"]:
            loaders = []
            for i in range(job["batches"]):
                path = os.path.join(folder, f"{rows}-{i}.npz")
                np.savez(path, **{name: ids[i * rows:(i + 1) * rows] for name, ids in arrays.items()})
                loaders.append(RankDataLoader(
                    feature_map, "test", test_data=path, batch_size=rows, shuffle=False, num_workers=0))
            ready = [next(iter(loader)) for loader in loaders]
            for loader in loaders:
                model.predict(loader)
            found["predict"][rows] = timed(lambda i, made=loaders: model.predict(made[i]), job)
            with torch.no_grad():
                found["forward"][rows] = timed(lambda i, b=ready: model.forward(b[i])["y_pred"].numpy(), job)
    print(json.dumps({
        "seconds": found,
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": {"FuxiCTR": metadata.version("fuxictr"), "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()

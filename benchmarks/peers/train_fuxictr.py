"""A contender of `benchmarks.speed`: FuxiCTR, run by the Python of its own environment.

    python train_fuxictr.py LOADER_PROCESSES JOB.json autoint|dcnv2

Its package holds the layers and the training loop, but neither of the two models: they are put
together here from its layers, as the papers have them (arXiv 1810.11921, 2008.13535). Data are
read by its loader for arrays in memory, in so many processes beside this one.
"""

import json
import sys
import tempfile
import time
from importlib import metadata

import torch
from fuxictr.features import FeatureMap
from fuxictr.pytorch.dataloaders import RankDataLoader
from fuxictr.pytorch.layers import CrossNetV2, FeatureEmbedding, MLP_Block, ScaledDotProductAttention
from fuxictr.pytorch.models import BaseModel
from fuxictr.pytorch.torch_utils import seed_everything
from torch import nn


class Timed(BaseModel):
    """FuxiCTR's training, with evaluation and checkpoints left out, and a watch."""

    def __init__(self, feature_map, job, folder):
        super().__init__(feature_map, model_root=folder, metrics=["AUC"], verbose=0)
        self.seconds = []
        self.embedding = FeatureEmbedding(feature_map, job["embedding_dim"])
        self.tower = MLP_Block(
            feature_map.sum_emb_out_dim(), hidden_units=job["hidden_units"], dropout_rates=job["dropout"],
            batch_norm=True, use_bias=False)

    def ready(self, job, width):
        """The output layer and the optimizer, once all other layers are there."""
        self.fc = nn.Linear(width + job["hidden_units"][-1], 1)
        self.compile({"adam": "Adam", "adamw": "AdamW"}[job["optimizer"]], "binary_crossentropy", job["learning_rate"])
        for group in self.optimizer.param_groups:
            group["weight_decay"] = job["weight_decay"] if job["optimizer"] == "adamw" else 0
        self.reset_parameters()

    def forward(self, inputs):
        vectors = self.embedding(self.get_inputs(inputs))
        flat = vectors.flatten(start_dim=1)
        logit = self.fc(torch.cat([self.interact(vectors, flat), self.tower(flat)], dim=-1))
        return {"y_pred": self.output_activation(logit)}

    def train_epoch(self, data):
        start = time.perf_counter()
        super().train_epoch(data)
        self.seconds.append(time.perf_counter() - start)

    def eval_step(self):
        pass

    def load_weights(self, checkpoint):
        pass


class AutoInt(Timed):
    def __init__(self, feature_map, job, folder):
        super().__init__(feature_map, job, folder)
        width = job["embedding_dim"]
        self.layers = nn.Sequential(*(Interacting(width, job["num_heads"]) for _ in range(job["num_layers"])))
        self.ready(job, feature_map.num_fields * width)

    def interact(self, vectors, flat):
        return self.layers(vectors).flatten(start_dim=1)


class Interacting(nn.Module):
    """Multi-head attention over the fields, a residual projection and a ReLU."""

    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.residual = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.attention = ScaledDotProductAttention()

    def forward(self, x):
        rows, fields, width = x.shape
        query, key, value = (
            layer(x).view(rows, fields, self.heads, -1).transpose(1, 2) for layer in (self.query, self.key, self.value))
        attended, _ = self.attention(query, key, value)
        return (attended.transpose(1, 2).reshape(rows, fields, width) + self.residual(x)).relu()


class DCNv2(Timed):
    def __init__(self, feature_map, job, folder):
        super().__init__(feature_map, job, folder)
        self.crosses = CrossNetV2(feature_map.sum_emb_out_dim(), job["num_layers"])
        self.ready(job, feature_map.sum_emb_out_dim())

    def interact(self, vectors, flat):
        return self.crosses(flat)


def features(job):
    """FuxiCTR's description of the job's fields."""
    feature_map = FeatureMap("speed", "")
    feature_map.default_emb_dim = job["embedding_dim"]
    feature_map.labels = ["label"]
    for field, size in job["num_ids"].items():
        feature_map.features[field] = {"source": "", "type": "categorical", "vocab_size": size}
    feature_map.num_fields = feature_map.get_num_fields()
    feature_map.set_column_index()
    return feature_map


def main():
    workers, path, name = sys.argv[1:]
    with open(path, encoding="utf-8") as file:
        job = json.load(file)
    torch.set_num_threads(job["threads"])
    seed_everything(job["seed"])
    feature_map = features(job)
    data, _ = RankDataLoader(
        feature_map, "train", train_data=job["arrays"], batch_size=job["batch_size"], shuffle=True,
        num_workers=int(workers))
    with tempfile.TemporaryDirectory() as folder:
        model = {"autoint": AutoInt, "dcnv2": DCNv2}[name](feature_map, job, folder)
        model.fit(data, epochs=1 + job["epochs"])
    print(json.dumps({
        "rows_per_second": job["epochs"] * data.num_samples / sum(model.seconds[1:]),
        "parameters": sum(p.numel() for p in model.parameters() if p.requires_grad),
        "versions": {"FuxiCTR": metadata.version("fuxictr"), "torch": torch.__version__},
    }))


if __name__ == "__main__":
    main()

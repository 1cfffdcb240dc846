"""Language models in Hugging Face folders that keras-hub alone cannot load."""

from __future__ import annotations

import contextlib
import json
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import keras_hub
import numpy as np
from safetensors.numpy import load_file, save_file

from models.language_model_source import ROBERTA_FIRST_POSITION

WEIGHTS = "model.safetensors"
# Families that keras-hub converts, and their poolers, which nothing here reads.
_POOLERS = {"bert": "bert.pooler.dense", "albert": "albert.pooler", "distilbert": None}
# keras-hub's name of a layer to Hugging Face's.
_ROBERTA_LAYERS = {
    "embeddings/token_embedding": "embeddings.word_embeddings",
    "embeddings/position_embedding": "embeddings.position_embeddings",
    "embeddings_layer_norm": "embeddings.LayerNorm",
    "self_attention_layer/query": "attention.self.query",
    "self_attention_layer/key": "attention.self.key",
    "self_attention_layer/value": "attention.self.value",
    "self_attention_layer/attention_output": "attention.output.dense",
    "self_attention_layer_norm": "attention.output.LayerNorm",
    "feedforward_intermediate_dense": "intermediate.dense",
    "feedforward_output_dense": "output.dense",
    "feedforward_layer_norm": "output.LayerNorm",
}


def model_type(folder: pathlib.Path) -> str | None:
    """The family that a folder's `config.json` names; None for a folder in keras-hub's layout."""
    return json.loads((folder / "config.json").read_text(encoding="utf-8")).get("model_type")


@contextlib.contextmanager
def preset(folder: pathlib.Path) -> Iterator[str]:
    """A folder that keras-hub's `from_preset` can load, while the context lasts.

    keras-hub wants the names that the weights have in a model with a head. A bare model (as
    sentence-transformers saves it) names them without the family, newer BERTs name their
    normalisations otherwise, and a masked-LM model has no pooler: such a folder is copied
    with the weights as keras-hub expects them.

    Args:
        folder: in keras-hub's or Hugging Face's layout.

    Example:

    ```python
    with preset(pathlib.Path("my_bert")) as path:
        backbone = keras_hub.models.Backbone.from_preset(path)
    ```
    """
    family = model_type(folder)
    if family not in _POOLERS or not (folder / WEIGHTS).is_file():
        yield str(folder)
        return
    weights = load_file(folder / WEIGHTS)
    prefix = "" if any(name.startswith(f"{family}.") for name in weights) else f"{family}."
    weights = {prefix + name: value for name, value in weights.items() if not name.endswith("position_ids")}
    if family == "bert":
        weights = {
            name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
            for name, value in weights.items()}
    pooler = _POOLERS[family]
    if pooler and f"{pooler}.weight" not in weights:
        width = json.loads((folder / "config.json").read_text(encoding="utf-8"))["hidden_size"]
        weights[f"{pooler}.weight"] = np.zeros((width, width), np.float32)
        weights[f"{pooler}.bias"] = np.zeros(width, np.float32)
    with tempfile.TemporaryDirectory(prefix="language_model_") as copy:
        save_file(weights, pathlib.Path(copy) / WEIGHTS)
        for path in folder.iterdir():
            if path.is_file() and path.name != WEIGHTS:
                shutil.copy(path, copy)
        yield copy


def roberta_backbone(folder: pathlib.Path) -> keras_hub.models.RobertaBackbone:
    """RoBERTa (arXiv 1907.11692) with its weights, which keras-hub has no converter for.

    RoBERTa has one segment: its embedding is added to each position's.

    Args:
        folder: holds `config.json` and `model.safetensors`.

    Raises:
        OSError, KeyError, ValueError: they lack something, or do not fit each other.

    Example:

    ```python
    backbone = roberta_backbone(pathlib.Path("roberta-base"))
    ```
    """
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    weights = {
        name.removeprefix("roberta.").replace("LayerNorm.gamma", "LayerNorm.weight").replace(
            "LayerNorm.beta", "LayerNorm.bias"): value
        for name, value in load_file(folder / WEIGHTS).items()}
    positions = "embeddings.position_embeddings.weight"
    segment = weights["embeddings.token_type_embeddings.weight"][0]
    weights[positions] = weights[positions][ROBERTA_FIRST_POSITION:] + segment
    backbone = keras_hub.models.RobertaBackbone(
        vocabulary_size=config["vocab_size"], num_layers=config["num_hidden_layers"],
        num_heads=config["num_attention_heads"], hidden_dim=config["hidden_size"],
        intermediate_dim=config["intermediate_size"], dropout=config["hidden_dropout_prob"],
        max_sequence_length=config["max_position_embeddings"] - ROBERTA_FIRST_POSITION)
    for variable in backbone.weights:
        layer, _, kind = variable.path.rpartition("/")
        block, _, inner = layer.partition("/")
        number = block.removeprefix("transformer_layer_")
        place = f"encoder.layer.{number}.{_ROBERTA_LAYERS[inner]}" if number != block else _ROBERTA_LAYERS[layer]
        value = weights[f"{place}.{'bias' if kind in ('bias', 'beta') else 'weight'}"]
        variable.assign(np.reshape(value.T if kind == "kernel" else value, variable.shape))
    return backbone


def roberta_tokenizer(folder: pathlib.Path) -> keras_hub.models.RobertaTokenizer:
    """RoBERTa's byte-level BPE.

    Args:
        folder: holds `vocab.json` and `merges.txt`.

    Raises:
        OSError, ValueError: they are not there, or lack a special token.

    Example:

    ```python
    roberta_tokenizer(pathlib.Path("roberta-base"))(["a red lamp"])
    ```
    """
    return keras_hub.models.RobertaTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"))

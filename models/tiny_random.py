"""The language model `tiny-random`: untrained, for tests and for trying a pipeline out."""

from __future__ import annotations

import string

import keras
import keras_hub
import numpy as np

NAME = "tiny-random"
_SEED = 20230605
_WORDS = (
    "a age and are as at by category city context day device family female for from genre has he "
    "history home hour in is it item like liked male movie name new not occupation of old on one or "
    "over page price product rating recently red she shop style term the this title to type under "
    "unknown user was watched week who with year"
)


def vocabulary() -> list[str]:
    """Special tokens, every printable ASCII character alone and as a suffix, and common words."""
    characters = string.ascii_lowercase + string.digits
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *string.punctuation]
    tokens += [f"##{c}" for c in characters]
    return list(dict.fromkeys([*tokens, *_WORDS.split()]))


def tokenizer() -> keras_hub.models.BertTokenizer:
    """A lower-casing WordPiece tokenizer over `vocabulary()`."""
    return keras_hub.models.BertTokenizer(vocabulary=vocabulary(), lowercase=True)


def backbone() -> keras_hub.models.BertBackbone:
    """A BERT of 2 layers and width 32 whose weights are the same in every process."""
    bert = keras_hub.models.BertBackbone(
        vocabulary_size=len(vocabulary()), num_layers=2, num_heads=2, hidden_dim=32, intermediate_dim=64)
    return randomised(bert, deviation=0.2)


def randomised(backbone: keras.Model, deviation: float) -> keras.Model:
    """A new encoder with random kernels and embeddings, the same in every process.

    They come from a generator of their own, so that loading the model neither reads nor
    moves Keras's global seed.

    Args:
        backbone: a keras-hub encoder with initial weights; it is changed and returned.
        deviation: standard deviation of the weights; BERT starts from 0.02
            (arXiv 1810.04805).
    """
    generator = np.random.default_rng(_SEED)
    for weight in backbone.weights:
        if weight.path.endswith(("kernel", "embeddings")):
            weight.assign(keras.ops.convert_to_tensor(generator.normal(0, deviation, weight.shape), weight.dtype))
    return backbone

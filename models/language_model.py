"""The language model that reads the sentences."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import keras_hub
import numpy as np
import tensorflow as tf

from models import hugging_face, tiny_random
from models.language_model_source import MINILM_RANDOM, TINY_RANDOM, LanguageModelSource
from models.language_tower import LanguageTower
from models.sentence_tokenizer import SentenceTokenizer, special_ids

# What keras-hub, its download libraries and safetensors raise for a name, a network or
# a file that does not do; requests' and huggingface_hub's errors are OSErrors.
_LOAD_ERRORS = (OSError, ValueError, KeyError, ImportError, TypeError)
# Of BERT's weights before any training.
_BERT_DEVIATION = 0.02
# Batches are padded to multiples of this, so that few shapes are seen.
_LENGTH_STEP = 16


class LanguageModel:
    """A keras-hub encoder, its tokenizer, and sentence vectors: M_sem of CTRL.

    A sentence's vector is the mean of the last hidden states over its real tokens,
    `[CLS]` and `[SEP]` included (arXiv 2306.02841, sec. 4.2).

    Args:
        source: where it comes from.
        backbone: a keras-hub encoder that takes `token_ids` and `padding_mask`.
        tokenizer: its keras-hub tokenizer.

    Attributes:
        name: the name it was loaded by.
        fingerprint: see `LanguageModelSource.fingerprint`.
        pretrained: whether its weights were trained on text.
        backbone: the keras-hub encoder; trainable as any Keras layer.
        pad_id: the id of the padding token.
        width: size of a hidden state.
        num_parameters: number of weights.

    Example:

    ```python
    model = LanguageModel.load("minilm")
    vectors = model.encode(["a man is eating food"], max_tokens=64)  # float32 [1, 384]
    ```
    """

    def __init__(self, source: LanguageModelSource, backbone: keras.Model, tokenizer):
        self.name = source.name
        self.fingerprint = source.fingerprint
        self.pretrained = source.pretrained
        self.backbone = backbone
        self.tokenizer = tokenizer
        self.pad_id = tokenizer.pad_token_id
        self.num_parameters = backbone.count_params()
        token_ids = keras.Input((None,), dtype="int32")
        self._encoder = keras.Model(token_ids, LanguageTower(backbone, self.pad_id)({"token_ids": token_ids}))
        # XLA compiles anew for every shape, and batches differ in length.
        self._encoder.compile(jit_compile=False)
        self.width = self._encoder.output.shape[-1]
        self._tokenizers = {}

    @classmethod
    def load(cls, name: str) -> LanguageModel:
        """Loads a language model with its weights.

        Args:
            name: see `LanguageModelSource`.

        Raises:
            UserError: it cannot be loaded, or is no encoder; says what was tried.
        """
        source = LanguageModelSource(name)
        tokenizer = cls.tokenizer_of(name)
        if name == TINY_RANDOM:
            return cls(source, tiny_random.backbone(), tokenizer)
        try:
            if name == MINILM_RANDOM:
                backbone = keras_hub.models.Backbone.from_preset(source.preset, load_weights=False)
                return cls(source, tiny_random.randomised(backbone, _BERT_DEVIATION), tokenizer)
            if source.folder is None:
                backbone = keras_hub.models.Backbone.from_preset(source.preset)
            elif hugging_face.model_type(source.folder) == "roberta":
                backbone = hugging_face.roberta_backbone(source.folder)
            else:
                with hugging_face.preset(source.folder) as preset:
                    backbone = keras_hub.models.Backbone.from_preset(preset)
        except _LOAD_ERRORS as error:
            raise source.error(f"keras-hub found no weights there ({_brief(error)})") from error
        return cls(source, backbone, tokenizer)

    @staticmethod
    def tokenizer_of(name: str) -> keras_hub.models.Tokenizer:
        """The keras-hub tokenizer of a language model, without its weights.

        A lower-casing WordPiece tokenizer strips accents too, as BERT's own does and
        keras-hub's does not by default ("Amélie" would be one unknown token).

        Raises:
            UserError: there is none, or it has no first and last token.
        """
        source = LanguageModelSource(name)
        if name == TINY_RANDOM:
            tokenizer = tiny_random.tokenizer()
        else:
            try:
                if source.folder and hugging_face.model_type(source.folder) == "roberta":
                    tokenizer = hugging_face.roberta_tokenizer(source.folder)
                else:
                    tokenizer = keras_hub.models.Tokenizer.from_preset(source.preset)
            except _LOAD_ERRORS as error:
                raise source.error(f"keras-hub found no tokenizer there ({_brief(error)})") from error
        if any(i is None for i in special_ids(tokenizer)):
            raise source.error(
                f"{type(tokenizer).__name__} lacks a first, last or padding token; no BERT-like encoder")
        if isinstance(tokenizer, keras_hub.tokenizers.WordPieceTokenizer):
            tokenizer.strip_accents = tokenizer.lowercase
        return tokenizer

    def tokenize(self, texts: Sequence[str], max_tokens: int) -> np.ndarray:
        """Token ids of texts, see `SentenceTokenizer`.

        Args:
            texts: n texts.
            max_tokens: length of a row; a longer text loses its end.

        Returns:
            int32 [n, max_tokens], padded with `pad_id`.
        """
        if not len(texts):
            return np.zeros((0, max_tokens), np.int32)
        if max_tokens not in self._tokenizers:
            self._tokenizers[max_tokens] = SentenceTokenizer(self.tokenizer, max_tokens)
        return self._tokenizers[max_tokens](tf.constant(texts, tf.string)).numpy()

    def encode(self, texts: Sequence[str], max_tokens: int, batch_size: int = 64) -> np.ndarray:
        """Sentence vectors of texts.

        Texts of like length are encoded together, padded to the longest of them, so
        that a short text costs little.

        Args:
            texts: n texts, in any order.
            max_tokens: tokens read of a text, `[CLS]` and `[SEP]` included.
            batch_size: texts encoded together.

        Returns:
            float32 [n, width], in the order of `texts`.
        """
        token_ids = self.tokenize(texts, max_tokens)
        lengths = np.sum(token_ids != self.pad_id, axis=1)
        order = np.argsort(lengths, kind="stable")
        vectors = np.zeros((len(texts), self.width), np.float32)
        for start in range(0, len(order), batch_size):
            rows = order[start:start + batch_size]
            longest = -(-int(lengths[rows].max()) // _LENGTH_STEP) * _LENGTH_STEP
            vectors[rows] = self._encoder.predict_on_batch(token_ids[rows, :longest])
        return vectors


def _brief(error: Exception) -> str:
    return f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"

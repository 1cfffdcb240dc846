"""From sentences to the token ids that a language model reads."""

from __future__ import annotations

import re

import keras_hub
import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

_CAPITAL = re.compile("[A-Z]")


class SentenceTokenizer:
    """Makes rows `[CLS] ... [SEP]` of token ids, the same in every text mode.

    WordPiece (BERT, DistilBERT), byte-level BPE (RoBERTa) and SentencePiece (ALBERT)
    alike. It can be mapped over a `tf.data.Dataset`.

    A SentencePiece tokenizer without capital letters in its vocabulary, as ALBERT's, is given
    lower case without accents, as ALBERT's own does and keras-hub's does not: every
    capital would be an unknown token.

    Args:
        tokenizer: a keras-hub tokenizer with a first, a last and a padding token.
        max_tokens: length of a row; a longer sentence loses its end. Of a row's several
            sentences the one with the most tokens loses its last one until they fit, so
            that a user's long history does not push the item out.

    Call arguments:
        sentences: string tensor `[batch]`, or `[batch, sentences]` to be read one after the
            other.

    Returns:
        int32 tensor `[batch, max_tokens]`, padded with the tokenizer's padding id.

    Example:

    ```python
    tokenize = SentenceTokenizer(LanguageModel.tokenizer_of("minilm"), max_tokens=8)
    tokenize(tf.constant(["a red lamp"]))  # [[101, 1037, 2417, 10437, 102, 0, 0, 0]]
    ```
    """

    def __init__(self, tokenizer: keras_hub.models.Tokenizer, max_tokens: int):
        self._tokenizer = tokenizer
        self._max_tokens = max_tokens
        pad, start, end = special_ids(tokenizer)
        self._num_special = (start is not None) + (end is not None)
        self._trim = tf_text.RoundRobinTrimmer(max_tokens - self._num_special)
        self._pack = keras_hub.layers.StartEndPacker(max_tokens, start_value=start, end_value=end, pad_value=pad)
        self._is_sentence_piece = isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer)
        self._lowercase = self._is_sentence_piece and _lacks_capitals(tokenizer)
        self._compiled = {}

    def __call__(self, sentences: tf.Tensor) -> tf.Tensor:
        sentences = _by_row(sentences)
        graph = self._graph(self._token_ids, sentences)
        if tf.executing_eagerly():
            return graph(sentences)
        # tf.data prepares a graph anew for every pass, which takes seconds for byte-pair encoding. This one is
        # prepared once; it runs outside of Python's lock all the same.
        token_ids = tf.numpy_function(lambda x: graph(x).numpy(), [sentences], tf.int32)
        return tf.ensure_shape(token_ids, [None, self._max_tokens])

    def lengths(self, sentences: tf.Tensor) -> np.ndarray:
        """How many tokens rows have before they are cut, the first and the last included; int64 `[batch]`."""
        sentences = _by_row(sentences)
        return self._graph(self._count, sentences)(sentences).numpy() + self._num_special

    def _graph(self, function, sentences: tf.Tensor) -> tf.types.experimental.GenericFunction:
        """The function in a graph, since keras-hub turns eager ragged tensors into lists, which is slow."""
        key = function.__name__, sentences.shape[1]
        if key not in self._compiled:
            self._compiled[key] = tf.function(
                function, input_signature=[tf.TensorSpec([None, sentences.shape[1]], tf.string)], autograph=False)
        return self._compiled[key]

    def _token_ids(self, sentences: tf.Tensor) -> tf.Tensor:
        pieces = self._trim.trim(self._pieces(sentences))
        return tf.cast(self._pack(tf.concat(pieces, axis=1)), tf.int32)

    def _count(self, sentences: tf.Tensor) -> tf.Tensor:
        return tf.add_n([pieces.row_lengths() for pieces in self._pieces(sentences)])

    def _pieces(self, sentences: tf.Tensor) -> list[tf.RaggedTensor]:
        """The tokens of each of the rows' sentences."""
        first, *others = tf.unstack(sentences, axis=1)
        # A space before a word is part of a byte-pair token.
        return [self._tokens(first), *(self._tokens(tf.strings.join([" ", other])) for other in others)]

    def _tokens(self, sentences: tf.Tensor) -> tf.RaggedTensor:
        if self._lowercase:
            sentences = tf_text.normalize_utf8(tf_text.case_fold_utf8(sentences), "NFKD")
            sentences = tf.strings.regex_replace(sentences, r"\p{Mn}", "")
        if self._is_sentence_piece:
            # keras-hub's is made outside of the graph, and lost when TensorFlow clears its caches, as a new seed does.
            return tf_text.SentencepieceTokenizer(self._tokenizer.proto).tokenize(sentences)
        return self._tokenizer(sentences)


def _by_row(sentences: tf.Tensor) -> tf.Tensor:
    return sentences if sentences.shape.rank == 2 else sentences[:, None]


def special_ids(tokenizer: keras_hub.models.Tokenizer) -> tuple[int | None, int | None, int | None]:
    """Ids of a keras-hub tokenizer's padding, first and last token; None where it has none."""
    return tuple(getattr(tokenizer, f"{name}_token_id", None) for name in ("pad", "start", "end"))


def _lacks_capitals(tokenizer) -> bool:
    special = set(tokenizer.special_tokens)
    return not any(_CAPITAL.search(piece) for piece in tokenizer.get_vocabulary() if piece not in special)

"""From sentences to the token ids that a language model reads."""

from __future__ import annotations

import re

import keras_hub
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
        max_tokens: length of a row; a longer sentence loses its end.

    Call arguments:
        sentences: string tensor `[batch]`.

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
        self._pack = keras_hub.layers.StartEndPacker(max_tokens, start_value=start, end_value=end, pad_value=pad)
        self._is_sentence_piece = isinstance(tokenizer, keras_hub.tokenizers.SentencePieceTokenizer)
        self._lowercase = self._is_sentence_piece and _lacks_capitals(tokenizer)
        # In a graph, since keras-hub turns eager ragged tensors into lists, which is slow.
        self._compiled = tf.function(
            self._token_ids, input_signature=[tf.TensorSpec([None], tf.string)], autograph=False)

    def __call__(self, sentences: tf.Tensor) -> tf.Tensor:
        if tf.executing_eagerly():
            return self._compiled(sentences)
        # tf.data prepares a graph anew for every pass, which takes seconds for byte-pair encoding. This one is
        # prepared once; it runs outside of Python's lock all the same.
        token_ids = tf.numpy_function(lambda x: self._compiled(x).numpy(), [sentences], tf.int32)
        return tf.ensure_shape(token_ids, [None, self._max_tokens])

    def _token_ids(self, sentences: tf.Tensor) -> tf.Tensor:
        if self._lowercase:
            sentences = tf_text.normalize_utf8(tf_text.case_fold_utf8(sentences), "NFKD")
            sentences = tf.strings.regex_replace(sentences, r"\p{Mn}", "")
        if self._is_sentence_piece:
            # keras-hub's is made outside of the graph, and lost when TensorFlow clears its caches, as a new seed does.
            pieces = tf_text.SentencepieceTokenizer(self._tokenizer.proto).tokenize(sentences)
        else:
            pieces = self._tokenizer(sentences)
        return tf.cast(self._pack(pieces), tf.int32)


def special_ids(tokenizer: keras_hub.models.Tokenizer) -> tuple[int | None, int | None, int | None]:
    """Ids of a keras-hub tokenizer's padding, first and last token; None where it has none."""
    return tuple(getattr(tokenizer, f"{name}_token_id", None) for name in ("pad", "start", "end"))


def _lacks_capitals(tokenizer) -> bool:
    special = set(tokenizer.special_tokens)
    return not any(_CAPITAL.search(piece) for piece in tokenizer.get_vocabulary() if piece not in special)

"""Masked language modelling: how a language model learns a domain's own words."""

import math

import keras
import keras_hub
from keras import ops

from models.language_tower import LanguageTower
from models.spec.errors import UserError

# Shares of the chosen tokens that become the mask token, and any token; the rest stay (BERT, sec. 3.1).
_MASKED, _RANDOM = 0.8, 0.1
# BERT's own, of the head's normalisation.
_EPSILON = 1e-12


class MaskedLanguageModel(keras.Model):
    """Trains an encoder to guess hidden tokens (BERT, arXiv 1810.04805, sec. 3.1).

    The head is BERT's: a dense layer with GELU and a layer normalisation, then the token
    embedding transposed, plus a bias. It is computed at the masked positions only, and
    the loss is the mean cross-entropy over them. Labels are not needed: `fit` takes batches of
    token ids. Masks are drawn anew at every step, from the seed.

    CELA (arXiv 2405.10596) adapts its language model so before it aligns it.

    Metrics, in training and in `evaluate`: `loss`, and `accuracy` over masked positions.

    Args:
        backbone: a keras-hub encoder, see `LanguageTower`. Its layers are shared, not
            copied: training this model adapts it. A pooler on top stays as it is.
        pad_id: the id of the padding token.
        mask_id: the id of the mask token.
        special_ids: ids that are never masked; padding, first and last token among them.
        rate: share of a text's other tokens that are masked; at least one is.
        seed: of the masks.

    Call arguments:
        inputs: int tensor of token ids `[batch, tokens]`.
        training: whether dropout is on.

    Returns:
        Dict of `logits`, float `[batch, masks, vocabulary]`, `labels`, int32
        `[batch, masks]`, and `weights`, float `[batch, masks]`: see `mask_tokens`.

    Raises:
        UserError: the backbone wants other inputs, or has no token embedding.

    Example:

    ```python
    model = MaskedLanguageModel(backbone, pad_id=0, mask_id=103, special_ids=[0, 100, 101, 102, 103])
    model.compile(optimizer=keras.optimizers.AdamW(5e-5), jit_compile=False)
    model.fit(tf.data.Dataset.from_tensor_slices(token_ids).batch(32))
    ```
    """

    def __init__(self, backbone, pad_id, mask_id, special_ids, rate=0.15, seed=0, **kwargs):
        super().__init__(**kwargs)
        embedding = getattr(backbone, "token_embedding", None)
        if not isinstance(embedding, keras_hub.layers.ReversibleEmbedding):
            raise UserError(
                f"language model {backbone.name!r} has no token embedding that predicts tokens too, so it cannot "
                "be adapted; take one of the families BERT, RoBERTa, DistilBERT or ALBERT, or set "
                "adaptation.epochs to 0")
        self.tower = LanguageTower(backbone, pad_id)
        self.head = keras_hub.layers.MaskedLMHead(
            token_embedding=embedding, intermediate_activation="gelu", layer_norm_epsilon=_EPSILON, name="head")
        self.mask_id = mask_id
        self.special_ids = tuple(special_ids)
        self.rate = rate
        self._seeds = keras.random.SeedGenerator(seed)
        self._accuracy = keras.metrics.Mean(name="accuracy")
        self.build()

    def build(self, input_shape=None):
        self.head.build((None, None, self.tower.output_dim))
        self.built = True

    def call(self, inputs, training=False):
        masked = mask_tokens(
            inputs, self.special_ids, self.mask_id, self.head.vocabulary_size, self._seeds, self.rate)
        hidden, _ = self.tower.hidden_states({"token_ids": masked["token_ids"]}, training=training)
        return {
            "logits": self.head(hidden, masked["positions"]),
            "labels": masked["labels"],
            "weights": masked["weights"],
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        found = ops.argmax(y_pred["logits"], axis=-1)
        self._accuracy.update_state(ops.equal(found, ops.cast(y_pred["labels"], found.dtype)), y_pred["weights"])
        return masked_loss(**y_pred)


def mask_tokens(token_ids, special_ids, mask_id, vocabulary_size, seeds, rate=0.15):
    """Chooses tokens to be guessed, and hides most of them (BERT, sec. 3.1 and appendix C.1).

    `rate` of each text's tokens that are not special are chosen, at least one. Of these
    80 % become the mask token, 10 % any token of the vocabulary, and 10 % stay.

    Args:
        token_ids: int tensor `[batch, tokens]`; `tokens` is known.
        special_ids: ids that are never chosen.
        mask_id: the id of the mask token.
        vocabulary_size: number of tokens.
        seeds: `keras.random.SeedGenerator`; a number would draw the same three times.
        rate: share that is chosen.

    Returns:
        Dict of `token_ids`, int32 `[batch, tokens]`; `positions`, int32
        `[batch, masks]`, the chosen tokens' places; `labels`, int32 `[batch, masks]`, what stood
        there; and `weights`, float32 `[batch, masks]`, 1, or 0 where a shorter text has
        fewer chosen tokens than the longest could have.

    Example:

    ```python
    mask_tokens(np.array([[2, 7, 8, 9, 3, 0]]), [0, 2, 3], mask_id=4, vocabulary_size=10,
                seeds=keras.random.SeedGenerator(1))["token_ids"]  # [[2, 7, 4, 9, 3, 0]]
    ```
    """
    token_ids = ops.cast(token_ids, "int32")
    shape = ops.shape(token_ids)
    maskable = ops.ones_like(token_ids, dtype="bool")
    for special in special_ids:
        maskable = ops.logical_and(maskable, ops.not_equal(token_ids, special))
    count = ops.sum(ops.cast(maskable, "int32"), axis=1)
    wanted = ops.maximum(ops.cast(ops.round(rate * ops.cast(count, "float32")), "int32"), ops.minimum(count, 1))
    # The lowest scores are chosen: exactly so many as wanted, without replacement.
    scores = ops.where(maskable, keras.random.uniform(shape, seed=seeds), 2.0)
    order = ops.argsort(scores, axis=1)
    chosen = ops.less(ops.argsort(order, axis=1), wanted[:, None])
    fate = keras.random.uniform(shape, seed=seeds)
    replaced = ops.where(
        fate < _MASKED, mask_id,
        ops.where(fate < _MASKED + _RANDOM, keras.random.randint(shape, 0, vocabulary_size, seed=seeds), token_ids))
    most = max(1, math.ceil(rate * token_ids.shape[1]))
    positions = ops.cast(order[:, :most], "int32")
    return {
        "token_ids": ops.where(chosen, replaced, token_ids),
        "positions": positions,
        "labels": ops.take_along_axis(token_ids, positions, axis=1),
        "weights": ops.cast(ops.arange(most)[None, :] < wanted[:, None], "float32"),
    }


def masked_loss(logits, labels, weights):
    """Mean cross-entropy over the positions whose weight is 1; 0 where there is none.

    Args:
        logits: float tensor `[batch, masks, vocabulary]`.
        labels: int tensor `[batch, masks]`.
        weights: float tensor `[batch, masks]`, 1 or 0.

    Returns:
        Float scalar, in nats a token.

    Example:

    ```python
    masked_loss(ops.zeros((1, 2, 10)), ops.zeros((1, 2), "int32"), ops.ones((1, 2)))  # log 10
    ```
    """
    losses = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
    return ops.sum(losses * weights) / ops.maximum(ops.sum(weights), 1)

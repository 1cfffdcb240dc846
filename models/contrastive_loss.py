"""The loss that aligns the two modalities."""

import math

import keras
from keras import ops

from models.spec.errors import UserError

# Far below any similarity, and still finite when divided by the lowest temperature.
_MASKED = -1e9
_LOWEST, _HIGHEST = 0.01, 10.0


def duplicate_pairs(keys, start=0, stop=None):
    """Which pairs of different rows of a batch carry the same text.

    The comparison is of the integers themselves, column by column: no hash, so no
    collision, and no tensor larger than the result.

    Args:
        keys: int tensor `[batch]` or `[batch, columns]`; rows that agree in every
            column carry the same text.
        start: the first row whose pairs with all rows are wanted.
        stop: the row after the last one; None for all to the end.

    Returns:
        Bool tensor `[stop - start, batch]`, false where a row meets itself.
    """
    if len(keys.shape) == 1:
        keys = keys[:, None]
    rows = ops.arange(ops.shape(keys)[0])
    pairs = ops.not_equal(rows[start:stop, None], rows[None, :])
    for column in range(keys.shape[1]):
        values = keys[:, column]
        pairs = ops.logical_and(pairs, ops.equal(values[start:stop, None], values[None, :]))
    return pairs


def mask_pairs(similarity, pairs):
    """Takes pairs out of the negatives.

    Args:
        similarity: float tensor `[rows, batch]`.
        pairs: bool tensor of the same shape, as from `duplicate_pairs`.

    Returns:
        The similarity, with a value far below all others at the pairs.
    """
    return ops.where(pairs, ops.cast(_MASKED, similarity.dtype), similarity)


def row_losses(similarity, own, temperature):
    """Cross-entropy of finding each row's counterpart among the batch: one direction of `ContrastiveLoss`.

    Args:
        similarity: float tensor `[rows, batch]`.
        own: int tensor `[rows]`, the column of each row's counterpart.
        temperature: the similarity is divided by it.

    Returns:
        Float tensor `[rows]`.
    """
    logits = similarity / temperature
    return ops.logsumexp(logits, axis=-1) - ops.squeeze(ops.take_along_axis(logits, own[:, None], axis=-1), axis=-1)


class _TemperatureBounds(keras.constraints.Constraint):
    """Keeps the logarithm of a temperature between the bounds after every update."""

    def __call__(self, w):
        return ops.clip(w, math.log(_LOWEST), math.log(_HIGHEST))


@keras.saving.register_keras_serializable(package="ctrl")
class ContrastiveLoss(keras.layers.Layer):
    """Symmetric InfoNCE over in-batch negatives (CTRL, arXiv 2306.02841, sec. 4.2).

    Half the cross-entropy of finding a text's own row among the batch's rows, half
    that of finding a row's own text among the batch's texts. Two rows with the same
    text cannot be told apart by it: `mask_pairs` takes them out of each other's
    negatives beforehand.

    Args:
        temperature: the similarity is divided by it. 0.7 in the paper, whose
            similarity has no stated bound; one bounded to `[-M, M]` wants a lower one.
        learn_temperature: whether it is a weight (its logarithm, from `temperature`
            on, kept within 0.01 and 10) instead of fixed.

    Call arguments:
        text_to_tabular: float tensor `[batch, batch]`; row i holds the similarity of
            text i to every row.
        tabular_to_text: float tensor `[batch, batch]`; row i holds the similarity of
            row i to every text.

    Returns:
        Scalar. 0 is perfect, `log(batch)` is chance.

    Raises:
        UserError: the temperature lies outside 0.01 to 10.

    Example:

    ```python
    loss = ContrastiveLoss(temperature=0.1)
    loss(*max_sim_both(text, tabular))
    ```
    """

    def __init__(self, temperature=0.7, learn_temperature=False, **kwargs):
        super().__init__(**kwargs)
        if not _LOWEST <= temperature <= _HIGHEST:
            raise UserError(f"the contrastive temperature is {temperature}; it must be from {_LOWEST} to "
                            f"{_HIGHEST}")
        self.initial_temperature = temperature
        self.learn_temperature = learn_temperature
        if learn_temperature:
            self.log_temperature = self.add_weight(
                name="log_temperature",
                initializer=keras.initializers.Constant(math.log(temperature)),
                constraint=_TemperatureBounds(),
            )
        # No state waits for shapes.
        self.built = True

    @property
    def temperature(self):
        """The temperature now: a float, or a scalar tensor when it is learned."""
        return ops.exp(self.log_temperature) if self.learn_temperature else self.initial_temperature

    def call(self, text_to_tabular, tabular_to_text):
        own = ops.arange(ops.shape(text_to_tabular)[0])
        return 0.5 * sum(
            ops.mean(row_losses(similarity, own, self.temperature))
            for similarity in (text_to_tabular, tabular_to_text))

    def get_config(self):
        return {
            **super().get_config(),
            "temperature": self.initial_temperature,
            "learn_temperature": self.learn_temperature,
        }

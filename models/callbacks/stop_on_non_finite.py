"""Stops training at once when a number is no longer finite."""

import keras
import numpy as np
from keras import ops

from models.spec.errors import UserError

_NAMED = 5


class StopOnNonFinite(keras.callbacks.Callback):
    """Raises on a NaN or infinite loss, metric or weight.

    Metrics are looked at after every step; weights when a metric is not finite, at an
    epoch's end, and every `weights_every` steps. A run's checkpoint must come later in
    the list of callbacks, so that nothing broken is kept.

    Args:
        weights_every: steps between two looks at all weights; None looks at epochs' ends
            only. Give the interval at which checkpoints are kept.

    Raises:
        UserError: naming the step, the metric and the first weights that are not finite.

    Example:

    ```python
    model.fit(dataset, callbacks=[StopOnNonFinite()])
    ```
    """

    def __init__(self, weights_every=None):
        super().__init__()
        self.weights_every = weights_every
        self._epoch = 0

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = epoch

    def on_train_batch_end(self, batch, logs=None):
        look = self.weights_every and (batch + 1) % self.weights_every == 0
        self._check(f"epoch {self._epoch + 1}, step {batch + 1}", logs, look)

    def on_epoch_end(self, epoch, logs=None):
        self._check(f"the end of epoch {epoch + 1}", logs, True)

    def _check(self, where, logs, look_at_weights):
        metrics = [f"{name} is {value}" for name, value in (logs or {}).items() if not np.isfinite(value)]
        if not metrics and not look_at_weights:
            return
        weights = [w.path for w in self.model.weights if not _is_finite(w)]
        if not metrics and not weights:
            return
        parts = [", ".join(metrics)] if metrics else []
        if weights:
            more = f" and {len(weights) - _NAMED} more" if len(weights) > _NAMED else ""
            parts.append(f"not finite: {', '.join(weights[:_NAMED])}{more}")
        else:
            parts.append("all weights are finite, so it comes from this step's inputs or the loss")
        raise UserError(f"training stopped at {where}: {'; '.join(parts)}. Lower the learning rate, or look "
                        "for numbers in the inputs that are not finite or far too large")


def _is_finite(weight):
    if not keras.backend.is_float_dtype(weight.dtype):
        return True
    return bool(ops.all(ops.isfinite(weight)))

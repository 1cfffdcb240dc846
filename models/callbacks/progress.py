"""Says how training goes in one line an epoch."""

import time

import keras

_CLICK_METRICS = ("logloss", "auc")


class Progress(keras.callbacks.Callback):
    """Writes one line an epoch, and one now and then within a long one.

    `epoch 2/5  auc .8310  logloss .4021  val_auc .8105  19,800 rows/s  31 s`: metrics,
    training speed (validation not counted) and the epoch's whole time. Within an epoch,
    at most every `every` seconds: `epoch 2/5  40 %  loss .4103  19,750 rows/s`; the
    share is known from the second epoch on where the data's length is not.

    Args:
        write: called with each line.
        epochs: epochs of the whole run.
        every: seconds between two lines of the same epoch.

    Example:

    ```python
    model.fit(dataset, epochs=5, verbose=0, callbacks=[Progress(print, epochs=5)])
    ```
    """

    def __init__(self, write, epochs, every=15.0):
        super().__init__()
        self._write = write
        self._epochs = epochs
        self._every = every
        self._steps = None

    def on_epoch_begin(self, epoch, logs=None):
        self._epoch = f"epoch {epoch + 1}/{self._epochs}"
        self._start = self._last = time.monotonic()
        self._seen = 0
        self._speed = None

    def on_train_batch_end(self, batch, logs=None):
        self._seen = batch + 1
        now = time.monotonic()
        if now - self._last < self._every:
            return
        self._last = now
        steps = self.params.get("steps") or self._steps
        done = f"{100 * self._seen // steps} %" if steps else f"step {self._seen:,}"
        self._write("  ".join([self._epoch, done, f"loss {_number(logs['loss'])}", self._rows_per_second()]))

    def on_test_begin(self, logs=None):
        # Validation within fit: the rows must be counted before it resets the metrics.
        if self._seen:
            self._speed = self._rows_per_second()

    def on_epoch_end(self, epoch, logs=None):
        # A click model's loss is told by its logloss and AUC; penalties, parts and geometry are in TensorBoard.
        logs = logs or {}
        shown = ([n for n in logs if n.removeprefix("val_") in _CLICK_METRICS]
                 or [n for n in logs if n.endswith(("loss", "accuracy"))])
        metrics = [f"{name} {_number(logs[name])}" for name in shown]
        speed = self._speed or self._rows_per_second()
        seconds = time.monotonic() - self._start
        self._write("  ".join([self._epoch, *metrics, speed, f"{seconds:.{0 if seconds >= 10 else 1}f} s"]))
        self._steps = self._seen

    def _rows_per_second(self):
        if "batch_size" in self.params:
            # Of several processes this one alone comes here, and a metric is read by all at once.
            rows = self._seen * self.params["batch_size"]
        else:
            # Keras weighs the loss of each step by its rows, so the tracker has counted them.
            rows = next(int(m.count) for m in self.model.metrics if m.name == "loss")
        return f"{rows / max(time.monotonic() - self._start, 1e-9):,.0f} rows/s"


def _number(value):
    """Four decimals without the leading zero, as metrics are usually printed; others in four digits."""
    if value == 0 or 1e-3 <= abs(value) < 1:
        return f"{value:.4f}".replace("0.", ".", 1)
    return f"{value:.4g}"

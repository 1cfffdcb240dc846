"""Keeps what a killed training run needs to go on, and the best weights."""

import json
import posixpath

import keras
import tensorflow as tf

from models import distribution
from models.spec.errors import UserError

_STATE = "state.json"
_DONE = "DONE.json"


class Checkpoint(keras.callbacks.Callback):
    """Saves progress, remembers the best epoch, and stops when it no longer gets better.

    Keras has a callback for each of these (`BackupAndRestore`, `ModelCheckpoint`,
    `EarlyStopping`), but they do not know of one another: after a kill the best value,
    the best weights and the count of epochs without progress are lost or belong to
    another epoch than the restored weights. Here one small file, `state.json`, names the
    weights of the last and of the best epoch and holds the history; it is replaced
    atomically once its weights are written, so a kill at any moment leaves a state that
    is whole. `DONE.json` takes its place when training has ended.

    Of several processes that train one model (`models.distribution`) the chief writes; the others go
    through the same states, and read what it wrote.

    Args:
        directory: where the files are; created when it is not there.
        epochs: epochs of the whole run.
        monitor: the metric whose best epoch counts; None for the last epoch.
        mode: `max` or `min`: which `monitor` is better.
        patience: epochs without progress after which training stops.
        every_steps: steps between two more saves within an epoch; None saves at epochs'
            ends only.

    Raises:
        UserError: `mode` is neither, or `monitor` is no metric of the model.

    Example:

    ```python
    checkpoint = Checkpoint("/tmp/run", epochs=5, monitor="val_auc")
    checkpoint.restore(model)
    model.fit(train, validation_data=validation, epochs=5, initial_epoch=checkpoint.epoch,
              callbacks=[checkpoint])
    checkpoint.finish(model)
    ```
    """

    def __init__(self, directory, epochs, monitor=None, mode="max", patience=2, every_steps=None):
        super().__init__()
        if mode not in ("max", "min"):
            raise UserError(f"mode of the monitored metric is {mode!r}; it must be max or min")
        self._directory = str(directory)
        self._epochs = epochs
        self._monitor = monitor
        self._mode = mode
        self._patience = patience
        self._every_steps = every_steps
        self._offset = 0
        self._state = {
            "epoch": 0, "step": 0, "history": {}, "finished": False, "best": None, "best_epoch": None,
            "last_weights": None, "best_weights": None,
        }
        for name in (_DONE, _STATE):
            if tf.io.gfile.exists(self._path(name)):
                with tf.io.gfile.GFile(self._path(name)) as file:
                    self._state = json.load(file)
                break

    @property
    def epoch(self):
        """How many epochs are complete."""
        return self._state["epoch"]

    @property
    def step(self):
        """How many steps of the next epoch to leave out when it goes on.

        One less than the saved weights have seen: the save may have been at the last
        step, and Keras needs one to end the epoch.
        """
        return max(self._state["step"] - 1, 0)

    @property
    def finished(self):
        """Whether training has ended, by its number of epochs or for lack of progress."""
        return self._state["finished"]

    @property
    def history(self):
        """Metric name to its value in each complete epoch, earlier runs' included."""
        return {name: list(values) for name, values in self._state["history"].items()}

    def restore(self, model):
        """Loads the last saved weights, the optimizer's included; does nothing at a first start."""
        if self._state["last_weights"] is not None:
            self._load(model, self._state["last_weights"])
            self._offset = self.step

    def finish(self, model):
        """Loads the best epoch's weights, and leaves them and `DONE.json` alone in the folder."""
        if self._state["best_weights"] is not None:
            self._load(model, self._state["best_weights"])
        distribution.barrier(model.distribute_strategy)
        if distribution.is_chief(model.distribute_strategy):
            if not tf.io.gfile.exists(self._path(_DONE)):
                self._state["last_weights"] = self._state["best_weights"]
                self._write(_DONE)
            self._clean(keep={_DONE})

    def on_epoch_begin(self, epoch, logs=None):
        # An epoch that a kill cut short goes on within itself; all others start at their first step.
        if not self.step:
            self._offset = 0

    def on_train_batch_end(self, batch, logs=None):
        step = self._offset + batch + 1
        if self._every_steps and step % self._every_steps == 0:
            self._save(self.epoch, step)

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in logs.items()}
        if self._monitor is not None and self._monitor not in logs:
            raise UserError(f"the monitored metric {self._monitor!r} is not among the model's: "
                            f"{', '.join(logs)}")
        state = self._state
        for name, value in logs.items():
            state["history"].setdefault(name, []).append(value)
        better = self._is_better(logs)
        if better:
            state["best"] = logs.get(self._monitor)
            state["best_epoch"] = epoch
        out_of_patience = self._monitor is not None and epoch - state["best_epoch"] >= max(1, self._patience)
        state["finished"] = out_of_patience or epoch + 1 >= self._epochs
        self._save(epoch + 1, 0, best=better)
        self.model.stop_training = self.model.stop_training or out_of_patience

    def _is_better(self, logs):
        if self._monitor is None or self._state["best"] is None:
            return True
        difference = logs[self._monitor] - self._state["best"]
        return difference > 0 if self._mode == "max" else difference < 0

    def _save(self, epoch, step, best=False):
        name = f"epoch-{epoch:04d}-step-{step:07d}.weights.h5"
        writes = distribution.is_chief(self.model.distribute_strategy)
        if writes:
            tf.io.gfile.makedirs(self._directory)
        distribution.save_weights(self.model, self._path(name))
        self._state.update(epoch=epoch, step=step, last_weights=name)
        if best:
            self._state["best_weights"] = name
        if writes:
            self._write(_STATE)
            self._clean(keep={_STATE})

    def _load(self, model, name):
        # What another process writes is there once it has come here too.
        distribution.barrier(model.distribute_strategy)
        if not model.optimizer.built:
            # Otherwise Keras leaves out the optimizer's part of the file, and warns.
            model.optimizer.build(model.trainable_variables)
        model.load_weights(self._path(name))

    def _write(self, name):
        temporary = self._path(f"{name}.tmp")
        with tf.io.gfile.GFile(temporary, "w") as file:
            json.dump(self._state, file, indent=1)
        tf.io.gfile.rename(temporary, self._path(name), overwrite=True)

    def _clean(self, keep):
        """Removes what the state no longer names, remains of a kill included."""
        keep = keep | {self._state["last_weights"], self._state["best_weights"]}
        for name in tf.io.gfile.listdir(self._directory):
            if name not in keep and name.endswith((".weights.h5", ".json", ".tmp")):
                tf.io.gfile.remove(self._path(name))

    def _path(self, name):
        return posixpath.join(self._directory, name)

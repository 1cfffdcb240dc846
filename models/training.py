"""The training loop of every stage: resumable, watched, and stopped when it breaks."""

import warnings

import keras
from keras import ops

from models import distribution
from models.callbacks.averaged_weights import AveragedWeights
from models.callbacks.checkpoint import Checkpoint
from models.callbacks.progress import Progress
from models.callbacks.stop_on_non_finite import StopOnNonFinite
from models.distributed_fit import distributed_fit
from models.row_adamw import RowAdamW
from models.spec.errors import UserError

_OPTIMIZERS = ("adam", "adamw")
# Rows from which on a table's every row costs more in a step than the rest of the model.
LARGE_TABLE = 1_000_000

# Biases and normalisations. Matched against TensorFlow's names, as "layer/bias:0".
NOT_DECAYED = [r"(^|/)(bias|gamma|beta)(:\d+)?$"]
# Thresholds lie evenly between 0 and 1, while clicks are rare: with fewer, most rows of a log with a
# click rate of a few per cent would share a handful of them. The update takes under 1 % of a step.
_AUC_THRESHOLDS = 4000
_BATCHES_AHEAD = 8


def new_adamw(model, learning_rate, weight_decay, large_table=LARGE_TABLE, **options):
    """AdamW for a model: Keras's, or `RowAdamW` where it has a table with `large_table` rows or more."""
    if any(len(w.shape) == 2 and w.shape[0] >= large_table for w in model.trainable_weights):
        return RowAdamW(learning_rate, weight_decay=weight_decay, large=large_table, **options)
    return keras.optimizers.AdamW(learning_rate, weight_decay=weight_decay, **options)


def compile_ctr(model, learning_rate=1e-3, weight_decay=1e-2, optimizer="adamw", ema_momentum=0.0,
                large_table=LARGE_TABLE, jit_compile=False):
    """Compiles a model that returns logits for learning clicks (CTRL, arXiv 2306.02841, sec. 4.3).

    The loss is binary cross-entropy; the metrics are `auc` and `logloss`, the latter
    without penalties.

    Args:
        model: Keras model that returns logits `[batch]`.
        learning_rate: a number or a Keras schedule.
        weight_decay: decoupled weight decay of `adamw`, per step times the learning rate;
            biases and normalisations are left out. Not used by `adam`.
        optimizer: `adamw` or `adam`.
        ema_momentum: of an exponential moving average of the trained weights (Polyak
            averaging), a step; `fit` validates with the average and ends with it. 0 keeps
            none. Moving statistics of batch normalisation stay the latest ones.
        large_table: rows from which on `adamw` updates only those rows of a table that a batch reads, see
            `RowAdamW`.
        jit_compile: whether the step is compiled by XLA.

    Returns:
        The model.

    Raises:
        UserError: the optimizer is unknown.

    Example:

    ```python
    compile_ctr(model, learning_rate=1e-3).fit(dataset)
    ```
    """
    if optimizer not in _OPTIMIZERS:
        raise UserError(f"optimizer {optimizer!r} is unknown; there are: {', '.join(sorted(_OPTIMIZERS))}")
    options = {"use_ema": True, "ema_momentum": ema_momentum} if ema_momentum else {}
    if optimizer == "adamw":
        optimizer = new_adamw(model, learning_rate, weight_decay, large_table, **options)
        optimizer.exclude_from_weight_decay(var_names=NOT_DECAYED)
    else:
        optimizer = keras.optimizers.Adam(learning_rate, **options)
    model.compile(
        optimizer=optimizer,
        loss=_cross_entropy,
        metrics=[
            keras.metrics.AUC(num_thresholds=_AUC_THRESHOLDS, from_logits=True, name="auc"),
            keras.metrics.MeanMetricWrapper(_cross_entropy, name="logloss"),
        ],
        jit_compile=jit_compile,
    )
    return model


def fit(model, train, validation=None, *, epochs, checkpoint_dir, log_dir=None, monitor="val_auc", mode="max",
        patience=2, progress=None, steps_per_epoch=None, save_every_steps=None, callbacks=()):
    """Trains a compiled model so that a kill costs little, and ends with its best weights.

    A call with the `checkpoint_dir` of one that was killed goes on from the last saved
    step; a call with that of one that ended loads its result and trains nothing.
    `checkpoint_dir` belongs to one model on one data set with one configuration: take
    another for anything else. Two runs with the same seed (`keras.utils.set_random_seed`)
    differ by the order of floating-point sums at most; a resumed one shuffles its data
    and draws its dropout like a run that starts, so it is close, not equal.

    A model that was made inside the scope of a strategy with several replicas is trained on all of
    them (`distributed_fit`); then `train` and `validation` are made with `make_dataset`'s `shard`.
    Every process calls this with the same arguments, and a `checkpoint_dir` that all can read; the first of
    them writes.

    Args:
        model: compiled Keras model. It is built on the first batch where it is not.
        train: `tf.data.Dataset` of (inputs, label) batches.
        validation: the same, or None.
        epochs: passes over `train`, at most.
        checkpoint_dir: folder of the state, see `Checkpoint`.
        log_dir: folder of the TensorBoard logs, or None.
        monitor: the metric that says which epoch is best. Without `validation`, a
            `val_...` metric means that the last epoch is.
        mode: `max` or `min`: which `monitor` is better.
        patience: epochs without progress after which training stops.
        progress: called with each progress line, as `print`, or None.
        steps_per_epoch: steps of an epoch, for a dataset without an end.
        save_every_steps: steps between two saves within an epoch, or None.
        callbacks: more Keras callbacks, called after those of this function.

    Returns:
        `keras.callbacks.History` of all epochs, those before a kill included.

    Raises:
        UserError: `epochs` is below 1, `monitor` is no metric, or a loss or weight is
            not finite.

    Example:

    ```python
    keras.utils.set_random_seed(1)
    history = fit(compile_ctr(model), train, validation, epochs=5, checkpoint_dir="/tmp/run", progress=print)
    max(history.history["val_auc"])
    ```
    """
    if epochs < 1:
        raise UserError(f"epochs is {epochs}; it must be 1 or more")
    if validation is None and monitor is not None and monitor.startswith("val_"):
        monitor = None
    shard = distribution.input_shard(model.distribute_strategy)
    checkpoint = Checkpoint(checkpoint_dir, epochs, monitor, mode, patience, save_every_steps)
    if not model.built:
        inputs, _, _ = keras.utils.unpack_x_y_sample_weight(next(iter(train)))
        model(inputs)
    if not checkpoint.finished:
        checkpoint.restore(model)
        watchers = [StopOnNonFinite(weights_every=save_every_steps)]
        if _averages(model):
            watchers.append(AveragedWeights())
        if progress is not None:
            watchers.append(Progress(progress, epochs))
        if log_dir is not None:
            watchers.append(keras.callbacks.TensorBoard(log_dir, write_graph=False, profile_batch=0))
        watchers += [checkpoint, *callbacks]

        def run(data, until, steps):
            if shard is not None:
                distributed_fit(model, data, validation, initial_epoch=checkpoint.epoch, epochs=until,
                                steps_per_epoch=steps, callbacks=watchers)
                return
            if steps is None and (known := int(data.cardinality())) > 0:
                # An epoch's first batches take long, since many rows are shuffled for them: they are made ready
                # while the epoch before ends, and is validated.
                data, steps = data.repeat(until - checkpoint.epoch).prefetch(_BATCHES_AHEAD), known
            with warnings.catch_warnings():
                if steps is None:
                    # Said at the end of every epoch over files, whose number of rows TensorFlow cannot know.
                    warnings.filterwarnings("ignore", message="Your input ran out of data")
                model.fit(data, validation_data=validation, initial_epoch=checkpoint.epoch, epochs=until,
                          steps_per_epoch=steps, callbacks=watchers, verbose=0)

        if checkpoint.step:
            # The epoch that was cut short, without what it had already seen.
            left = steps_per_epoch and steps_per_epoch - checkpoint.step
            run(train.skip(checkpoint.step * (shard.count if shard else 1)), checkpoint.epoch + 1, left)
            # Keras ends each `fit` with the averaged weights; training goes on from the others.
            checkpoint.restore(model)
        if not checkpoint.finished:
            run(train, epochs, steps_per_epoch)
    checkpoint.finish(model)
    if _averages(model):
        model.optimizer.finalize_variable_values(model.trainable_variables)
    history = keras.callbacks.History()
    history.history = checkpoint.history
    history.epoch = list(range(checkpoint.epoch))
    return history


def _averages(model):
    """Whether the optimizer keeps an average of the weights."""
    # Mixed precision wraps the optimizer in one that scales the loss.
    return getattr(model.optimizer, "inner_optimizer", model.optimizer).use_ema


def _cross_entropy(labels, logits):
    """Binary cross-entropy of each row, `[batch]`; Keras's own would take the mean over a rank-1 batch."""
    labels = ops.cast(ops.reshape(labels, ops.shape(logits)), logits.dtype)
    return ops.binary_crossentropy(labels, logits, from_logits=True)

"""`Model.fit` for several replicas."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import numpy as np
import tensorflow as tf

from models import distribution

# What Keras calls the variable of a `SeedGenerator`.
_SEED = "seed_generator_state"


def distributed_fit(model: keras.Model, train: tf.data.Dataset, validation: tf.data.Dataset | None = None, *,
                    epochs: int, initial_epoch: int = 0, steps_per_epoch: int | None = None,
                    callbacks: Sequence[keras.callbacks.Callback] = ()) -> None:
    """Trains a compiled model on several replicas, with Keras's callbacks and the model's own steps.

    Keras 3.12's `fit` ends in an error in `MultiWorkerMirroredStrategy`: before the first step it sums a
    distributed batch that is a dict, and after it averages scalars along their first axis. This loop does
    what `fit` does, in its order: `train_step` and `test_step` on each replica, callbacks, validation, and
    at the end the averaged weights. It differs where several processes ask for it:

    * what callbacks get is the same in all processes, so that all of them stop together: in a step the
      running mean of the replicas' `loss`, at an epoch's end all metrics over the global batches;
    * in callbacks' `params`, `batch_size` says how many rows a step has; metrics are not to be read
      within an epoch, since that takes all processes at the same moment.

    Args:
        model: compiled and built inside the scope of the strategy.
        train: batches of this process's replicas, see `make_dataset`'s `shard`.
        validation: the same, or None.
        epochs: the epoch after the last, as for Keras.
        initial_epoch: the first.
        steps_per_epoch: steps of an epoch, for a dataset without an end; otherwise the dataset's length
            is used, and has to be known.
        callbacks: Keras callbacks.

    Raises:
        ValueError: the batches of `train` have no fixed number of rows.

    Example:

    ```python
    with strategy.scope():
        model = compile_ctr(CTRModel(fields))
        distributed_fit(model, train, validation, epochs=5)
    ```
    """
    strategy = model.distribute_strategy
    shard = distribution.input_shard(strategy)
    steps = steps_per_epoch or _steps(train, shard)
    distribution.prepare(model)
    _draw_apart(model)
    if not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    data = distribution.distributed(strategy, train)
    held_out_data = None if validation is None else distribution.distributed(strategy, validation)
    train_step, test_step = _on_replicas(model, model.train_step), _on_replicas(model, model.test_step)
    callbacks = keras.callbacks.CallbackList(
        list(callbacks), model=model, epochs=epochs, steps=steps, verbose=0, batch_size=_rows(train) * shard.replicas)
    model.stop_training = False
    callbacks.on_train_begin()
    logs, batches = {}, None
    for epoch in range(initial_epoch, epochs):
        model.reset_metrics()
        callbacks.on_epoch_begin(epoch)
        if batches is None or steps_per_epoch is None:
            batches = iter(data)
        for step in range(steps):
            callbacks.on_train_batch_begin(step)
            callbacks.on_train_batch_end(step, {"loss": float(train_step(next(batches)))})
            if model.stop_training:
                break
        logs = _metrics(model)
        if validation is not None:
            callbacks.on_test_begin()
            model.reset_metrics()
            held_out = iter(held_out_data)
            for _ in range(_steps(validation, shard)):
                test_step(next(held_out))
            found = _metrics(model)
            callbacks.on_test_end(found)
            logs |= {f"val_{name}": value for name, value in found.items()}
        callbacks.on_epoch_end(epoch, logs)
        if model.stop_training:
            break
    model.optimizer.finalize_variable_values(model.trainable_variables)
    callbacks.on_train_end(logs)


def _draw_apart(model):
    """Gives each replica seeds of its own, or dropout would draw the same masks for all of them."""
    seeds = [v for v in model.variables if v.name == _SEED]

    @tf.function(autograph=False)
    def shift():
        replica = tf.distribute.get_replica_context().replica_id_in_sync_group
        for seed in seeds:
            seed.assign_add(tf.cast(tf.stack([replica, 0]), seed.dtype))

    if seeds:
        model.distribute_strategy.run(shift)


def _on_replicas(model, step):
    """A step on every replica; it returns the mean of their running losses."""
    strategy = model.distribute_strategy

    @tf.function(reduce_retracing=True, autograph=False)
    def run(batch):
        losses = strategy.run(lambda data: step(data)["loss"], args=(batch,))
        return strategy.reduce(tf.distribute.ReduceOp.MEAN, losses, axis=None)

    return run


def _metrics(model):
    """All metrics over the replicas' rows. The sums behind them come together here, in all processes at once."""
    return {name: float(np.asarray(value)) for name, value in model.get_metrics_result().items()}


def _steps(dataset, shard):
    """Global batches of a dataset of the replicas' parts."""
    return len(dataset) // shard.count


def _rows(dataset):
    rows = tf.nest.flatten(dataset.element_spec)[0].shape[0]
    if rows is None:
        raise ValueError("replicas are trained on equal numbers of rows: make the dataset with drop_remainder")
    return rows

"""Several devices and machines: everything of `tf.distribute` that models and stages need.

Models stay as they are: they are made inside `strategy.scope()`, and each replica runs
their step on its part of the global batch. With one device every function here does nothing.

What a batch means: `batch_size` is that of all replicas together. A replica's loss is the mean
over its rows divided by the number of replicas (`share_of_loss`), and gradients are summed over
replicas, so that an update is that of the mean over the global batch (TensorFlow's guide
"Custom training with tf.distribute.Strategy").
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import tempfile

import keras
import tensorflow as tf

from models.input_shard import InputShard
from models.spec.errors import UserError

STRATEGIES = ("auto", "one_device", "mirrored", "multi_worker", "tpu")


@functools.cache
def new_strategy(name: str = "auto", tpu: str = "") -> tf.distribute.Strategy:
    """The strategy of a name; one a process, since TensorFlow connects the workers only once.

    Args:
        name: `one_device`; `mirrored`, all GPUs of this machine; `multi_worker`, all machines of
            `TF_CONFIG`; `tpu`; or `auto`: `multi_worker` where `TF_CONFIG` names several
            machines, else `mirrored` where there are several GPUs, else `one_device`.
        tpu: the TPU's name or address; empty for that of this machine.

    Returns:
        The strategy; TensorFlow's default for one device.

    Raises:
        UserError: `TF_CONFIG` is missing or wrong, it is too late to connect, or there is no TPU.
    """
    if name not in STRATEGIES:
        raise UserError(f"distribution.strategy {name!r} is unknown; there are: {', '.join(STRATEGIES)}")
    if name == "auto":
        several_gpus = len(tf.config.list_physical_devices("GPU")) > 1
        name = "multi_worker" if num_workers() > 1 else "mirrored" if several_gpus else "one_device"
    if name == "multi_worker":
        return _multi_worker()
    if name == "mirrored":
        return tf.distribute.MirroredStrategy()
    return _tpu(tpu) if name == "tpu" else tf.distribute.get_strategy()


def num_workers() -> int:
    """Machines that train together, by `TF_CONFIG`; 1 without it."""
    cluster = _tf_config().get("cluster", {})
    return max(1, sum(len(cluster.get(job, ())) for job in ("chief", "worker")))


def is_chief(strategy: tf.distribute.Strategy) -> bool:
    """Whether this process is the one that writes, of those that train together."""
    return not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) or is_first_machine()


def is_first_machine() -> bool:
    """Whether this is the first of the machines in `TF_CONFIG`; so it is without it."""
    config = _tf_config()
    task = config.get("task", {})
    if task.get("type") == "chief" or num_workers() == 1:
        return True
    return task.get("type") == "worker" and task.get("index") == 0 and not config["cluster"].get("chief")


def _tf_config() -> dict:
    text = os.environ.get("TF_CONFIG") or "{}"
    try:
        config = json.loads(text)
    except json.JSONDecodeError as error:
        raise UserError(f"TF_CONFIG is no JSON: {error}; it must be like {_EXAMPLE}") from error
    well_formed = (
        isinstance(config, dict) and isinstance(config.get("cluster", {}), dict)
        and isinstance(config.get("task", {}), dict))
    if not well_formed:
        raise UserError(f"TF_CONFIG is {text}; it must be like {_EXAMPLE}")
    return config


_EXAMPLE = '{"cluster": {"worker": ["host1:2222", "host2:2222"]}, "task": {"type": "worker", "index": 0}}'


def _multi_worker() -> tf.distribute.Strategy:
    config = _tf_config()
    cluster, task = config.get("cluster", {}), config.get("task", {})
    hosts = cluster.get(task.get("type"), ())
    if not isinstance(task.get("index"), int) or not 0 <= task["index"] < len(hosts):
        raise UserError("distribution.strategy is multi_worker, but TF_CONFIG does not say which of its hosts this "
                        f"is: it is {os.environ.get('TF_CONFIG', 'not set')}; it must be like {_EXAMPLE}")
    try:
        return tf.distribute.MultiWorkerMirroredStrategy()
    except RuntimeError as error:
        raise UserError(f"the workers of TF_CONFIG cannot be connected in a process that has used TensorFlow "
                        f"before: {error}") from error


def _tpu(name: str) -> tf.distribute.Strategy:
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver.connect(name)
    # What is raised depends on how far the look for it comes: no address, no answer, no TPU behind it.
    except (ValueError, OSError, RuntimeError, tf.errors.OpError) as error:
        reason = str(error).partition("\n")[0]
        where = repr(name) if name else "of this machine"
        raise UserError(f"distribution.strategy is tpu, but no TPU {where} was found: {reason}. "
                        "Run this on a TPU VM, name another by distribution.tpu, or take another strategy") from error
    return tf.distribute.TPUStrategy(resolver)


def input_shard(strategy: tf.distribute.Strategy) -> InputShard | None:
    """Which part of each global batch the replicas of this process read; None for all of it."""
    replicas = strategy.num_replicas_in_sync
    if replicas == 1:
        return None
    local = len(strategy.extended.worker_devices)
    first = 0
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        task = _tf_config()["task"]
        # TensorFlow numbers the chief first.
        chiefs = len(_tf_config()["cluster"].get("chief", ()))
        first = local * (task["index"] + (chiefs if task["type"] == "worker" else 0))
    return InputShard(first, local, replicas)


def prepare(model: keras.Model) -> None:
    """Makes a model that was made inside a scope of several replicas compute as one replica would.

    Batch normalisation takes its statistics from the global batch.
    """
    if tf.distribute.get_strategy().num_replicas_in_sync == 1:
        return
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.BatchNormalization):
            layer.synchronized = True


def barrier(strategy: tf.distribute.Strategy) -> None:
    """Returns once all processes have come here."""
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy) and num_workers() > 1:
        strategy.reduce(tf.distribute.ReduceOp.SUM, tf.constant(1), axis=None)


def save_weights(model: keras.Model, path: str) -> None:
    """`Model.save_weights` for all processes at once, of which the chief alone leaves a file.

    The others have to call it too: some values come together from all of them when they are read.
    """
    with contextlib.ExitStack() as stack:
        if not is_chief(model.distribute_strategy):
            path = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), os.path.basename(path))
        model.save_weights(path)


def on_one_device(model: keras.Model, strategy: tf.distribute.Strategy) -> keras.Model:
    """A copy of a model that several devices hold, outside their scope; the model itself with one device."""
    if strategy.num_replicas_in_sync == 1:
        return model
    copy = type(model).from_config(model.get_config())
    copy.set_weights(model.get_weights())
    return copy


def num_replicas() -> int:
    """Replicas that a step runs on."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def share_of_loss(loss):
    """A replica's part of the loss of the global batch, of the mean over its own rows; for `compute_loss`.

    Keras's training step takes it so: it sums gradients over replicas.
    """
    return loss / num_replicas() if num_replicas() > 1 else loss


def gather_rows(*tensors):
    """The rows of all replicas, in the order of the global batch.

    Differentiable: the gradient of a row is the sum of those that reach it in all replicas,
    since each replica's loss depends on every row.

    Args:
        *tensors: a replica's rows, `[rows, ...]`; the number of rows may differ between replicas.

    Returns:
        The tensors, `[rows of all replicas, ...]`, and the place of this replica's first row in them.
    """
    context = tf.distribute.get_replica_context()
    if num_replicas() == 1 or context is None:
        return *tensors, 0
    own = tf.shape(tensors[0])[0]
    counts = context.all_gather(own[None], axis=0)
    start = tf.reduce_sum(tf.where(tf.range(num_replicas()) < context.replica_id_in_sync_group, counts, 0))
    return *(_gathered(x, context, start, own) for x in tensors), start


def _gathered(x, context, start, own):
    def of_all(x):
        # A tensor that came into the step from outside is on no device yet, and TensorFlow asks where to gather.
        return tf.ensure_shape(context.all_gather(tf.identity(x), axis=0), [None, *x.shape[1:]])

    if not x.dtype.is_floating:
        return of_all(x)

    # TensorFlow's own gradient is left alone: it is documented for Mirrored strategies only.
    @tf.custom_gradient
    def gather(x):
        def gradient(upstream):
            whole = context.all_reduce(tf.distribute.ReduceOp.SUM, upstream)
            return whole[start:start + own]

        return of_all(x), gradient

    return gather(x)


def distributed(strategy: tf.distribute.Strategy, dataset: tf.data.Dataset) -> tf.distribute.DistributedDataset:
    """Hands the batches of a process's replicas, as `make_dataset` makes them with `shard`, to these."""
    return strategy.distribute_datasets_from_function(lambda _: dataset)

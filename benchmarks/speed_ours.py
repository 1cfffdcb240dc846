"""A contender of `benchmarks.speed`: this project, in a process of its own.

    python -m benchmarks.speed_ours memory|stream JOB.json MODEL
"""

from __future__ import annotations

import json
import pathlib
import sys
import tempfile
import time

from benchmarks.speed_log import SpeedLog
from pipeline import console


def main() -> None:
    """Trains, and prints what `benchmarks.speed` reads: one line of JSON."""
    source, path, model_name = sys.argv[1:]
    job = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
    console.set_environment()
    import keras
    import tensorflow as tf

    from models import training
    from models.ctr_model import CTRModel
    from models.field import Field
    from models.input_pipeline import make_dataset

    tf.config.threading.set_intra_op_parallelism_threads(job["threads"])
    keras.utils.set_random_seed(job["seed"])
    log = SpeedLog.load(job["arrays"])
    model = CTRModel(
        [Field(name, "categorical", n, name) for name, n in job["num_ids"].items()],
        backbone=model_name, embedding_dim=job["embedding_dim"],
        backbone_options=_options(model_name, job))
    training.compile_ctr(
        model, learning_rate=job["learning_rate"], weight_decay=job["weight_decay"], optimizer=job["optimizer"])
    if source == "memory":
        data = in_memory(log, job["batch_size"])
    else:
        feature_spec = {name: tf.io.FixedLenFeature([], tf.int64) for name in [*job["num_ids"], "label"]}
        data = make_dataset([job["tfrecord"]], feature_spec, job["batch_size"],
                            shuffle_buffer=job["shuffle_buffer"], seed=job["seed"])
    # Known in a run too: the next epoch's first batches are made ready while an epoch ends.
    data = data.apply(tf.data.experimental.assert_cardinality(-(-len(log.label) // job["batch_size"])))

    class Timer(keras.callbacks.Callback):
        """Seconds from an epoch's start to its last step: without the checkpoint after it, which peers don't write."""

        def on_epoch_begin(self, epoch, logs=None):
            self._start = time.perf_counter()

        def on_train_batch_end(self, batch, logs=None):
            self.now = time.perf_counter()

        def on_epoch_end(self, epoch, logs=None):
            seconds.append(self.now - self._start)

    seconds = []
    with tempfile.TemporaryDirectory() as folder:
        training.fit(model, data, epochs=job["epochs"] + 2, checkpoint_dir=folder, callbacks=[Timer()])
    print(json.dumps({
        # The first epoch traces the graph. The last has nothing to make ready, so it would look faster than it is.
        "rows_per_second": job["epochs"] * len(log.label) / sum(seconds[1:-1]),
        "parameters": sum(w.shape.num_elements() for w in model.trainable_weights),
        "versions": {"tensorflow": tf.__version__, "keras": keras.__version__},
    }))


def _options(model_name: str, job: dict) -> dict:
    options = {"num_layers": job["num_layers"], "hidden_units": job["hidden_units"], "dropout": job["dropout"],
               "batch_norm": True}
    return {**options, "num_heads": job["num_heads"]} if model_name == "autoint" else options


def in_memory(log: SpeedLog, batch_size: int):
    """Shuffled batches of arrays, whole slices at once: `from_tensor_slices` hands over row by row, 60 times slower."""
    import tensorflow as tf

    columns = {name: tf.constant(ids) for name, ids in log.columns.items()}
    label = tf.constant(log.label, tf.float32)
    rows = len(log.label)

    def shuffled(seed):
        order = tf.random.experimental.stateless_shuffle(tf.range(rows, dtype=tf.int64), seed)
        return tf.data.Dataset.range(0, rows, batch_size).map(lambda start: order[start:start + batch_size])

    def batch(rows_of_batch):
        return {name: tf.gather(ids, rows_of_batch) for name, ids in columns.items()}, tf.gather(label, rows_of_batch)

    passes = tf.data.Dataset.random(seed=1, rerandomize_each_iteration=True).batch(2).take(1)
    options = tf.data.Options()
    # As in `make_dataset`.
    options.autotune.enabled = False
    return passes.flat_map(shuffled).map(batch).with_options(options).prefetch(2)


if __name__ == "__main__":
    main()

"""A process of `test_distributed_fit`: trains small models on the devices that it is told, and says how it went.

    python -m tests.unit.distributed_case FOLDER one_device|mirrored|multi_worker [NAME ...]
"""

import json
import os
import pathlib
import sys

import keras
import numpy as np
import tensorflow as tf

from models import distribution, warm_start
from models.alignment_model import AlignmentModel
from models.ctr_model import CTRModel
from models.distiller import Distiller
from models.distributed_fit import distributed_fit
from models.field import Field
from models.input_pipeline import make_dataset
from models.spec.errors import UserError
from models.training import compile_ctr, fit
from tests.unit.latent_clicks import USERS, LatentClicks

ROWS, HELD_OUT, BATCH, STEPS, EPOCHS = 330, 33, 64, 5, 2
SPEC = {
    **{name: tf.io.FixedLenFeature([], tf.int64)
       for name in ("user_id", "item_id", "user_text_index", "item_text_index", "label")},
    "teacher_logit": tf.io.FixedLenFeature([], tf.float32),
}


def write_rows(folder):
    """Rows whose users and items recur, so that texts do too within a batch."""
    for split, count in (("train", ROWS), ("validation", HELD_OUT)):
        inputs, labels = LatentClicks().rows(count, seed=count)
        with tf.io.TFRecordWriter(str(folder / f"{split}.gz"), "GZIP") as writer:
            for i in range(count):
                features = {name: _ints(values[i]) for name, values in inputs.items()}
                features["label"] = _ints(labels[i])
                features["teacher_logit"] = tf.train.Feature(float_list=tf.train.FloatList(value=[labels[i] * 4 - 2]))
                writer.write(tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString())


def _ints(value):
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[int(value)]))


def alignment():
    """With a learnt temperature; duplicates are masked."""
    clicks = LatentClicks()
    model = AlignmentModel(clicks.ctr_model(), clicks.tower(), width=8, learn_temperature=True)
    model.compile(keras.optimizers.AdamW(5e-3), jit_compile=False)
    return model


def clicks():
    """The ID model, with batch normalisation and averaged weights."""
    return compile_ctr(LatentClicks().ctr_model(), learning_rate=0.01, ema_momentum=0.8)


def student():
    """The student with soft labels."""
    return compile_ctr(Distiller(LatentClicks().ctr_model(), weight=2.0, soft_labels=True), learning_rate=0.01)


class _Steps(keras.callbacks.Callback):
    """Keeps each step's loss, and stands for a kill after so many of them."""

    def __init__(self, kill_after=None):
        super().__init__()
        self.losses = []
        self._kill_after = kill_after

    def on_train_batch_end(self, batch, logs=None):
        self.losses.append(float(logs["loss"]))
        if len(self.losses) == self._kill_after:
            raise KeyboardInterrupt


def run(strategy, new, folder, part="whole", kill_after=None, save_every_steps=None):
    """Trains a model; returns losses by step, history and weights."""
    shard = distribution.input_shard(strategy)

    def dataset(split, rows, **options):
        data = make_dataset([str(folder / f"{split}.gz")], SPEC, BATCH, seed=3, shard=shard, **options)
        if shard is None:
            # Keras opens one iterator too many an epoch of data whose length it knows, and so skips an order.
            return data.repeat() if options else data.apply(tf.data.experimental.assert_cardinality(-(-rows // BATCH)))
        steps = rows // BATCH if options else shard.steps(rows, BATCH)
        return data.apply(tf.data.experimental.assert_cardinality(steps * shard.count))

    keras.utils.set_random_seed(5)
    steps, lines = _Steps(kill_after), []
    with strategy.scope():
        model = new()
        history = fit(
            model, dataset("train", ROWS, shuffle_buffer=100, drop_remainder=True), dataset("validation", HELD_OUT),
            epochs=EPOCHS, checkpoint_dir=folder / strategy.__class__.__name__ / new.__name__ / part,
            monitor=None, callbacks=[steps], progress=lines.append, save_every_steps=save_every_steps,
            steps_per_epoch=STEPS if shard is None else None)
    return {"steps": steps.losses, "history": history.history, "lines": lines,
            "weights": [np.asarray(w).tolist() for w in model.trainable_weights]}


def resumed(strategy, new, folder):
    """Two trainings, the first of which is killed in its second epoch."""
    try:
        run(strategy, new, folder, "resumed", kill_after=STEPS + 3, save_every_steps=2)
    except KeyboardInterrupt:
        return run(strategy, new, folder, "resumed")
    raise AssertionError("was not killed")


def seeds(strategy):
    """The state of each dropout's seeds in each replica, once a training has begun."""
    with strategy.scope():
        model = CTRModel([Field("user_id", "categorical", USERS + 1, "user_id")], "dcn", 4)
        compile_ctr(model)
        rows = tf.data.Dataset.from_tensors(({"user_id": [1, 2]}, [0, 1])).repeat(2)
        distributed_fit(model, rows, epochs=1)
        states = [v for v in model.variables if "seed" in v.name]
    return [[value.numpy().tolist() for value in strategy.experimental_local_results(v.value)] for v in states]


def warm_started(strategy, folder):
    """What is not taken over from an earlier day's model, and how far the weights of each replica are from it."""
    uri = str(folder / f"earlier-{os.environ.get('TASK', 0)}")
    keras.utils.set_random_seed(1)
    earlier = LatentClicks().ctr_model()
    warm_start.save(earlier, uri, "student")
    keras.utils.set_random_seed(2)
    with strategy.scope():
        model = LatentClicks().ctr_model()
        left = warm_start.take_over(model, warm_start.load(uri, "student"), {}, {})
    return {"left": left, "distance": [
        max(float(np.abs(value.numpy() - expected.numpy()).max())
            for value in strategy.experimental_local_results(weight.value))
        for weight, expected in zip(model.trainable_weights, earlier.trainable_weights, strict=True)]}


def main(folder, kind, *names):
    """Trains, and writes what came of it beside the rows."""
    folder = pathlib.Path(folder)
    if kind == "mirrored":
        tf.config.set_logical_device_configuration(
            tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 2)
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
    else:
        strategy = distribution.new_strategy(kind)
    results = {}
    for name in names:
        if name == "seeds":
            results[name] = seeds(strategy)
            continue
        if name == "warm_started":
            results[name] = warm_started(strategy, folder)
            continue
        train = resumed if name.startswith("resumed_") else run
        try:
            results[name] = train(strategy, globals()[name.removeprefix("resumed_")], folder)
        except UserError as error:
            results[name] = str(error)
    results["chief"] = distribution.is_chief(strategy)
    (folder / f"{kind}-{os.environ.get('TASK', 0)}.json").write_text(json.dumps(results))


def chunked():
    """What several replicas refuse."""
    clicks = LatentClicks()
    return AlignmentModel(clicks.ctr_model(), clicks.tower(), chunk_size=8)


if __name__ == "__main__":
    main(*sys.argv[1:])

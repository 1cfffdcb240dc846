"""Ten million ids: time of a step, memory, export and serving.

    python -m pytest -m long tests/integration/test_ten_million_ids.py
"""

import resource
import statistics
import time

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.ctr_model import CTRModel
from models.field import Field
from models.row_adamw import RowAdamW
from models.training import compile_ctr
from serving.export import export_ctr_model
from tests.unit.test_large_vocabularies import specification
from tests.unit.transform_case import transform

pytestmark = pytest.mark.long
SMALL, LARGE, DIM, BATCH = 100_000, 10_000_000, 8, 4096
MEBIBYTE = 1 << 20


def _model(ids, **options):
    fields = [Field("user", "categorical", 1000, "user"), Field("item", "categorical", ids, "item"),
              Field("seen", "history", ids, "item", max_length=5)]
    model = CTRModel(fields, backbone="dcnv2", embedding_dim=DIM)
    compile_ctr(model, ema_momentum=0.999, **options)
    return model


def _batch(ids, seed):
    rng = np.random.default_rng(seed)
    # As many different ids in either case, spread over the whole table.
    item = rng.integers(1, SMALL, (BATCH, 6)) * (ids // SMALL)
    inputs = {"user": rng.integers(1, 1000, BATCH), "item": item[:, 0], "seen": item[:, 1:]}
    return {name: tf.constant(values) for name, values in inputs.items()}, tf.constant(item[:, 0] % 2)


def _seconds(model, ids, seed):
    batch = [_batch(ids, seed)]
    start = time.perf_counter()
    model.train_function(iter(batch))
    return time.perf_counter() - start


def test_a_step_costs_what_the_batch_reads(capsys):
    """A hundred times the rows: a step waits for memory that is in no cache, and does no more work."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    models = {ids: _model(ids, large_table=SMALL) for ids in (SMALL, LARGE)}
    times = {ids: [] for ids in models}
    for model in models.values():
        assert isinstance(model.optimizer, RowAdamW)
        model.make_train_function()
    for round_ in range(25):
        for ids, model in models.items():
            times[ids].append(_seconds(model, ids, round_))
    # The first steps trace the graph.
    medians = {ids: statistics.median(seconds[5:]) for ids, seconds in times.items()}
    ratio = medians[LARGE] / medians[SMALL]
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before
    # Weights, two moments, average, and the step of each row's average.
    held = (4 * DIM + 1) * 4 * (SMALL + LARGE) / MEBIBYTE
    with capsys.disabled():
        print(f"\nstep {1000 * medians[SMALL]:.1f} ms at {SMALL:,} ids, {1000 * medians[LARGE]:.1f} ms at {LARGE:,}: "
              f"ratio {ratio:.2f}; {used:,.0f} MiB at most for {held:,.0f} MiB of weights and optimizer")
    assert ratio < 2.5
    # What is drawn or zeroed stands beside its variable while this is made.
    assert used < held + 2 * DIM * 4 * LARGE / MEBIBYTE + 500


def test_a_dense_step_does_not(capsys):
    """Keras's AdamW at the large table, for comparison: the reason for `RowAdamW`."""
    times = {}
    for ids in (SMALL, LARGE):
        model = _model(ids, large_table=LARGE + 1)
        assert type(model.optimizer) is keras.optimizers.AdamW
        model.make_train_function()
        times[ids] = statistics.median([_seconds(model, ids, i) for i in range(6)][2:])
    with capsys.disabled():
        print(f"\ndense step {1000 * times[SMALL]:.1f} ms at {SMALL:,} ids, {1000 * times[LARGE]:,.1f} ms at {LARGE:,}")
    assert times[LARGE] > 5 * times[SMALL]


@pytest.mark.parametrize("kind", ["hash", "vocabulary"])
def test_the_served_graph_finds_ids_among_ten_million(tmp_path, kind):
    """Export, load and ask: by hash, and by a vocabulary of ten million strings."""
    hashed = {"hash_buckets": LARGE, "min_count": 2, "oov_buckets": 1}
    spec = specification(movie=hashed if kind == "hash" else {"oov_buckets": 1})
    _, output = transform(tmp_path, "frozen", spec)
    if kind == "vocabulary":
        # Analysing ten million rows is Transform's work; here the graph's table gets as many lines.
        with open(output.vocabulary_file_by_name("movie_vocabulary"), "wb") as file:
            for start in range(0, LARGE, 100_000):
                file.write(b"".join(b"m%d\n" % i for i in range(start, start + 100_000)))
    from models.preprocessing import fields

    sizes = [field if field.table != "movie" else Field(
        field.name, field.kind, LARGE + (1 if kind == "hash" else 2), "movie", field.max_length)
        for field in fields(spec, output)]
    model = CTRModel(sizes, backbone="wide_deep", embedding_dim=2)
    export_ctr_model(model, output, spec, str(tmp_path / "1"))
    served = tf.saved_model.load(str(tmp_path / "1"))

    def logit(value):
        feature = tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
        example = tf.train.Example(features=tf.train.Features(feature={"movie": feature}))
        return float(served.signatures["serving_default"](tf.constant([example.SerializeToString()]))["logit"][0])

    # Rows are random, so that another row gives another score.
    scores = {value: logit(value) for value in (b"m0", b"m1", b"m9999998", b"m9999999")}
    assert len(set(scores.values())) == 4
    if kind == "vocabulary":
        assert logit(b"new") == logit(b"newer") not in scores.values()

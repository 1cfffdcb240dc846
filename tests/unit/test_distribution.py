import json

import pytest
import tensorflow as tf

from models import distribution
from models.input_shard import InputShard
from models.spec.errors import UserError


@pytest.fixture(autouse=True)
def no_cluster(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    distribution.new_strategy.cache_clear()
    yield
    distribution.new_strategy.cache_clear()


def cluster(monkeypatch, task, **hosts):
    monkeypatch.setenv("TF_CONFIG", json.dumps({"cluster": hosts, "task": task}))


def test_one_device_is_the_default_and_changes_nothing():
    for name in ("auto", "one_device"):
        strategy = distribution.new_strategy(name)
        assert strategy is tf.distribute.get_strategy()
        assert distribution.input_shard(strategy) is None and distribution.is_chief(strategy)
        distribution.barrier(strategy)
    assert distribution.num_replicas() == 1 and distribution.num_workers() == 1
    x = tf.constant([[1.0], [2.0]])
    assert distribution.share_of_loss(x) is x
    gathered, first = distribution.gather_rows(x)
    assert gathered is x and first == 0


def test_the_chief_is_the_first_machine(monkeypatch):
    hosts = ["a:1", "b:1"]
    cluster(monkeypatch, {"type": "worker", "index": 0}, worker=hosts)
    assert distribution.is_first_machine() and distribution.num_workers() == 2
    cluster(monkeypatch, {"type": "worker", "index": 1}, worker=hosts)
    assert not distribution.is_first_machine()
    cluster(monkeypatch, {"type": "worker", "index": 0}, worker=hosts, chief=["c:1"])
    assert not distribution.is_first_machine() and distribution.num_workers() == 3
    cluster(monkeypatch, {"type": "chief", "index": 0}, worker=hosts, chief=["c:1"])
    assert distribution.is_first_machine()


def test_a_wrong_tf_config_is_explained(monkeypatch):
    monkeypatch.setenv("TF_CONFIG", "{worker}")
    with pytest.raises(UserError, match='TF_CONFIG is no JSON.*must be like {"cluster"'):
        distribution.new_strategy("auto")
    monkeypatch.setenv("TF_CONFIG", '["worker"]')
    with pytest.raises(UserError, match="TF_CONFIG is .* must be like"):
        distribution.num_workers()
    cluster(monkeypatch, {"type": "worker", "index": 2}, worker=["a:1", "b:1"])
    with pytest.raises(UserError, match="does not say which of its hosts"):
        distribution.new_strategy("multi_worker")
    monkeypatch.delenv("TF_CONFIG")
    with pytest.raises(UserError, match="it is not set"):
        distribution.new_strategy("multi_worker")


def test_it_is_too_late_to_connect_in_a_process_that_computed(monkeypatch):
    tf.constant(1)
    cluster(monkeypatch, {"type": "worker", "index": 0}, worker=["localhost:1", "localhost:2"])
    with pytest.raises(UserError, match="used TensorFlow before"):
        distribution.new_strategy("auto")


class _Resolver:
    """Stands for TensorFlow's look for a TPU."""

    def __init__(self, error=None):
        self._error = error
        self.name = None

    def connect(self, name):
        self.name = name
        if self._error:
            raise self._error
        return self


@pytest.mark.parametrize("error", [
    ValueError("Please provide a TPU Name to connect to.\nmore"), tf.errors.NotFoundError(None, None, "no TPU device"),
    RuntimeError("too late")])
def test_no_tpu_is_explained(monkeypatch, error):
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", _Resolver(error))
    with pytest.raises(UserError, match="no TPU of this machine was found: (?!.*more).*Run this on a TPU VM"):
        distribution.new_strategy("tpu")


def test_a_tpu_is_taken_by_its_name(monkeypatch):
    resolver = _Resolver()
    monkeypatch.setattr(tf.distribute.cluster_resolver, "TPUClusterResolver", resolver)
    monkeypatch.setattr(tf.distribute, "TPUStrategy", lambda found: ("strategy", found))
    assert distribution.new_strategy("tpu", "node-1") == ("strategy", resolver)
    assert resolver.name == "node-1"


def test_an_unknown_strategy():
    with pytest.raises(UserError, match="'horovod' is unknown; there are: auto, one_device"):
        distribution.new_strategy("horovod")


@pytest.mark.parametrize("rows, expected", [
    (12, [[[0, 1, 2], [6, 7, 8]], [[3, 4, 5], [9, 10, 11]]]),
    # A last batch of 3 rows, and one of a single row, which is left out.
    (9, [[[0, 1, 2], [6]], [[3, 4, 5], [7, 8]]]),
    (7, [[[0, 1, 2]], [[3, 4, 5]]]),
])
def test_shards_are_the_parts_of_each_batch(rows, expected):
    batches = tf.data.Dataset.range(rows).batch(6)
    for first, parts in enumerate(expected):
        shard = InputShard(first, 1, 2)
        assert [part.numpy().tolist() for part in shard.of(batches)] == parts
        assert shard.steps(rows, 6) == len(parts)
    both = [part.numpy().tolist() for part in InputShard(0, 2, 2).of(batches)]
    assert both == [part for pair in zip(*expected) for part in pair]


def test_replicas_that_there_are_not():
    with pytest.raises(ValueError, match="replicas 1 to 2 are none of 2"):
        InputShard(1, 2, 2)

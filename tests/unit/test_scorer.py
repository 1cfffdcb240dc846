import io
import json
import pathlib

import numpy as np
import pyarrow.parquet
import pytest
import tensorflow as tf
from tfx.types import standard_artifacts

from components.artifacts import ScoredRows
from components.scorer.executor import FILE, Executor
from models.spec.dataset_spec import DatasetSpec
from tests.executor_case import artifact, write_examples

SPEC = DatasetSpec.parse(
    """
name: shop
source: {format: csv, path: log.csv}
label: {column: clicked}
ids: {user: who}
features:
- {name: who, side: user, kind: categorical}
- {name: item_id, side: item, kind: categorical}
- {name: price, side: item, kind: numeric}
- {name: tags, side: item, kind: set}
slices: [tags]
""", where="shop.yaml")


class _ByPrice(tf.Module):
    """A model whose probability is the price times a factor."""

    def __init__(self, factor):
        super().__init__()
        self.factor = tf.Variable(factor)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def score(self, examples):
        price = tf.io.parse_example(examples, {"price": tf.io.FixedLenFeature([], tf.float32, 0.0)})["price"]
        return {"probability": price * self.factor}


def _model(folder: pathlib.Path, factor: float):
    model, module = artifact(standard_artifacts.Model, folder), _ByPrice(factor)
    tf.saved_model.save(module, str(folder / "Format-Serving"), signatures={"serving_default": module.score})
    return model


def _row(label, price, who, item, tags=()):
    return {"label": [label], "price": [price], "who": [who] if who else [], "item_id": [item], "tags": list(tags)}


@pytest.fixture(scope="module")
def score(tmp_path_factory):
    folder = tmp_path_factory.mktemp("scorer")
    many = [_row(i % 2, i / 1000, f"u{i}", "i1") for i in range(1000)]
    train = [_row(0, 0.1, who, item) for who, item in (("ann", "i1"), ("ann", "i2"), ("bob", "i1"), ("", "i3"))]
    test = [_row(1, 0.5, "ann", "i1", ["a", "b"]), _row(0, 0.25, "<script>", "i9"), _row(1, 1.0, "", "i3", ["b"])]
    examples = {"few": write_examples(folder / "few", {"train": train, "test": test}),
                "many": write_examples(folder / "many", {"train": train, "test": many}),
                "window": write_examples(folder / "window", {"train": [_row(0, 0.1, "bob", "i1")] * 3})}
    models = {factor: _model(folder / str(factor), factor) for factor in (1.0, 0.5)}

    def run(which, max_rows=100, splits=("test",), train=None, **inputs):
        target = artifact(ScoredRows, folder / f"{which}-{max_rows}-{len(inputs)}-{len(splits)}")
        inputs = {"examples": [examples[which]], "train_examples": [examples[train or which]], "baseline_model": [],
                  **{name: [models[factor]] for name, factor in inputs.items()}}
        Executor().Do(inputs, {"scored_rows": [target]}, {
            "dataset_spec": SPEC.to_json(), "example_splits": json.dumps(splits), "max_rows": max_rows})
        table = pyarrow.parquet.read_table(io.BytesIO(pathlib.Path(target.uri, FILE).read_bytes())).to_pydict()
        return target, table

    return run


def test_every_model_scores_every_row(score):
    target, table = score("few", model=1.0, plain_model=0.5)
    assert list(table) == ["label", "score/student", "score/plain", "slice/tags", "train_rows/who",
                           "train_rows/item_id"]
    assert table["label"] == [1, 0, 1]
    assert table["score/student"] == [0.5, 0.25, 1.0] and table["score/plain"] == [0.25, 0.125, 0.5]
    assert table["slice/tags"] == [["a", "b"], [], ["b"]]
    assert (target.get_int_custom_property("rows"), target.get_int_custom_property("rows_of_the_split")) == (3, 3)


def test_training_rows_of_users_and_items_are_counted(score):
    _, table = score("few", model=1.0)
    # A missing value is counted like any other.
    assert table["train_rows/who"] == [2, 0, 1]
    assert table["train_rows/item_id"] == [2, 0, 1]
    assert "score/plain" not in table


def test_of_a_day_every_split_is_scored_and_the_days_before_are_counted(score):
    target, table = score("few", splits=("train", "test"), train="window", model=1.0)
    assert table["label"] == [0, 0, 0, 0, 1, 0, 1]
    assert target.get_int_custom_property("rows_of_the_split") == 7
    # The days before have three rows of bob and i1, and the day's own rows do not count.
    assert table["train_rows/item_id"] == [3, 0, 3, 0, 3, 0, 0]
    assert table["train_rows/who"] == [0, 0, 3, 0, 0, 0, 0]


def test_a_large_split_is_sampled_the_same_way_every_time(score):
    target, first = score("many", 200, model=1.0)
    _, second = score("many", 200, model=1.0, plain_model=0.5)
    assert first["score/student"] == second["score/student"]
    rows = target.get_int_custom_property("rows")
    assert target.get_int_custom_property("rows_of_the_split") == 1000
    assert len(first["label"]) == rows and 150 < rows < 250
    # The sample is of the whole split, and a row keeps its label.
    assert np.ptp(first["score/student"]) > 0.9
    assert first["label"] == [round(p * 1000) % 2 for p in first["score/student"]]

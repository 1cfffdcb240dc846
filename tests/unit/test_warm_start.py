import keras
import numpy as np
import pytest

from models import warm_start
from models.ctr_model import CTRModel
from models.field import Field
from models.rolling_vocabulary import RollingVocabulary

OPTIONS = {"hidden_units": [8]}


def model(films=4, backbone="wide_deep", seed=1, dim=3, buckets=5, **options):
    keras.utils.set_random_seed(seed)
    fields = [Field("film", "categorical", films, "film"), Field("liked", "history", films, "film", max_length=2),
              Field("price", "numeric", buckets, "price")]
    return CTRModel(fields, backbone=backbone, embedding_dim=dim, backbone_options=OPTIONS, **options)


def rows(found, table="film", part="embedding"):
    return keras.ops.convert_to_numpy(getattr(found, part).tables[table])


# Padding, two values and a bucket of unknown ones; then padding, four values and the bucket.
OLD, NEW = {"film": (b"a", b"b")}, {"film": (b"b", b"x", b"a", b"y")}


@pytest.mark.parametrize("part", ["embedding", "first_order"])
def test_a_vector_follows_its_value_and_new_ones_keep_their_initial_value(part):
    old, new = model(4), model(6, seed=2)
    initial = rows(new, part=part).copy()
    assert warm_start.take_over(new, old, NEW, OLD) == []
    now, before = rows(new, part=part), rows(old, part=part)
    np.testing.assert_array_equal(now[[0, 1, 3, 5]], before[[0, 2, 1, 3]])
    np.testing.assert_array_equal(now[[2, 4]], initial[[2, 4]])


def test_dense_layers_and_what_numbers_are_are_taken_over():
    old, new = model(4), model(6, seed=2)
    warm_start.take_over(new, old, NEW, OLD)
    for ours, theirs in zip([*new.backbone.weights, *new.output_layer.weights],
                            [*old.backbone.weights, *old.output_layer.weights], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    np.testing.assert_array_equal(rows(new, "price"), rows(old, "price"))
    np.testing.assert_array_equal(new.embedding.directions["price"], old.embedding.directions["price"])


def test_the_same_rows_are_scored_as_before_where_nothing_changed():
    old, new = model(4), model(4, seed=2)
    inputs = {"film": np.array([1, 2, 3]), "liked": np.array([[1, 2], [0, 0], [3, 0]]),
              "price": np.array([1, 2, 4]), "price_value": np.array([0.5, -1.0, 0.0], "float32")}
    assert np.abs(new(inputs) - old(inputs)).max() > 1e-6
    assert warm_start.take_over(new, old, OLD, OLD) == []
    np.testing.assert_array_equal(new(inputs), old(inputs))


@pytest.mark.parametrize(("changes", "left"), [
    ({"backbone": "deepfm"}, ["backbone and output layer: it was wide_deep {'hidden_units': [8]}"]),
    ({"dim": 4}, ["embedding of film: vectors were 3 wide and are 4",
                  "embedding of price: vectors were 3 wide and are 4",
                  "embedding of price: its weights have other shapes",
                  "backbone and output layer: its weights have other shapes"]),
    ({"buckets": 6}, ["embedding of price: its kind or its number of buckets is another",
                      "first_order of price: its kind or its number of buckets is another"]),
    ({"history_pooling": "din"}, ["attention of liked: its weights have other shapes"]),
])
def test_what_is_not_taken_over_is_said(changes, left):
    assert warm_start.take_over(model(4, seed=2, **changes), model(4), OLD, OLD) == left


def test_a_feature_that_is_new_is_said():
    old = CTRModel([Field("film", "categorical", 4, "film")], "wide_deep", 3, OPTIONS)
    new = model(4, seed=2)
    left = warm_start.take_over(new, old, OLD, OLD)
    assert {"embedding of price: it is new", "backbone and output layer: its weights have other shapes"} <= set(left)
    np.testing.assert_array_equal(rows(new), rows(old))


def test_an_output_layer_is_taken_over_on_the_same_backbone_only():
    old, same, other = model(4), model(4, seed=2), model(4, seed=2, backbone="deepfm")
    assert warm_start.take_over_output_layer(same, old)
    np.testing.assert_array_equal(same.output_layer.kernel, old.output_layer.kernel)
    assert not warm_start.take_over_output_layer(other, old)


def test_a_model_is_read_as_it_was_kept(tmp_path):
    old = model(4)
    warm_start.save(old, str(tmp_path), "student")
    read = warm_start.load(str(tmp_path), "student")
    for ours, theirs in zip(read.weights, old.weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert warm_start.load(str(tmp_path), "plain") is None


def test_layers_are_read_as_they_were_kept(tmp_path):
    def layers(units):
        found = {"a": keras.layers.Dense(2), "b": keras.layers.Dense(units)}
        for layer in found.values():
            layer.build((None, 3))
        return found

    kept, same, other = layers(4), layers(4), layers(5)
    warm_start.save_layers(kept, str(tmp_path), "alignment")
    assert warm_start.load_layers(same, str(tmp_path), "alignment") == []
    np.testing.assert_array_equal(same["b"].kernel, kept["b"].kernel)
    assert warm_start.load_layers(other, str(tmp_path), "alignment") == ["b: its weights have other shapes"]
    np.testing.assert_array_equal(other["a"].kernel, kept["a"].kernel)
    assert warm_start.load_layers(same, str(tmp_path), "none") == ["none: the earlier model has none"]


def test_the_last_model_of_a_run_has_what_those_before_it_left(tmp_path):
    plain, student, last, made = (tmp_path / name for name in ("plain", "student", "last", "vocabularies"))
    made.mkdir()
    warm_start.save(model(4), str(plain), "plain")
    warm_start.save(model(4), str(student), "student")
    RollingVocabulary((b"a", b"b"), np.array([1, 1])).save(str(made), "film")
    for source in (plain, student, tmp_path / "nothing"):
        warm_start.copy(str(source), str(last))
    warm_start.copy_vocabularies(str(made), str(last))
    found = warm_start.load(str(last), "student")
    assert warm_start.load(str(last), "plain") is not None
    assert warm_start.read_values(warm_start.vocabularies(str(last)), found) == OLD

"""Vocabularies that are capped, and hash buckets in place of one."""

import json

import numpy as np
import pytest
import tensorflow as tf

from models.ctr_model import CTRModel
from models.field import Field
from models.preprocessing import fields, vocabulary_features
from models.rolling_vocabulary import RollingVocabulary
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.export import export_ctr_model
from tests.unit.transform_case import SPEC, transform


def specification(**changes):
    """The films' specification with other keys for some features."""
    data = json.loads(SPEC.to_json())
    for feature in data["features"]:
        feature.update(changes.get(feature["name"], {}))
    return DatasetSpec.from_json(json.dumps(data))


HASHED = {"min_count": 2, "oov_buckets": 1, "hash_buckets": 16}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    spec = specification(movie=HASHED, user_id={"max_values": 2})
    return spec, *transform(tmp_path_factory.mktemp("large"), "frozen", spec)


def bucket(value):
    return 1 + int(tf.strings.to_hash_bucket_fast(value, 16))


def test_the_most_frequent_values_are_kept(result):
    _, rows, output = result
    # u3 has two rows; of the others, the last in the alphabet comes first.
    assert output.vocabulary_by_name("user_id_vocabulary") == [b"u3", b"u2"]
    assert [int(row["user_id"]) for row in rows] == [3, 2, 1, 1]


def test_hashed_values_and_the_histories_of_them_need_no_vocabulary(result):
    spec, rows, output = result
    assert [int(row["movie"]) for row in rows] == [bucket("a"), bucket("a"), bucket("b"), bucket("b")]
    assert rows[1]["watched"].tolist() == [bucket("a"), bucket("c"), bucket("a")]
    assert rows[0]["watched"].tolist() == [0, 0, 0]
    assert not output.vocabulary_file_by_name("movie_vocabulary")
    by_name = {field.name: field for field in fields(spec, output)}
    assert by_name["movie"] == Field("movie", "categorical", 17, "movie")
    assert by_name["watched"] == Field("watched", "history", 17, "movie", max_length=3)


def test_hashed_values_need_none_that_was_made_beforehand_either(tmp_path):
    spec = specification(movie=HASHED)
    owners = [feature.name for feature in vocabulary_features(spec)]
    assert "movie" not in owners and "user_id" in owners
    for name in owners:
        RollingVocabulary((b"u3", b"u1")).save(str(tmp_path), name)
    rows, output = transform(tmp_path, "frozen", spec, vocabularies=str(tmp_path))
    assert [int(row["movie"]) for row in rows] == [bucket("a"), bucket("a"), bucket("b"), bucket("b")]
    assert rows[1]["watched"].tolist() == [bucket("a"), bucket("c"), bucket("a")]
    assert {f.name: f.num_ids for f in fields(spec, output)}["movie"] == 17


def test_the_served_graph_hashes_alike(result, tmp_path):
    spec, rows, output = result
    model = CTRModel(fields(spec, output), backbone="wide_deep", embedding_dim=4)
    export_ctr_model(model, output, spec, str(tmp_path / "1"))
    served = tf.saved_model.load(str(tmp_path / "1"))
    example = tf.train.Example(features=tf.train.Features(feature={
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=values))
        for name, values in (("user_id", [b"u3"]), ("movie", [b"b"]), ("watched", [b"a", b""]), ("genre", [b"y"]))}))
    found = served.signatures["serving_default"](tf.constant([example.SerializeToString()]))["logit"]
    names = model.input_names
    inputs = {name: np.asarray([rows[2][name]]) for name in names}
    inputs["gender"], inputs["job"] = np.array([2]), np.array([1])
    np.testing.assert_allclose(found, model(inputs), atol=1e-6)


@pytest.mark.parametrize("changes, message", [
    ({"movie": {**HASHED, "oov_buckets": 2}}, "oov_buckets is for a vocabulary, and hash_buckets"),
    ({"age": {"hash_buckets": 4}}, "hash_buckets is for kind: categorical or set"),
    ({"watched": {"max_values": 4}}, "max_values is for kind: categorical or set"),
])
def test_keys_that_do_not_go_together(changes, message):
    with pytest.raises(ValueError, match=message):
        specification(**changes)


def test_a_hashed_feature_gets_no_rows_for_new_entries():
    data = json.loads(specification(user_id={"hash_buckets": 8, "min_count": 2}).to_json())
    assert DatasetSpec.from_json(json.dumps(data)).entity_ids("user") == ()
    data["ids"] = {"user": ["user_id"]}
    with pytest.raises(UserError, match="'user_id' has hash_buckets"):
        DatasetSpec.parse(json.dumps(data), "films.yaml")

import pytest
import tensorflow as tf

from models import raw_example
from models.field import Field
from models.preprocessing import fields, preprocessing_fn, vocabulary_features, vocabulary_values
from models.rolling_vocabulary import RollingVocabulary
from models.served_transform import ServedTransform
from models.spec.errors import UserError
from tests.unit.transform_case import ROWS, SPEC, transform

CONFIG = {"dataset_spec": SPEC.to_json(), "text_mode": "frozen"}


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return transform(tmp_path_factory.mktemp("frozen"), "frozen")


def column(result, name):
    return [getattr(row[name], "tolist", lambda value=row[name]: value)() for row in result[0]]


def test_known_values_come_before_unknown_ones_and_missing_is_a_value(result):
    output = result[1]
    assert output.vocabulary_by_name("gender_vocabulary") == [b"F", b"<missing>"]
    assert column(result, "gender") == [1, 1, 2, 2]
    assert output.vocabulary_by_name("job_vocabulary") == [b"<missing>"]
    assert column(result, "job") == [1, 1, 1, 1]
    # Of as many rows each, the last in the alphabet comes first.
    assert output.vocabulary_by_name("user_id_vocabulary") == [b"u3", b"u2", b"u1"]
    assert column(result, "user_id") == [3, 2, 1, 1]


def test_a_set_keeps_its_first_values(result):
    assert result[1].vocabulary_by_name("genre_vocabulary") == [b"y", b"x", b"<missing>"]
    assert column(result, "genre") == [[2, 1], [0, 0], [1, 0], [1, 3]]


def test_a_history_keeps_its_newest_values_in_its_items_vocabulary(result):
    assert result[1].vocabulary_by_name("movie_vocabulary") == [b"b", b"a"]
    assert column(result, "movie") == [2, 2, 1, 1]
    watched = column(result, "watched")
    assert watched[0] == [0, 0, 0]
    assert watched[1][0] == watched[1][2] == 2 and watched[1][1] in (3, 4)
    assert watched[2][0] == 2 and watched[2][1] in (3, 4) and watched[2][2] == 0
    assert watched[3][0] in (3, 4) and watched[3][1:] == [0, 0]


def test_numerics_are_bucketised_and_standardised_and_missing_is_apart(result):
    assert column(result, "age") == [1, 2, 3, 3]
    assert column(result, "age_value") == [-1.0, 1.0, 0.0, 0.0]  # mean 2, deviation 1
    assert column(result, "income") == [5] * 4
    assert column(result, "income_value") == [0.0] * 4


def test_labels_and_text_keys_pass_through(result):
    assert column(result, "label") == [1, 0, 1, 1]
    assert column(result, "user_text_key") == [11, 12, -13, 13]
    assert column(result, "item_text_key") == [21, 21, 22, 22]
    assert column(result, "watched_text_key") == [[0, 0, 0], [6, 7, 8], [6, 7, 0], [9, 0, 0]]


def test_features_are_dense(result):
    spec = result[1].transformed_feature_spec()
    assert all(isinstance(feature, tf.io.FixedLenFeature) for feature in spec.values())
    assert {name for name, feature in spec.items() if feature.shape == [3]} == {"watched", "watched_text_key"}
    assert spec["genre"].shape == [2] and spec["label"].shape == []
    assert not [name for name in spec if name.endswith("_sentence")]


def test_fields_have_room_for_every_id(result):
    assert fields(SPEC, result[1]) == [
        Field("user_id", "categorical", 5, "user_id"),
        Field("gender", "categorical", 4, "gender"),
        Field("job", "categorical", 3, "job"),
        Field("age", "numeric", 4, "age"),
        Field("income", "numeric", 6, "income"),
        Field("watched", "history", 5, "movie", max_length=3),
        Field("movie", "categorical", 5, "movie"),
        Field("genre", "set", 5, "genre", max_length=2),
    ]


def test_a_feature_that_the_schema_lacks_or_fixes_is_named():
    with pytest.raises(UserError, match="no feature 'label'.*no value in any training row"):
        preprocessing_fn({}, CONFIG)
    with pytest.raises(UserError, match="'label' a fixed shape"):
        preprocessing_fn({"label": tf.constant([1, 0])}, CONFIG)


@pytest.fixture(scope="module")
def with_files(tmp_path_factory):
    """The same rows with vocabularies that were made beforehand; `gone` is no longer in the log."""
    folder = tmp_path_factory.mktemp("vocabularies")
    values = {"user_id": (b"u1", b"gone", b"u3"), "gender": (b"<missing>", b"F"), "job": (b"<missing>",),
              "movie": (b"gone", b"a"), "genre": (b"y",)}
    for name, kept in values.items():
        RollingVocabulary(kept).save(str(folder), name)
    return transform(tmp_path_factory.mktemp("files"), "frozen", vocabularies=str(folder))


def test_rows_can_be_those_of_a_file(with_files):
    assert column(with_files, "user_id") == [1, 4, 3, 3]
    assert column(with_files, "gender") == [2, 2, 1, 1]
    assert column(with_files, "job") == [1, 1, 1, 1]
    assert column(with_files, "genre") == [[2, 1], [0, 0], [1, 0], [1, 2]]
    assert column(with_files, "movie")[:2] == [2, 2] and set(column(with_files, "movie")[2:]) <= {3, 4}
    assert column(with_files, "watched")[2][0] in (2, 3, 4)
    assert {f.name: f.num_ids for f in fields(SPEC, with_files[1])} == {
        "user_id": 5, "gender": 4, "job": 3, "age": 4, "income": 6, "watched": 5, "movie": 5, "genre": 3}


def test_what_is_served_reads_the_same_file(with_files):
    transform_ = ServedTransform(SPEC, with_files[1])
    rows = tf.constant([raw_example.encode({f.name: row[f.name] for f in SPEC.model_features if f.name in row})
                        for row in ROWS])
    served = tf.function(lambda x: transform_(tf.io.parse_example(x, raw_example.feature_spec(SPEC))))(rows)
    for name in ("user_id", "gender", "job", "movie", "genre", "watched"):
        assert served[name].numpy().tolist() == column(with_files, name)


def test_values_are_counted_as_the_transform_graph_counts_them(result):
    for feature in vocabulary_features(SPEC):
        counts = {}
        for row in ROWS:
            values = [v.encode() for v in row.get(feature.name, ())]
            for value in vocabulary_values(feature, values):
                counts[value] = counts.get(value, 0) + 1
        kept = {value for value, count in counts.items() if count >= feature.min_count}
        assert kept == set(result[1].vocabulary_by_name(f"{feature.name}_vocabulary"))
    assert vocabulary_values(SPEC.feature("movie"), [b"two\nlines"]) == []

import numpy as np
import pytest
import tensorflow as tf

from models.input_pipeline import count_rows_and_clicks, make_dataset
from models.input_shard import InputShard
from models.language_model import LanguageModel
from models.sentence_tokenizer import SentenceTokenizer
from models.text_table import TextTable

ROWS = 25
SPEC = {
    "id": tf.io.FixedLenFeature([], tf.int64),
    "watched": tf.io.FixedLenFeature([2], tf.int64),
    "item_text_key": tf.io.FixedLenFeature([], tf.int64),
    "watched_text_key": tf.io.FixedLenFeature([2], tf.int64),
    "row_sentence": tf.io.FixedLenFeature([2], tf.string),
    "label": tf.io.FixedLenFeature([], tf.int64),
}


def example(row: int) -> bytes:
    def ints(*values):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values))

    return tf.train.Example(features=tf.train.Features(feature={
        "id": ints(row), "watched": ints(row, 0), "item_text_key": ints(100 + row % 2),
        "watched_text_key": ints(101, 0), "label": ints(row % 2),
        "row_sentence": tf.train.Feature(bytes_list=tf.train.BytesList(value=[f"user {row}".encode(), b"item"]))}
    )).SerializeToString(deterministic=True)


@pytest.fixture
def files(tmp_path):
    """Rows 0 to 9, 10 to 19 and 20 to 24."""
    paths = []
    for start in (0, 10, 20):
        paths.append(str(tmp_path / f"part-{start}.gz"))
        with tf.io.TFRecordWriter(paths[-1], "GZIP") as writer:
            for row in range(start, min(start + 10, ROWS)):
                writer.write(example(row))
    return paths


def ids(dataset):
    return [batch["id"].numpy().tolist() for batch, _ in dataset]


def flat(batches):
    return [row for batch in batches for row in batch]


def test_batches_hold_every_row_in_the_files_order(files):
    dataset = make_dataset(files, SPEC, 10)
    assert ids(dataset) == [list(range(10)), list(range(10, 20)), list(range(20, 25))]
    features, label = next(iter(dataset))
    assert set(features) == {"id", "watched"}
    assert label.dtype == tf.float32 and label.numpy().tolist() == [0, 1] * 5
    assert features["watched"].shape == (10, 2)
    assert count_rows_and_clicks(files) == (ROWS, ROWS // 2)


def test_only_rows_to_be_kept_are_read(files):
    def keep(rows):
        return tf.equal(tf.strings.to_hash_bucket_fast(rows, 2), 0)

    expected = [row for row in range(ROWS) if bool(keep(tf.constant([example(row)]))[0])]
    assert 0 < len(expected) < ROWS == 25
    assert ids(make_dataset(files, SPEC, 4, keep=keep)) == [
        expected[i:i + 4] for i in range(0, len(expected), 4)]
    assert sorted(flat(ids(make_dataset(files, SPEC, 4, keep=keep, shuffle_buffer=9, seed=1)))) == expected
    assert count_rows_and_clicks(files, keep) == (len(expected), sum(row % 2 for row in expected))


def test_serialized_rows_come_along(files):
    features, _ = next(iter(make_dataset(files, SPEC, 3, with_records=True)))
    assert features["_record"].numpy().tolist() == [example(0), example(1), example(2)]


def test_remainder_can_be_dropped(files):
    assert [len(b) for b in ids(make_dataset(files, SPEC, 10, drop_remainder=True))] == [10, 10]


def test_shuffling_is_the_same_for_a_seed_and_new_in_every_pass(files):
    def dataset(seed):
        return make_dataset(files, SPEC, 5, shuffle_buffer=ROWS, seed=seed)

    one, two = dataset(1), dataset(1)
    first, second = flat(ids(one)), flat(ids(one))
    assert sorted(first) == sorted(second) == list(range(ROWS))
    assert first != list(range(ROWS)) and first != second
    assert [flat(ids(two)), flat(ids(two))] == [first, second]
    assert flat(ids(dataset(2))) != first


def test_text_keys_become_rows_of_the_tables(files):
    vectors = np.zeros((3, 4), np.float32)
    table = TextTable(keys=np.array([100, 101]), vectors=vectors)
    dataset = make_dataset(files, SPEC, 4, text_tables={"item": table, "watched": table})
    features, _ = next(iter(dataset))
    assert set(features) == {"id", "watched", "item_text_index", "watched_text_index"}
    assert features["item_text_index"].numpy().tolist() == [1, 2, 1, 2]
    assert features["watched_text_index"].numpy().tolist() == [[2, 0]] * 4
    assert features["watched_text_index"].dtype == tf.int32
    with pytest.raises(ValueError, match="watched_text_key.*item"):
        make_dataset(files, SPEC, 4, text_tables={"item": table})


def test_sentences_become_tokens(files):
    model = LanguageModel.load("tiny-random")
    dataset = make_dataset(files, SPEC, 10, tokenize=SentenceTokenizer(model.tokenizer, 9))
    features = [features for features, _ in dataset]
    assert set(features[0]) == {"id", "watched", "token_ids"}
    assert dataset.element_spec[0]["token_ids"].shape.as_list() == [None, 9]
    tokens = np.concatenate([batch["token_ids"] for batch in features])
    np.testing.assert_array_equal(tokens, model.tokenize([f"user {row} item" for row in range(ROWS)], 9))


def test_no_files_are_an_error():
    with pytest.raises(ValueError, match="at least one file"):
        make_dataset([], SPEC, 4)


@pytest.mark.parametrize("drop_remainder", [True, False])
def test_processes_that_train_together_read_the_parts_of_the_same_batches(files, drop_remainder):
    def passes(shard):
        dataset = make_dataset(
            files, SPEC, 10, shuffle_buffer=ROWS, seed=1, drop_remainder=drop_remainder, shard=shard)
        return [ids(dataset), ids(dataset)]

    whole, one, two = passes(None), passes(InputShard(0, 1, 2)), passes(InputShard(1, 1, 2))
    assert whole[0] != whole[1]
    for batches, first, second in zip(whole, one, two, strict=True):
        assert [a + b for a, b in zip(first, second, strict=True)] == batches
        assert [len(a) for a in first] == ([5, 5] if drop_remainder else [5, 5, 2])


def test_equal_parts_have_a_known_number_of_rows(files):
    dataset = make_dataset(files, SPEC, 10, drop_remainder=True, shard=InputShard(0, 1, 2))
    assert dataset.element_spec[1].shape.as_list() == [5]


def test_parts_that_would_differ_between_processes_are_an_error(files):
    with pytest.raises(ValueError, match="need a seed, the same for all"):
        make_dataset(files, SPEC, 10, shuffle_buffer=5, shard=InputShard(0, 1, 2))
    with pytest.raises(ValueError, match="10 rows cannot be divided evenly among 3"):
        make_dataset(files, SPEC, 10, drop_remainder=True, shard=InputShard(0, 1, 3))

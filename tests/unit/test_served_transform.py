import numpy as np
import pytest
import tensorflow as tf

from models import raw_example
from models.served_transform import ServedTransform
from tests.unit.transform_case import ROWS, SPEC, transform


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    return transform(tmp_path_factory.mktemp("finetune"), "finetune")


class Served(tf.Module):
    def __init__(self, output):
        super().__init__()
        self.transform = ServedTransform(SPEC, output)

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(self, examples):
        return self.transform(tf.io.parse_example(examples, raw_example.feature_spec(SPEC)))


@pytest.fixture(scope="module")
def exported(result, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("served"))
    module = Served(result[1])
    tf.saved_model.save(module, folder, signatures={"serving_default": module.serve})
    return folder


def request(row):
    return raw_example.encode({f.name: row[f.name] for f in SPEC.model_features if f.name in row})


def test_the_row_s_sentences_are_those_of_its_sides(result):
    sentences = [[row["user_sentence"][0].encode(), row["item_sentence"][0].encode()] for row in ROWS]
    assert [row["row_sentence"].tolist() for row in result[0]] == sentences


def test_served_ids_are_the_trained_ones_without_label_and_sentences(result, exported):
    served = tf.saved_model.load(exported).signatures["serving_default"]
    outputs = served(examples=tf.constant([request(row) for row in ROWS]))
    names = {f.name for f in SPEC.model_features} | {"age_value", "income_value"}
    assert set(outputs) == names
    for name in names:
        expected = np.stack([row[name] for row in result[0]])
        np.testing.assert_array_equal(outputs[name].numpy(), expected, err_msg=name)
        # The model that reads them has to know before the first row comes.
        assert served.structured_outputs[name].shape.rank == expected.ndim, name


def test_an_empty_batch_and_an_empty_request_are_served(exported):
    served = tf.saved_model.load(exported).signatures["serving_default"]
    assert served(examples=tf.constant([], tf.string))["watched"].shape == (0, 3)
    outputs = served(examples=tf.constant([raw_example.encode({})]))
    assert outputs["gender"].numpy() == [2] and outputs["age"].numpy() == [3]
    assert outputs["watched"].numpy().tolist() == [[0, 0, 0]]


def operations(function):
    graph = function.graph.as_graph_def()
    return {n.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for n in nodes}


def test_the_served_graph_makes_no_sentence(result, exported):
    trained = operations(tf.saved_model.load(result[1].transform_savedmodel_dir).transform_fn)
    signature = tf.saved_model.load(exported).signatures["serving_default"]
    served = operations(signature)
    # The first two look ids up, the third puts the sides' sentences together.
    assert {"LookupTableFindV2", "StringToHashBucketFast", "Pack"} <= trained
    assert {"LookupTableFindV2", "StringToHashBucketFast"} <= served and "StringJoin" not in served
    assert "_sentence" not in str(signature.graph.as_graph_def())

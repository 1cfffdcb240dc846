import os
import subprocess
import sys

import keras_hub
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from models import raw_example
from models.language_model import LanguageModel
from models.served_transform import ServedTransform
from tests.unit.transform_case import ROWS, SPEC, transform

MAX_TOKENS = 12


@pytest.fixture(scope="module")
def result(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune")
    return transform(folder, "finetune", language_model="tiny-random", max_tokens=MAX_TOKENS)


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


def test_token_ids_are_keras_hubs(result):
    tokenizer = LanguageModel.tokenizer_of("tiny-random")
    packer = keras_hub.layers.StartEndPacker(
        MAX_TOKENS, start_value=tokenizer.cls_token_id, end_value=tokenizer.sep_token_id,
        pad_value=tokenizer.pad_token_id)
    for transformed, row in zip(result[0], ROWS, strict=True):
        sentence = f"{row['user_sentence'][0]} {row['item_sentence'][0]}"
        assert transformed["token_ids"].tolist() == np.asarray(packer(tokenizer(sentence))).tolist()
    model = LanguageModel.load("tiny-random")
    tokens = model.tokenize([f"{r['user_sentence'][0]} {r['item_sentence'][0]}" for r in ROWS], MAX_TOKENS)
    assert [row["token_ids"].tolist() for row in result[0]] == tokens.tolist()


def test_served_ids_are_the_trained_ones_without_label_and_sentences(result, exported):
    served = tf.saved_model.load(exported).signatures["serving_default"]
    outputs = served(examples=tf.constant([request(row) for row in ROWS]))
    names = {f.name for f in SPEC.model_features} | {"age_value", "income_value"}
    assert set(outputs) == names
    for name in names:
        expected = np.stack([row[name] for row in result[0]])
        np.testing.assert_array_equal(outputs[name].numpy(), expected, err_msg=name)


def test_an_empty_batch_and_an_empty_request_are_served(exported):
    served = tf.saved_model.load(exported).signatures["serving_default"]
    assert served(examples=tf.constant([], tf.string))["watched"].shape == (0, 3)
    outputs = served(examples=tf.constant([raw_example.encode({})]))
    assert outputs["gender"].numpy() == [2] and outputs["age"].numpy() == [3]
    assert outputs["watched"].numpy().tolist() == [[0, 0, 0]]


def test_the_exported_graph_holds_no_text_operation_and_loads_without_them(exported):
    with open(os.path.join(exported, "saved_model.pb"), "rb") as file:
        graph = saved_model_pb2.SavedModel.FromString(file.read()).meta_graphs[0].graph_def
    operations = {n.op for n in graph.node} | {n.op for f in graph.library.function for n in f.node_def}
    assert "LookupTableFindV2" in operations
    assert not {op for op in operations if "Tokenize" in op or "Normalize" in op or "Ragged" in op}
    code = f"import tensorflow as tf; tf.saved_model.load({exported!r})"
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)

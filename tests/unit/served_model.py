"""A small model in the layout that the Pusher writes, for the tests of server and client."""

import keras
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

from models import raw_example
from models.spec.dataset_spec import DatasetSpec
from serving import raw_columns
from serving.model_config import ModelConfig
from serving.server import ModelServer
from serving.server_options import ServerOptions

SPEC = DatasetSpec.parse(
    """
name: books
source: {format: csv, path: books.csv, delimiter: ";"}
label: {column: clicked}
split: {by: time, time: when}
features:
  - {name: reader, side: user, kind: categorical, column: reader_id}
  - {name: age, side: user, kind: numeric}
  - {name: lately, side: user, kind: history, of: book, max_length: 2, derive: {user: reader_id, time: when}}
  - {name: book, side: item, kind: categorical}
  - {name: topics, side: item, kind: set, max_length: 2}
  - {name: cover, side: item, kind: categorical, model: false}
""",
    where="books.yaml",
)

_FEATURES = raw_example.feature_spec(SPEC)


class BookModel(keras.Model):
    """Scores by the reader's age and the numbers of topics and of books read lately."""

    def __init__(self, bias):
        super().__init__()
        self.dense = keras.layers.Dense(
            1,
            kernel_initializer=keras.initializers.Constant(0.1),
            bias_initializer=keras.initializers.Constant(bias),
        )
        self.dense.build((None, 3))

    def call(self, inputs):
        return keras.ops.squeeze(
            self.dense(keras.ops.stack([inputs[n] for n in sorted(inputs)], axis=-1)), axis=-1
        )


def features_of(examples):
    """The model's inputs out of serialized raw examples."""
    parsed = tf.io.parse_example(examples, _FEATURES)
    return {
        "age": tf.reduce_sum(tf.sparse.to_dense(parsed["age"]), axis=1),
        **{
            name: tf.reduce_sum(tf.cast(tf.sparse.to_dense(parsed[name]) != "", tf.float32), axis=1)
            for name in ("lately", "topics")
        },
    }


def export(folder, bias):
    """Writes `BookModel(bias)` as a version and returns it."""
    model = BookModel(bias)
    module = tf.Module()
    module.student_weights = [w.value for w in model.weights]

    def score(examples):
        logit = model(features_of(examples))
        return {"probability": tf.sigmoid(logit), "logit": logit}

    def classify(inputs):
        click = score(inputs)["probability"]
        classes = tf.tile(tf.constant([["0", "1"]]), [tf.shape(click)[0], 1])
        return {"classes": classes, "scores": tf.stack([1 - click, click], axis=-1)}

    def rank_top_k(k, **columns):
        def count(name):
            return tf.reduce_sum(tf.cast(columns[name] != "", tf.float32), axis=1)

        age = tf.where(tf.math.is_nan(columns["age"]), 0.0, columns["age"])
        # Books without a name are last.
        points = age + count("lately") + count("topics") - 100 * tf.cast(columns["book"] == "", tf.float32)
        best, index = tf.math.top_k(bias + 0.1 * points, k)
        return {"probability": tf.sigmoid(best), "logit": best, "index": index}

    ranked = {"k": tf.TensorSpec([], tf.int32, name="k"), **raw_columns.tensor_specs(SPEC, ranking=True)}
    functions = {
        "serving_default": (score, "examples"), "classify": (classify, "inputs"),
        "regress": (lambda inputs: {"outputs": score(inputs)["probability"]}, "inputs")}
    tf.saved_model.save(module, str(folder), signatures={
        "rank_top_k": tf.function(rank_top_k).get_concrete_function(**ranked),
        **{name: tf.function(function).get_concrete_function(**{key: tf.TensorSpec([None], tf.string, name=key)})
           for name, (function, key) in functions.items()}})
    return model


def server(base_path, **options):
    """A server of the versions below a folder, under the name `books`, on a free port."""
    return ModelServer([ModelConfig("books", str(base_path))], ServerOptions(**{"port": 0, **options}))


def request(examples, model="books", **spec):
    """A `PredictRequest` of serialized Examples; `spec`: of the model's version or label, and the signature."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    if "version" in spec:
        request.model_spec.version.value = spec.pop("version")
    for key, value in spec.items():
        setattr(request.model_spec, key, value)
    request.inputs["examples"].CopyFrom(tf.make_tensor_proto(examples))
    return request

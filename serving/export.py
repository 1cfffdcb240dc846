"""Export of the student as a SavedModel of raw examples."""

from __future__ import annotations

import os
import pathlib

import keras
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.core.protobuf import saved_model_pb2

from models import raw_example
from models.served_transform import ServedTransform
from models.spec.dataset_spec import DatasetSpec

WEIGHTS = "student_weights"
SPEC_FILE = os.path.join("assets.extra", "dataset.json")


class _ServedModel(tf.Module):
    """Raw serialized examples to probabilities: parse, transform, score.

    Only the weights are tracked, not the Keras model: a SavedModel of the model would
    bring its training state and its own call functions along.
    """

    def __init__(self, model: keras.Model, tft_output: tft.TFTransformOutput, spec: DatasetSpec):
        super().__init__()
        feature_spec = raw_example.feature_spec(spec)
        self.transform = ServedTransform(spec, tft_output)

        def score(examples: tf.Tensor) -> dict[str, tf.Tensor]:
            transformed = self.transform(tf.io.parse_example(examples, feature_spec))
            logit = tf.cast(model(transformed, training=False), tf.float32)
            return {"probability": tf.sigmoid(logit), "logit": logit}

        signature = [tf.TensorSpec([None], tf.string, name="examples")]
        self.serving_default = tf.function(score, input_signature=signature)
        self.serving_default.get_concrete_function()
        # After the trace, when a model that is built by its first call has its weights.
        setattr(self, WEIGHTS, [w.value for w in model.weights])


def export_ctr_model(
    model: keras.Model,
    tft_output: tft.TFTransformOutput,
    spec: DatasetSpec,
    export_dir: str,
) -> None:
    """Writes the student with its transform graph as a SavedModel that scores raw examples.

    The signature `serving_default` takes `examples` (string [batch], serialized
    `tf.train.Example`s keyed by feature name) to `probability` and `logit` (float32
    [batch]). Missing features, missing values and values never seen in training score
    like any other. Only the ID model is written (arXiv 2306.02841, sec. 4.3: the
    collaborative model alone is served); `assert_pure_id` is run on the result. The
    dataset specification lies beside it in `assets.extra/dataset.json`.

    Args:
        model: the student: a Keras model from transformed features (a dict) to logits
            [batch].
        tft_output: the `TFTransformOutput` that the model was trained with.
        spec: the dataset specification.
        export_dir: the folder to write; its parents are made.

    Raises:
        ValueError: the graph holds more than the ID model.

    Example:

    ```python
    export_ctr_model(student, tft.TFTransformOutput(transform_graph_dir), spec, "serving_model_dir")
    ```
    """
    served = _ServedModel(model, tft_output, spec)
    tf.saved_model.save(served, export_dir, signatures={"serving_default": served.serving_default})
    # Where the log was on the training machine is of no use to a client.
    path = spec.source.path and pathlib.PurePath(spec.source.path).name
    public = spec.model_copy(update={"source": spec.source.model_copy(update={"path": path})})
    file = os.path.join(export_dir, SPEC_FILE)
    tf.io.gfile.makedirs(os.path.dirname(file))
    with tf.io.gfile.GFile(file, "w") as stream:
        stream.write(public.to_json())
    assert_pure_id(export_dir, model)


def assert_pure_id(export_dir: str, model: keras.Model | None = None) -> None:
    """Checks that an exported model is the ID model and nothing else.

    The main graph and every function in its library must consist of TensorFlow's own
    operations (those of `tf.raw_ops`): no tokenizer of `tensorflow_text`, nothing that
    a stock server lacks. Every variable must be one of the student's weights.

    Args:
        export_dir: a SavedModel that `export_ctr_model` wrote.
        model: the student; when given, the variables must have exactly its weights'
            shapes, in order.

    Raises:
        ValueError: naming the operations or variables that do not belong.
    """
    with tf.io.gfile.GFile(os.path.join(export_dir, "saved_model.pb"), "rb") as stream:
        saved = saved_model_pb2.SavedModel.FromString(stream.read())
    foreign = set()
    for meta_graph in saved.meta_graphs:
        library = meta_graph.graph_def.library.function
        own = set(dir(tf.raw_ops)) | {f.signature.name for f in library}
        nodes = [*meta_graph.graph_def.node, *(node for f in library for node in f.node_def)]
        foreign.update(node.op for node in nodes if node.op not in own)
    if foreign:
        raise ValueError(
            f"{export_dir}: the served graph must be pure ID, but it holds operations that are not "
            f"TensorFlow's own: {', '.join(sorted(foreign))}"
        )
    variables = dict(tf.train.list_variables(os.path.join(export_dir, "variables", "variables")))
    variables.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    others = sorted(name for name in variables if not name.startswith(f"{WEIGHTS}/"))
    if others:
        raise ValueError(
            f"{export_dir}: the served model must be pure ID, but it holds variables that are not the "
            f"student's: {', '.join(others)}"
        )
    if model is not None:
        stored = [
            tuple(shape) for _, shape in sorted(variables.items(), key=lambda v: int(v[0].split("/")[1]))
        ]
        expected = [tuple(w.shape) for w in model.weights]
        if stored != expected:
            raise ValueError(
                f"{export_dir}: the served variables have the shapes {stored}, the student {expected}"
            )

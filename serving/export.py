"""Export of the student as a SavedModel of raw examples."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence

import keras
import numpy as np
import tensorflow as tf
import tensorflow_transform as tft
from tensorflow.core.protobuf import saved_model_pb2

from models import raw_example
from models.embedding_rows import with_more_rows
from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving.catalogue_lookup import CatalogueLookup
from serving.served_model import WEIGHTS, ServedModel
from serving.signature_names import CLASSIFY, REGRESS
from serving.spec_file import SPEC_FILE
from serving.warmup_requests import warmup_requests, write_warmup

# What a checkpoint adds to the name of a variable.
_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"


def export_ctr_model(
    model: keras.Model,
    tft_output: tft.TFTransformOutput,
    spec: DatasetSpec,
    export_dir: str,
    catalogue: Mapping[str, Mapping[str, np.ndarray]] | None = None,
    warmup_rows: Sequence[raw_example.Values] = (),
    model_name: str = "",
) -> None:
    """Writes the student with its transform graph as a SavedModel that scores raw features.

    Signatures, by name; all but the last two are of any batch:

    | signature | inputs | outputs |
    |---|---|---|
    | `serving_default` | `examples`, string [batch] | `probability`, `logit`, float32 [batch] |
    | `classify` | `inputs`, string [batch] | `classes`, string [batch, 2]; `scores`, float32 [batch, 2] |
    | `regress` | `inputs`, string [batch] | `outputs`, float32 [batch] |
    | `predict_columns` | a tensor a feature, see `serving.raw_columns` | as `serving_default` |
    | `rank` | the same; what is not the item's has one row | as `serving_default`, an item a row |
    | `rank_top_k` | the same, and `k`, int32 scalar | the best k, best first, and their `index`, int32 [k] |

    Strings [batch] are serialized `tf.train.Example`s, keyed by feature name. Missing
    features, missing values and values never seen in training score like any other. Only
    the ID model is written (arXiv 2306.02841, sec. 4.3: the collaborative model alone is
    served); `assert_pure_id` is run on the result. The dataset specification lies beside
    it in `assets.extra/dataset.json`.

    With a `catalogue`, values that training never saw (or saw too seldom) have embedding
    rows of their own, made from their texts beforehand: see `models.text_to_embedding`.
    The signatures are the same, and the graph holds one more table a feature, no text.

    Args:
        model: the student: a Keras model from transformed features (a dict) to logits
            [batch].
        tft_output: the `TFTransformOutput` that the model was trained with.
        spec: the dataset specification.
        export_dir: the folder to write; its parents are made.
        catalogue: by categorical or set feature, each value's row, float [width] as
            `models.embedding_rows.rows_of` gives it. It takes the place of a row that
            the value got in training; histories of the feature read it too. The student
            must then be a `CTRModel`.
        warmup_rows: decoded raw examples, of which TensorFlow Serving's warm-up requests are
            made, see `serving.warmup_requests`; none writes none.
        model_name: what those requests call the model.

    Raises:
        UserError: the catalogue names no such feature, holds a value that is empty or
            spans lines, or rows of another width.
        ValueError: the graph holds more than the ID model, or the model computes in another
            precision than float32: see `models.precision.in_float32`.

    Example:

    ```python
    export_ctr_model(student, tft.TFTransformOutput(transform_graph_dir), spec, "serving_model_dir")
    ```
    """
    if model.compute_dtype != "float32":
        raise ValueError(f"the model computes in {model.compute_dtype}; what is served must be float32")
    with tempfile.TemporaryDirectory() as folder:
        lookup = None
        if catalogue:
            values = {name: list(rows) for name, rows in catalogue.items()}
            lookup = CatalogueLookup(spec, model.fields, values, folder)
            model = with_more_rows(model, {name: _matrix(name, rows) for name, rows in catalogue.items() if rows})
        served = ServedModel(model, tft_output, spec, lookup)
        tf.saved_model.save(served, export_dir, signatures=served.signatures())
    _name_methods(export_dir)
    # Where the log was on the training machine is of no use to a client.
    public = spec.model_copy(update={"source": spec.source.model_copy(update={"path": spec.source.tail})})
    file = os.path.join(export_dir, SPEC_FILE)
    tf.io.gfile.makedirs(os.path.dirname(file))
    with tf.io.gfile.GFile(file, "w") as stream:
        stream.write(public.to_json())
    if warmup_rows:
        write_warmup(export_dir, warmup_requests(spec, warmup_rows, model_name))
    assert_pure_id(export_dir, model)


def _name_methods(export_dir: str) -> None:
    """Says which signatures are for Classify and Regress: stock servers may insist on it, TensorFlow 2 does not."""
    methods = {CLASSIFY: tf.saved_model.CLASSIFY_METHOD_NAME, REGRESS: tf.saved_model.REGRESS_METHOD_NAME}
    updater = tf.compat.v1.saved_model.signature_def_utils.MethodNameUpdater(export_dir)
    for name, method in methods.items():
        updater.replace_method_name(name, method, tf.saved_model.SERVING)
    updater.save()


def restore_weights(model: keras.Model, export_dir: str) -> None:
    """Reads an exported student's weights back into a Keras model.

    Args:
        model: the student, built as it was when it was exported.
        export_dir: a SavedModel that `export_ctr_model` wrote.

    Raises:
        ValueError: the shapes of the weights differ.

    Example:

    ```python
    student = CTRModel(fields(spec, tft_output), backbone="deepfm")
    restore_weights(student, "serving/ctr/1717200000")
    ```
    """
    reader = tf.train.load_checkpoint(os.path.join(export_dir, "variables", "variables"))
    values = [reader.get_tensor(f"{WEIGHTS}/{i}{_VALUE}") for i in range(len(_stored_shapes(export_dir)))]
    found, expected = [v.shape for v in values], [tuple(w.shape) for w in model.weights]
    if found != expected:
        raise ValueError(f"{export_dir}: the served variables have the shapes {found}, the model {expected}")
    for weight, value in zip(model.weights, values, strict=True):
        weight.assign(value)


def _matrix(name: str, rows: Mapping[str, np.ndarray]) -> np.ndarray:
    """The rows of a feature's catalogue, [values, width]."""
    widths = {np.shape(row) for row in rows.values()}
    if len(widths) > 1:
        raise UserError(f"catalogue of {name!r}: rows differ in shape: {sorted(widths)}")
    return np.stack(list(rows.values()))


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
    others = sorted(name for name in _variables(export_dir) if not name.startswith(f"{WEIGHTS}/"))
    if others:
        raise ValueError(
            f"{export_dir}: the served model must be pure ID, but it holds variables that are not the "
            f"student's: {', '.join(others)}"
        )
    if model is not None:
        stored = _stored_shapes(export_dir)
        expected = [tuple(w.shape) for w in model.weights]
        if stored != expected:
            raise ValueError(
                f"{export_dir}: the served variables have the shapes {stored}, the student {expected}"
            )


def _variables(export_dir: str) -> dict[str, list[int]]:
    """Shapes of an exported model's variables by name."""
    variables = dict(tf.train.list_variables(os.path.join(export_dir, "variables", "variables")))
    variables.pop("_CHECKPOINTABLE_OBJECT_GRAPH", None)
    return variables


def _stored_shapes(export_dir: str) -> list[tuple[int, ...]]:
    """Shapes of the student's weights, in order."""
    variables = _variables(export_dir)
    return [tuple(variables[name]) for name in sorted(variables, key=lambda name: int(name.split("/")[1]))]

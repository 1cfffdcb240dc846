"""TF Serving's Classify and Regress: Examples in, classes or values out."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, input_pb2, regression_pb2

from serving.request_error import RequestError
from serving.servable import Servable
from serving.signature_names import CLASSIFY, REGRESS


def classify(
    servable: Servable, signature_name: str, given: input_pb2.Input
) -> classification_pb2.ClassificationResult:
    """Classes and their scores, for each Example.

    Args:
        servable: the version that answers.
        signature_name: a signature from `inputs` to `classes`, `scores` or both; "" is `classify`.
        given: the request's Examples.

    Raises:
        RequestError: NOT_FOUND for the signature, INVALID_ARGUMENT for anything else that is wrong.
    """
    names = (tf.saved_model.CLASSIFY_OUTPUT_CLASSES, tf.saved_model.CLASSIFY_OUTPUT_SCORES)
    found = _run(servable, signature_name or CLASSIFY, "Classify", names, given)
    classes, scores = (found.get(name) for name in names)
    result = classification_pb2.ClassificationResult()
    for row in range(len(classes if scores is None else scores)):
        labels = [] if classes is None else [label.decode("utf-8", "replace") for label in classes[row]]
        values = [0.0] * len(labels) if scores is None else scores[row].tolist()
        added = result.classifications.add()
        for label, value in zip(labels or [""] * len(values), values, strict=True):
            added.classes.add(label=label, score=value)
    return result


def regress(servable: Servable, signature_name: str, given: input_pb2.Input) -> regression_pb2.RegressionResult:
    """A value for each Example.

    Args:
        servable: the version that answers.
        signature_name: a signature from `inputs` to `outputs`; "" is `regress`.
        given: the request's Examples.

    Raises:
        RequestError: NOT_FOUND for the signature, INVALID_ARGUMENT for anything else that is wrong.
    """
    name = tf.saved_model.REGRESS_OUTPUTS
    values = _run(servable, signature_name or REGRESS, "Regress", (name,), given)[name]
    result = regression_pb2.RegressionResult()
    for value in np.reshape(values, -1).tolist():
        result.regressions.add(value=value)
    return result


def _run(servable: Servable, signature_name: str, method: str, outputs: tuple[str, ...],
         given: input_pb2.Input) -> dict[str, np.ndarray]:
    signature = servable.signature(signature_name)
    wanted = [name for name in outputs if name in signature.outputs]
    if set(signature.inputs) != {tf.saved_model.CLASSIFY_INPUTS} or not wanted:
        raise RequestError.invalid(
            f"signature {signature_name!r} is not for {method}: it goes from {', '.join(sorted(signature.inputs))} to "
            f"{', '.join(sorted(signature.outputs))}, and {method} needs {tf.saved_model.CLASSIFY_INPUTS} and "
            f"{' or '.join(outputs)}")
    examples = np.array(_serialized(given), dtype=object)
    return servable.run_arrays(signature_name, {tf.saved_model.CLASSIFY_INPUTS: examples}, wanted)


def _serialized(given: input_pb2.Input) -> list[bytes]:
    kind = given.WhichOneof("kind")
    if kind is None or not getattr(given, kind).examples:
        raise RequestError.invalid("the input holds no Example")
    examples = [example.SerializeToString() for example in getattr(given, kind).examples]
    if kind == "example_list":
        return examples
    # Protobuf keeps the later of two values of one feature, so the example's own goes before the context's.
    context = given.example_list_with_context.context.SerializeToString()
    return [context + example for example in examples]

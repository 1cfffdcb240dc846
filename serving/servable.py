"""One loaded version of a model."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import meta_graph_pb2

from serving.request_error import RequestError
from serving.signature_names import DEFAULT
from serving.tensors import check_names, to_array

# Inputs that hold serialized Examples; other strings are values of a column.
_EXAMPLES = ("examples", tf.saved_model.CLASSIFY_INPUTS)
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")


class Servable:
    """Loads a SavedModel and runs its signatures; safe to use from many threads.

    A session's callable is used, not the eager signature: measured on the same model, the
    graph's share of a request of one row took a third less time. Memory is given back when the
    last reference goes, so requests under way on an old version end undisturbed.

    Args:
        directory: a version directory, with `saved_model.pb`.
        version: its number.

    Raises:
        OSError, ValueError, tf.errors.OpError: it cannot be loaded.

    Example:

    ```python
    servable = Servable("serving/1718000000", 1718000000)
    servable.run("serving_default", {"examples": proto}, ["probability"])
    ```
    """

    def __init__(self, directory: str, version: int):
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            meta_graph = _load(self._session, directory)
        self.signatures = {n: s for n, s in meta_graph.signature_def.items() if n not in _INTERNAL}
        # Built now, not at a request: a graph that is changed while it runs is rebuilt.
        self._callables = {
            name: self._session.make_callable(
                [signature.outputs[o].name for o in sorted(signature.outputs)],
                [signature.inputs[i].name for i in sorted(signature.inputs)],
            )
            for name, signature in self.signatures.items()
        }
        graph.finalize()

    def run(self, signature_name: str, inputs: Mapping, outputs: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Answers one request.

        Args:
            signature_name: which signature; "" for the default one.
            inputs: name to `TensorProto`.
            outputs: the outputs that are wanted; all when empty.

        Returns:
            Output name to array.

        Raises:
            RequestError: NOT_FOUND for a signature; INVALID_ARGUMENT for anything else
                that is wrong with the request, naming the input.
        """
        name = signature_name or DEFAULT
        signature = self.signature(name)
        check_names("the request", inputs, name, signature.inputs)
        unknown = sorted(set(outputs) - set(signature.outputs))
        if unknown:
            raise RequestError.invalid(
                f"signature {name!r} has no output '{unknown[0]}'; there are: "
                f"{', '.join(sorted(signature.outputs))}"
            )
        arrays = {i: to_array(i, inputs[i], signature.inputs[i]) for i in sorted(signature.inputs)}
        return self.run_arrays(name, arrays, outputs)

    def signature(self, name: str) -> meta_graph_pb2.SignatureDef:
        """A signature by its name.

        Raises:
            RequestError: NOT_FOUND, with those that there are.
        """
        if name not in self.signatures:
            raise RequestError.not_found(
                f"no signature {name!r} in version {self.version}; there are: {self._names()}"
            )
        return self.signatures[name]

    def run_arrays(
        self, name: str, arrays: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Answers a request that is decoded and checked already; otherwise as `run`."""
        signature = self.signatures[name]
        try:
            values = self._callables[name](*(arrays[i] for i in sorted(signature.inputs)))
        # The session decodes its error message strictly, and the message may quote the request's bytes.
        except (tf.errors.InvalidArgumentError, UnicodeDecodeError) as error:
            raise RequestError.invalid(_explain(arrays, error)) from error
        results = dict(zip(sorted(signature.outputs), values, strict=True))
        return {o: results[o] for o in outputs} if outputs else results

    def _names(self) -> str:
        return ", ".join(sorted(self.signatures)) or "none"


def _load(session: tf.compat.v1.Session, directory: str):
    """Loads into the session; quiet about the loader being a TensorFlow 1 interface, which it is."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], directory)
    finally:
        logger.setLevel(level)


def _explain(arrays: Mapping[str, np.ndarray], error: Exception) -> str:
    """What is wrong with the inputs: row and feature where they can be told."""
    typed = re.search(r"Key: (.*?), Index: (\d+)\.\s+(.*)", str(error))
    if typed:
        return f"row {typed[2]}, feature '{typed[1]}': {typed[3]}"
    uneven = re.search(r"the column \w+ has not as many rows as \w+", str(error))
    if uneven:
        return uneven[0]
    for name, array in arrays.items():
        if name in _EXAMPLES:
            for row, value in enumerate(array.flat):
                try:
                    tf.train.Example.FromString(value)
                except message.DecodeError:
                    return f"input '{name}', row {row}: is no serialized tf.train.Example"
    # Before that line TensorFlow writes where the graph was made, and after it where else it failed.
    reason = re.search(r"(.+)\n\s*\[\[", str(error))
    return (f"the values of {', '.join(arrays)} cannot be used: "
            f"{reason[1].strip() if reason else str(error).strip().splitlines()[0]}")

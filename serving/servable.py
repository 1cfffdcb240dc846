"""One loaded version of a model."""

from __future__ import annotations

import functools
import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.framework import tensor_pb2, types_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.batcher import Batcher, Batching
from serving.request_error import RequestError
from serving.signature_names import DEFAULT
from serving.tensors import check_names, check_tensor, to_array

# Inputs that hold serialized Examples; other strings are values of a column.
_EXAMPLES = ("examples", tf.saved_model.CLASSIFY_INPUTS)
_UNMERGED = Batching()
# In a request; fewer are quickly made an array, which can share a run.
_MANY_STRINGS = 256
# The session decodes its error message strictly, and the message may quote the request's bytes.
_REFUSED = (tf.errors.InvalidArgumentError, UnicodeDecodeError)
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")


class Servable:
    """Loads a SavedModel and runs its signatures; safe to use from many threads.

    A session's callable is used, not the eager signature: measured on the same model, the
    graph's share of a request of one row took a third less time. Memory is given back when the
    last reference goes, so requests under way on an old version end undisturbed.

    Args:
        directory: a version directory, with `saved_model.pb`.
        version: its number.
        batching: whether requests that come at the same time share a run, where the signature's
            inputs and outputs all have as many rows.

    Raises:
        OSError, ValueError, tf.errors.OpError: it cannot be loaded.

    Example:

    ```python
    servable = Servable("serving/1718000000", 1718000000)
    servable.run("serving_default", {"examples": proto}, ["probability"])
    ```
    """

    def __init__(self, directory: str, version: int, batching: Batching = _UNMERGED):
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(graph=graph)
        with graph.as_default():
            messages, strings = _parsed_strings(directory)
            meta_graph = _load(self._session, directory, strings)
        self.signatures = {n: s for n, s in meta_graph.signature_def.items() if n not in _INTERNAL}
        # Built now, not at a request: a graph that is changed while it runs is rebuilt.
        self._callables = {
            name: self._session.make_callable(
                [signature.outputs[o].name for o in sorted(signature.outputs)],
                [messages.get(signature.inputs[i].name, signature.inputs[i]).name for i in sorted(signature.inputs)],
            )
            for name, signature in self.signatures.items()
        }
        graph.finalize()
        merged = {name for name, signature in self.signatures.items() if batching.max_rows and _has_rows(signature)}
        self._array_callables = {
            name: Batcher(functools.partial(_run_arrays, run), batching) if name in merged
            else functools.partial(_run_arrays, run)
            for name, run in self._callables.items()}
        self._merged = merged

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
        if name in self._merged and sum(len(tensor.string_val) for tensor in inputs.values()) <= _MANY_STRINGS:
            arrays = {i: to_array(i, inputs[i], signature.inputs[i]) for i in sorted(signature.inputs)}
            return self.run_arrays(name, arrays, outputs)
        return self._run_messages(name, inputs, outputs)

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

    def signature_map(self) -> get_model_metadata_pb2.SignatureDefMap:
        """All signatures, as GetModelMetadata tells of them."""
        found = get_model_metadata_pb2.SignatureDefMap()
        for name, signature in self.signatures.items():
            found.signature_def[name].CopyFrom(signature)
        return found

    def run_arrays(
        self, name: str, arrays: Mapping[str, np.ndarray], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Answers a request that is decoded and checked already; otherwise as `run`."""
        try:
            values = self._array_callables[name](*(arrays[i] for i in sorted(arrays)))
        except _REFUSED as error:
            raise RequestError.invalid(_explain(arrays, error)) from error
        return self._results(name, values, outputs)

    def _run_messages(self, name: str, inputs: Mapping, outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """As `run_arrays`, with strings as they came: no Python object is made for each of them."""
        infos = self.signatures[name].inputs
        fed = []
        for i in sorted(inputs):
            if infos[i].dtype == types_pb2.DT_STRING and not inputs[i].tensor_content:
                check_tensor(i, inputs[i], infos[i])
                fed.append(inputs[i].SerializeToString())
            else:
                array = to_array(i, inputs[i], infos[i])
                fed.append(_message(array) if array.dtype == object else array)
        try:
            values = self._callables[name](*fed)
        except _REFUSED as error:
            arrays = {i: to_array(i, inputs[i], infos[i]) for i in sorted(inputs)}
            raise RequestError.invalid(_explain(arrays, error)) from error
        return self._results(name, values, outputs)

    def _results(self, name: str, values: Sequence[np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        results = dict(zip(sorted(self.signatures[name].outputs), values, strict=True))
        return {o: results[o] for o in outputs} if outputs else results

    def _names(self) -> str:
        return ", ".join(sorted(self.signatures)) or "none"


def _has_rows(signature: meta_graph_pb2.SignatureDef) -> bool:
    """Whether all inputs and outputs have a row for each row of the request."""
    infos = [*signature.inputs.values(), *signature.outputs.values()]
    return all(i.tensor_shape.dim and i.tensor_shape.dim[0].size == -1 for i in infos)


def _parsed_strings(directory: str) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """For each string input of a signature, by its tensor's name: a message to be fed, and the strings read from it.

    The strings stand in the input's place. TensorFlow reads thousands of them out of a serialized
    `TensorProto` in a fraction of the time that it takes to make as many Python objects.
    """
    with tf.io.gfile.GFile(os.path.join(directory, tf.saved_model.SAVED_MODEL_FILENAME_PB), "rb") as stream:
        saved = saved_model_pb2.SavedModel.FromString(stream.read())
    messages, strings = {}, {}
    for meta_graph in saved.meta_graphs:
        if tf.saved_model.SERVING in meta_graph.meta_info_def.tags:
            for signature in meta_graph.signature_def.values():
                for info in signature.inputs.values():
                    if info.dtype == types_pb2.DT_STRING and info.name not in strings:
                        messages[info.name] = tf.compat.v1.placeholder(tf.string, [])
                        strings[info.name] = tf.io.parse_tensor(messages[info.name], tf.string)
                        strings[info.name].set_shape(tf.TensorShape(info.tensor_shape))
    return messages, strings


def _run_arrays(run: Callable, *arrays: np.ndarray) -> Sequence[np.ndarray]:
    """Runs a callable that wants strings as messages."""
    return run(*(_message(array) if array.dtype == object else array for array in arrays))


def _message(strings: np.ndarray) -> bytes:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=strings.ravel().tolist())
    for size in strings.shape:
        tensor.tensor_shape.dim.add(size=size)
    return tensor.SerializeToString()


def _load(session: tf.compat.v1.Session, directory: str, input_map: Mapping[str, tf.Tensor]):
    """Loads into the session; quiet about the loader being a TensorFlow 1 interface, which it is."""
    logger = tf.get_logger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        return tf.compat.v1.saved_model.load(session, [tf.saved_model.SERVING], directory, input_map=input_map)
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

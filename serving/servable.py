"""One loaded version of a model."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf
from google.protobuf import message
from tensorflow.core.framework import types_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import get_model_metadata_pb2

from serving.batcher import Batcher, Batching
from serving.request_error import RequestError
from serving.request_strings import request_strings
from serving.signature_names import DEFAULT
from serving.tensors import InputSpec, check_names, to_array

# Inputs that hold serialized Examples; other strings are values of a column.
_EXAMPLES = ("examples", tf.saved_model.CLASSIFY_INPUTS)
_UNMERGED = Batching()
# Bytes of a request; a smaller one is quickly made arrays, which can share a run.
_LARGE = 8192
# Rows of a run; up to so many, operations take less time than it takes to hand them to other threads.
_FEW_ROWS = 16
_OWN_THREAD = -1  # https://github.com/tensorflow/tensorflow/blob/v2.16.2/tensorflow/core/protobuf/config.proto
# The session decodes its error message strictly, and the message may quote the request's bytes.
_REFUSED = (tf.errors.InvalidArgumentError, tf.errors.DataLossError, UnicodeDecodeError)
_INTERNAL = ("__saved_model_init_op", "__saved_model_train_op")


class Servable:
    """Loads a SavedModel and runs its signatures; safe to use from many threads.

    A session's callable is used, not the eager signature: measured on the same model, a request of
    one row takes less than half the time. A few rows are computed in the caller's thread, more by
    TensorFlow's threads. Memory is given back when the last reference goes, so requests under way
    on an old version end undisturbed.

    Args:
        directory: a version directory, with `saved_model.pb`.
        version: its number.
        batching: whether requests that come at the same time share a run, where the signature's
            inputs and outputs all have as many rows.
        intra_op_threads: threads that share an operation; 0 for all cores. The first session of a
            process settles it for all. Of AutoInt and 100 rows, sharing every product by two cores took
            a fifth longer than computing it in one thread, and cost a third of the throughput.

    Raises:
        OSError, ValueError, tf.errors.OpError: it cannot be loaded.

    Example:

    ```python
    servable = Servable("serving/1718000000", 1718000000)
    servable.run("serving_default", {"examples": proto.SerializeToString()}, ["probability"])
    ```
    """

    def __init__(self, directory: str, version: int, batching: Batching = _UNMERGED, intra_op_threads: int = 1):
        self.version = version
        graph = tf.Graph()
        self._session = tf.compat.v1.Session(
            graph=graph, config=config_pb2.ConfigProto(intra_op_parallelism_threads=intra_op_threads))
        with graph.as_default():
            messages, strings = _parsed_strings(directory)
            # What TensorFlow inlines waits for the operations of its inputs even where their tensors are fed; these
            # stand between, since it leaves them where they are.
            between = {n: tf.compat.v1.placeholder_with_default(s, s.shape) for n, s in strings.items()}
            meta_graph = _load(self._session, directory, between)
        self.signatures = {n: s for n, s in meta_graph.signature_def.items() if n not in _INTERNAL}
        # Built now, not at a request: a graph that is changed while it runs is rebuilt. A message that is no tensor
        # is refused also where no output depends on what it says.
        self._inputs = {n: [InputSpec.of(i, s.inputs[i]) for i in sorted(s.inputs)] for n, s in self.signatures.items()}
        self._outputs = {n: sorted(s.outputs) for n, s in self.signatures.items()}
        self._message_callables = self._callables(messages, needed=strings)
        few, many = (self._callables(strings, {}, threads) for threads in (_OWN_THREAD, 0))
        self._array_callables = {name: _by_rows(few[name], many[name]) for name in many}
        graph.finalize()
        self._merged = {n for n, s in self.signatures.items() if batching.max_rows and _has_rows(s)}
        for name in self._merged:
            self._array_callables[name] = Batcher(self._array_callables[name], batching)

    def run(
        self, signature_name: str, inputs: Mapping[str, bytes], outputs: Sequence[str] = ()
    ) -> dict[str, np.ndarray]:
        """Answers one request.

        Args:
            signature_name: which signature; "" for the default one.
            inputs: name to serialized `TensorProto`.
            outputs: the outputs that are wanted; all when empty.

        Returns:
            Output name to array.

        Raises:
            RequestError: NOT_FOUND for a signature; INVALID_ARGUMENT for anything else
                that is wrong with the request, naming the input.
        """
        name = signature_name or DEFAULT
        self.signature(name)
        check_names("the request", inputs, name, [spec.name for spec in self._inputs[name]])
        unknown = sorted(set(outputs).difference(self._outputs[name]))
        if unknown:
            raise RequestError.invalid(
                f"signature {name!r} has no output '{unknown[0]}'; there are: {', '.join(self._outputs[name])}")
        if name in self._merged and sum(map(len, inputs.values())) <= _LARGE:
            return self.run_arrays(name, self._arrays(name, inputs), outputs)
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

    def _callables(self, fed: Mapping[str, tf.Tensor], needed: Mapping[str, tf.Tensor], threads: int = 0) -> (
            dict[str, Callable]):
        """For each signature a function of its inputs, in the order of their names.

        `fed` takes the place of the inputs of that name, and `needed`, by input, is computed whether the outputs
        depend on it or not. `threads` is the number of a pool in the session's options, or `_OWN_THREAD`.
        """
        found = {}
        for name, signature in self.signatures.items():
            inputs = [signature.inputs[i].name for i in sorted(signature.inputs)]
            options = config_pb2.CallableOptions(
                feed=[fed[i].name if i in fed else i for i in inputs],
                fetch=[signature.outputs[o].name for o in sorted(signature.outputs)],
                target=[needed[i].op.name for i in inputs if i in needed])
            options.run_options.inter_op_thread_pool = threads
            # What the public `make_callable` returns looks up and checks names anew in each run, which takes as long
            # as the graph of one row.
            found[name] = self._session._make_callable_from_options(options)
        return found

    def _run_messages(self, name: str, inputs: Mapping[str, bytes], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        """As `run_arrays`, with strings as they came: no Python object is made for each of them."""
        fed = [np.array(inputs[spec.name], object) if _is_parsed(spec) else to_array(spec, inputs[spec.name])
               for spec in self._inputs[name]]
        try:
            values = self._message_callables[name](*fed)
        except _REFUSED as error:
            # Where a message is at fault, decoding it says so.
            raise RequestError.invalid(_explain(self._arrays(name, inputs), error)) from error
        return self._results(name, values, outputs)

    def _arrays(self, name: str, inputs: Mapping[str, bytes]) -> dict[str, np.ndarray]:
        return {spec.name: to_array(spec, inputs[spec.name]) for spec in self._inputs[name]}

    def _results(self, name: str, values: Sequence[np.ndarray], outputs: Sequence[str]) -> dict[str, np.ndarray]:
        results = dict(zip(self._outputs[name], values, strict=True))
        return {o: results[o] for o in outputs} if outputs else results

    def _names(self) -> str:
        return ", ".join(sorted(self.signatures)) or "none"


def _is_parsed(spec: InputSpec) -> bool:
    """Whether the graph reads the input's message: not where one row is all that there may be."""
    return spec.dtype == types_pb2.DT_STRING and (spec.sizes is None or spec.sizes[:1] == (-1,))


def _by_rows(few: Callable, many: Callable) -> Callable:
    """Runs `few` where no array has more than `_FEW_ROWS`, and otherwise `many`."""
    def run(*arrays: np.ndarray) -> Sequence[np.ndarray]:
        return (few if all(a.ndim == 0 or len(a) <= _FEW_ROWS for a in arrays) else many)(*arrays)
    return run


def _has_rows(signature: meta_graph_pb2.SignatureDef) -> bool:
    """Whether all inputs and outputs have a row for each row of the request."""
    infos = [*signature.inputs.values(), *signature.outputs.values()]
    return all(i.tensor_shape.dim and i.tensor_shape.dim[0].size == -1 for i in infos)


def _parsed_strings(directory: str) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
    """For each input that the graph parses, by its tensor's name: a message to be fed, and the strings read from it."""
    with tf.io.gfile.GFile(os.path.join(directory, tf.saved_model.SAVED_MODEL_FILENAME_PB), "rb") as stream:
        saved = saved_model_pb2.SavedModel.FromString(stream.read())
    messages, strings = {}, {}
    for meta_graph in saved.meta_graphs:
        if tf.saved_model.SERVING in meta_graph.meta_info_def.tags:
            for signature in meta_graph.signature_def.values():
                for name, info in signature.inputs.items():
                    if _is_parsed(InputSpec.of(name, info)) and info.name not in strings:
                        messages[info.name] = tf.compat.v1.placeholder(tf.string, [])
                        strings[info.name] = request_strings(
                            messages[info.name], tf.TensorShape(info.tensor_shape))
    return messages, strings


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

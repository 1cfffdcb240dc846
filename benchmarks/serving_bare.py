"""The compiled function without a server: the limit of what a server can do. For a process of its own."""

from __future__ import annotations

import functools
import pathlib
import time
from collections.abc import Sequence
from concurrent import futures

from pipeline import console

_WARM_UP = 20


def bare(directory: str, requests: Sequence[bytes], threads: int, operations: int) -> dict:
    """Calls a signature on arrays that were decoded beforehand.

    Args:
        directory: of the SavedModel.
        requests: serialized `PredictRequest`s, called in turn.
        threads: callers at once.
        operations: of all of them together.

    Returns:
        `seconds` of each call and `elapsed` of all; `first`: the outputs for the first request.
    """
    servable = _servable(directory)
    calls = [_decoded(servable, request) for request in requests]
    each = max(1, operations // threads)

    def run(number: int, count: int) -> list[float]:
        found = []
        for i in range(count):
            name, arrays, outputs = calls[(number + i * threads) % len(calls)]
            begun = time.perf_counter()
            servable.run_arrays(name, arrays, outputs)
            found.append(time.perf_counter() - begun)
        return found

    run(0, _WARM_UP)
    first = servable.run_arrays(*calls[0])
    with futures.ThreadPoolExecutor(threads) as pool:
        begun = time.perf_counter()
        found = list(pool.map(run, range(threads), [each] * threads))
        elapsed = time.perf_counter() - begun
    return {"seconds": [s for part in found for s in part], "elapsed": elapsed,
            "first": {name: values.tolist() for name, values in first.items()}}


@functools.lru_cache(1)
def _servable(directory: str):
    console.set_environment()
    from serving.servable import Servable

    return Servable(directory, int(pathlib.Path(directory).name))


def _decoded(servable, request: bytes):
    import tensorflow as tf
    from tensorflow_serving.apis import predict_pb2

    decoded = predict_pb2.PredictRequest.FromString(request)
    name = decoded.model_spec.signature_name
    arrays = {i: tf.make_ndarray(decoded.inputs[i]) for i in servable.signature(name).inputs}
    return name, arrays, list(decoded.output_filter)

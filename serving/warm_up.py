"""First runs of a version, before requests come to it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from serving import inference
from serving.request_error import RequestError
from serving.servable import Servable
from serving.signature_names import DEFAULT
from serving.warmup_requests import WARMUP_FILE

_ROWS_WITHOUT_REQUESTS = (1, 100)


def warm_up(servable: Servable, directory: str) -> None:
    """Runs what a version's requests will run, so that none of them pays for the first time.

    Empty examples are scored, which every model must be able to; then the version's own
    warm-up requests, as TF Serving does
    (https://www.tensorflow.org/tfx/serving/saved_model_warmup).

    Args:
        servable: the version.
        directory: its folder; requests lie in `assets.extra/tf_serving_warmup_requests`, or nowhere.

    Raises:
        ValueError: there is no default signature, an answer to an empty example is not finite, or a
            request fails.
        tf.errors.OpError: the graph fails, or the requests cannot be read.
    """
    if DEFAULT not in servable.signatures:
        names = ", ".join(sorted(servable.signatures)) or "none"
        raise ValueError(f"it has no signature {DEFAULT!r}; there are: {names}")
    (name, *others) = servable.signatures[DEFAULT].inputs
    if others:
        raise ValueError(f"its signature {DEFAULT!r} takes more than serialized examples: {name}, {', '.join(others)}")
    for count in _ROWS_WITHOUT_REQUESTS:
        for values in servable.run_arrays(DEFAULT, {name: np.array([b""] * count, dtype=object)}).values():
            if not np.all(np.isfinite(values)):
                raise ValueError("its answer to an empty example is not a finite number")
    for number, log in enumerate(_requests(directory), start=1):
        try:
            _replay(servable, log)
        except RequestError as error:
            raise ValueError(f"its warm-up request {number} fails: {error}") from error


def _requests(directory: str) -> Iterator[prediction_log_pb2.PredictionLog]:
    path = os.path.join(directory, WARMUP_FILE)
    if tf.io.gfile.exists(path):
        for record in tf.data.TFRecordDataset(path).as_numpy_iterator():
            yield prediction_log_pb2.PredictionLog.FromString(record)


def _replay(servable: Servable, log: prediction_log_pb2.PredictionLog) -> None:
    if log.HasField("predict_log"):
        request = log.predict_log.request
        inputs = {name: tensor.SerializeToString() for name, tensor in request.inputs.items()}
        servable.run(request.model_spec.signature_name, inputs, request.output_filter)
    elif log.HasField("classify_log"):
        request = log.classify_log.request
        inference.classify(servable, request.model_spec.signature_name, request.input)
    elif log.HasField("regress_log"):
        request = log.regress_log.request
        inference.regress(servable, request.model_spec.signature_name, request.input)

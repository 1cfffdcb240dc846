"""Warm-up requests: what TensorFlow Serving runs on a version before any client's request does."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterable, Iterator, Sequence

import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from models import raw_example
from models.spec.dataset_spec import DatasetSpec
from serving import request_tensors
from serving.signature_names import CLASSIFY, DEFAULT, ITEM, PREDICT_COLUMNS, RANK, RANK_TOP_K, REGRESS, TOP_K

# Where TensorFlow Serving looks for them below a version's folder.
WARMUP_FILE = os.path.join("assets.extra", "tf_serving_warmup_requests")
# A graph is optimised at its first run, and memory grows to the largest: one row, and as many as a page shows.
BATCH_SIZES = (1, 100)
CANDIDATES = (1, 100, 500)
_BEST = 10


def warmup_requests(
    spec: DatasetSpec, rows: Sequence[raw_example.Values], model_name: str = ""
) -> Iterator[prediction_log_pb2.PredictionLog]:
    """Requests for every signature of a model that `export_ctr_model` writes, made of rows of the log.

    Signatures of rows get 1 and 100 of them, those that rank 1, 100 and 500 items for one
    row's user and context; fewer rows are repeated. Only the features that the model
    reads are in them: no label, no text.

    Args:
        spec: the dataset specification.
        rows: decoded raw examples, feature name to its values, at least one; values of
            strings are bytes. Other keys are passed over.
        model_name: what the server calls the model; it may be left open.

    Returns:
        A `PredictionLog` with a request each, 14 of them; 8 where no feature is the item's.

    Raises:
        ValueError: there are no rows.

    Example:

    ```python
    for log in warmup_requests(spec, [{"user_id": [b"7"], "movie_id": [b"1"]}], "ctr"):
        print(log.WhichOneof("log_type"))  # predict_log, classify_log, ...
    ```
    """
    if not rows:
        raise ValueError("warm-up requests need at least one row")
    features = spec.model_features
    of_items = [f for f in features if f.side == ITEM]
    others = [f for f in features if f.side != ITEM]
    rows = [{f.name: list(row.get(f.name, ())) for f in features} for row in rows]
    for count in BATCH_SIZES:
        some = _repeated(rows, count)
        examples = [raw_example.encode(row) for row in some]
        log, request = _predict(model_name, DEFAULT)
        request_tensors.add_examples(request, "examples", examples)
        yield log
        yield _inference("classify_log", model_name, CLASSIFY, examples)
        yield _inference("regress_log", model_name, REGRESS, examples)
        log, request = _predict(model_name, PREDICT_COLUMNS)
        request_tensors.add_columns(request, features, some)
        yield log
    # The longest histories of all: a log begins with users that have none yet.
    user = max(rows, key=lambda row: sum(len(row[f.name]) for f in others))
    for count, signature in itertools.product(CANDIDATES if of_items else (), (RANK, RANK_TOP_K)):
        log, request = _predict(model_name, signature)
        request_tensors.add_columns(request, others, [user])
        request_tensors.add_columns(request, of_items, _repeated(rows, count))
        if signature == RANK_TOP_K:
            request_tensors.add_int(request, TOP_K, min(count, _BEST))
        yield log


def write_warmup(export_dir: str, logs: Iterable[prediction_log_pb2.PredictionLog]) -> None:
    """Writes requests where TensorFlow Serving looks for them: uncompressed TFRecords.

    Args:
        export_dir: a SavedModel's folder.
        logs: the requests; TensorFlow Serving refuses a model with more than 1,000.

    Example:

    ```python
    write_warmup("serving/ctr/1717200000", warmup_requests(spec, rows))
    ```
    """
    path = os.path.join(export_dir, WARMUP_FILE)
    tf.io.gfile.makedirs(os.path.dirname(path))
    with tf.io.TFRecordWriter(path) as writer:
        for log in logs:
            writer.write(log.SerializeToString(deterministic=True))


def _predict(model_name: str, signature: str) -> tuple:
    """A log for Predict, and its request to be filled."""
    log = prediction_log_pb2.PredictionLog()
    request = log.predict_log.request
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    return log, request


def _inference(kind: str, model_name: str, signature: str, examples: Sequence[bytes]):
    """A log for Classify or Regress."""
    log = prediction_log_pb2.PredictionLog()
    request = getattr(log, kind).request
    request.model_spec.name, request.model_spec.signature_name = model_name, signature
    for example in examples:
        request.input.example_list.examples.add().ParseFromString(example)
    return log


def _repeated(rows: Sequence, count: int) -> list:
    return list(itertools.islice(itertools.cycle(rows), count))

"""A client of TF Serving's API that needs no TensorFlow."""

from __future__ import annotations

import csv
import io
import json
import logging
import pathlib
from collections.abc import Iterable, Sequence

import grpc
import numpy as np

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving import rows as _rows
from serving import wire

PROBABILITY = "probability"
_LOG = logging.getLogger(__name__)
# Retries and their backoff are gRPC's own, by its service configuration.
_RETRIES = {
    "methodConfig": [
        {
            "name": [{}],
            "retryPolicy": {
                "maxAttempts": 5,
                "initialBackoff": "0.1s",
                "maxBackoff": "1s",
                "backoffMultiplier": 2,
                "retryableStatusCodes": ["UNAVAILABLE"],
            },
        }
    ],
}
_LOOPBACK = ("127.", "localhost:", "[::1]:")
_CELL = 32  # characters of a cell that a table shows


class PredictClient:
    """Asks a server for click probabilities: ours, or a stock TF Serving.

    One connection is kept and reused. A call that meets UNAVAILABLE (a server that is
    restarting) is tried up to five times with exponential backoff inside its deadline.

    Args:
        target: `host:port`.
        model_name: what the server calls the model.
        timeout: seconds a call may take, retries included.
        batch_size: rows sent in one call; more rows become more calls.
        signature_name: a signature from `examples` to `probability`.

    Example:

    ```python
    with PredictClient("127.0.0.1:8500", "ctr") as client:
        client.predict([to_example(spec, {"user_id": "7", "movie_id": "1"})])  # array([0.83], dtype=float32)
    ```
    """

    def __init__(
        self,
        target: str,
        model_name: str = "ctr",
        *,
        timeout: float = 10.0,
        batch_size: int = 1024,
        signature_name: str = "serving_default",
    ):
        self._target = target
        self._model_name = model_name
        self._timeout = timeout
        self._batch_size = batch_size
        self._signature_name = signature_name
        self._channel = grpc.insecure_channel(
            target,
            options=[
                ("grpc.service_config", json.dumps(_RETRIES)),
                # A proxy that the environment names cannot reach a server on this machine.
                ("grpc.enable_http_proxy", int(not target.startswith(_LOOPBACK))),
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.min_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 1000),
            ],
        )
        self._call = self._channel.unary_unary(
            wire.PREDICT,
            request_serializer=wire.PredictRequest.SerializeToString,
            response_deserializer=wire.PredictResponse.FromString,
        )

    def __enter__(self) -> PredictClient:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """Closes the connection."""
        self._channel.close()

    def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Probabilities of serialized raw examples, in their order.

        Args:
            examples: serialized `tf.train.Example`s, as `serving.rows.to_example` makes.

        Returns:
            float32 [number of examples].

        Raises:
            UserError: nothing listens at the target, it takes too long, or it refuses
                the request, with the server's own reason.
        """
        starts = range(0, len(examples), self._batch_size)
        parts = [self._predict_batch(examples[start : start + self._batch_size]) for start in starts]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _predict_batch(self, examples: Sequence[bytes]) -> np.ndarray:
        request = wire.PredictRequest()
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = self._signature_name
        request.output_filter.append(PROBABILITY)
        tensor = request.inputs["examples"]
        tensor.dtype = wire.DT_STRING
        tensor.tensor_shape.dim.add(size=len(examples))
        tensor.string_val.extend(examples)
        try:
            response = self._call(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise UserError(self._explain(error)) from error
        answer = response.outputs[PROBABILITY]
        if answer.tensor_content:
            values = np.frombuffer(answer.tensor_content, "<f4")
        else:
            values = np.array(answer.float_val, np.float32)
        if answer.dtype != wire.DT_FLOAT or len(values) != len(examples):
            raise UserError(
                f"{self._target}: model '{self._model_name}' answered {len(values)} values of type "
                f"{answer.dtype} to {len(examples)} rows; it is no model that `ctrl` exported"
            )
        return values

    def _explain(self, error: grpc.RpcError) -> str:
        code = error.code()
        if code == grpc.StatusCode.UNAVAILABLE:
            return f"no server answers at {self._target} ({error.details()}); `ctrl serve` starts one"
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return f"{self._target} did not answer within {self._timeout:g} s"
        hint = ""
        # TensorFlow's words, which come from our server and from a stock one alike.
        if code == grpc.StatusCode.INVALID_ARGUMENT and "data types don't match" in error.details().lower():
            hint = "; the model was trained with another dataset specification than these rows were read with"
        return f"{self._target}: {code.name}: {error.details()}{hint}"


def predict_file(
    target: str,
    input_path: str | pathlib.Path,
    spec: DatasetSpec,
    model_name: str = "ctr",
) -> list[tuple[dict, float]]:
    """Asks for the probability of each row of a CSV or JSONL file with the log's columns.

    A column that the model reads and no row has is told as a warning of this module's logger:
    it scores as missing.

    Args:
        target: `host:port` of the server.
        input_path: the file; see `serving.rows.read_rows`.
        spec: the dataset specification that names the columns.
        model_name: what the server calls the model.

    Returns:
        Rows as they stand in the file, each with its probability.

    Raises:
        UserError: the file has an error, or the server does not answer.

    Example:

    ```python
    print(render(predict_file("127.0.0.1:8500", "rows.csv", spec), "table"))
    ```
    """
    table = list(_rows.read_rows(input_path, spec))
    if not table:
        raise UserError(f"{input_path}: has no rows")
    examples = [_rows.to_example(spec, row, where) for where, row in table]
    absent = [column for column in _rows.model_columns(spec) if not any(column in row for _, row in table)]
    if absent:
        _LOG.warning("%s: no row has %s, which the model reads; scored as missing", input_path, ", ".join(absent))
    with PredictClient(target, model_name) as client:
        probabilities = client.predict(examples)
    return [(row, float(p)) for (_, row), p in zip(table, probabilities, strict=True)]


def render(rows: Iterable[tuple[dict, float]], format: str = "table") -> str:
    """Rows and probabilities as text.

    Args:
        rows: what `predict_file` returns.
        format: `table` (for people: long cells are cut), `csv`, or `json` (a list of
            objects with one more key, `probability`).

    Returns:
        The text, without a newline at its end.

    Raises:
        UserError: there is no such format.
    """
    records = [{**row, PROBABILITY: probability} for row, probability in rows]
    if format == "json":
        return json.dumps(records, ensure_ascii=False, indent=2)
    columns = list(dict.fromkeys(column for record in records for column in record if column != PROBABILITY))
    columns.append(PROBABILITY)
    if format == "csv":
        stream = io.StringIO()
        writer = csv.DictWriter(stream, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows({c: _cell(c, v) for c, v in record.items()} for record in records)
        return stream.getvalue().rstrip("\n")
    if format != "table":
        raise UserError(f"there is no format {format!r}; there are: table, json, csv")
    # What was asked for comes first: a log may have more columns than a terminal.
    columns = [PROBABILITY, *columns[:-1]]
    cells = [columns] + [[_short(_cell(c, record.get(c))) for c in columns] for record in records]
    widths = [max(len(line[i]) for line in cells) for i in range(len(columns))]
    return "\n".join(
        "  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() for line in cells)


def _cell(column: str, value) -> str:
    if column == PROBABILITY:
        return f"{value:.6f}"
    if isinstance(value, list):
        return "|".join(map(str, value))
    return "" if value is None else str(value)


def _short(text: str) -> str:
    return text if len(text) <= _CELL else text[: _CELL - 1] + "…"

"""What the two clients have in common: their calls' requests, answers and errors."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence

import grpc
import numpy as np

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving import request_tensors, wire
from serving.client_tls import ClientTls
from serving.connection_error import connection_error
from serving.row_reader import RowReader
from serving.signature_names import DEFAULT, ITEM, RANK_TOP_K, TOP_K

INDEX = "index"
PROBABILITY = "probability"
_EXAMPLES = "examples"
# Tries of a call that meets UNAVAILABLE; gRPC makes no more than five.
_TRIES = 5
_BACKOFF_FACTOR = 4
# Of the largest message there can be. gRPC does not send a request again that is larger than this bound, and by default
# that is 256 KiB.
_RETRIED_BYTES = (1 << 31) - 1
_LOOPBACK = ("127.", "localhost:", "[::1]:")


class PredictCalls:
    """Makes the requests of a client and reads their answers; sends nothing itself.

    Args:
        target: `host:port`.
        model_name: what the server calls the model.
        timeout: seconds a call may take, retries included.
        batch_size: rows sent in one call; more rows become more calls.
        signature_name: a signature from `examples` to `probability`.
        version: the model's version; the server chooses when None.
        version_label: what the server calls a version, as `stable` or `canary`; in place of `version`.
        tls: what a connection with TLS needs; one without TLS when None.

    Raises:
        UserError: both `version` and `version_label` are given, or a version that can be none.

    Example:

    ```python
    calls = PredictCalls("127.0.0.1:8500", "ctr")
    for request in calls.of_examples(examples):
        calls.outputs(request, send(request))["probability"]  # array([0.83], dtype=float32)
    ```
    """

    def __init__(
        self,
        target: str,
        model_name: str = "ctr",
        *,
        timeout: float = 10.0,
        batch_size: int = 1024,
        signature_name: str = DEFAULT,
        version: int | None = None,
        version_label: str | None = None,
        tls: ClientTls | None = None,
    ):
        if version is not None and version_label is not None:
            raise UserError(f"version {version} and label '{version_label}': a call asks for one of the two")
        if version is not None and not 0 <= version < 1 << 63:
            raise UserError(f"version {version}: must be a whole number of 0 or more")
        self.target = target
        self.timeout = timeout
        self._tls = tls
        self._model_name = model_name
        self._batch_size = batch_size
        self._signature_name = signature_name
        self._version = version
        self._version_label = version_label

    def open(self, api):
        """A channel to the target.

        Args:
            api: `grpc`, or `grpc.aio`.
        """
        options = [
            ("grpc.service_config", json.dumps(retries(self.timeout))),
            ("grpc.per_rpc_retry_buffer_size", _RETRIED_BYTES),
            # A proxy that the environment names cannot reach a server on this machine.
            ("grpc.enable_http_proxy", int(not self.target.startswith(_LOOPBACK))),
            ("grpc.initial_reconnect_backoff_ms", 100),
            # What a connection may take to come about; a restarted server that hangs gets another one then.
            ("grpc.min_reconnect_backoff_ms", 2000),
            ("grpc.max_reconnect_backoff_ms", 1000),
        ]
        if self._tls is None:
            return api.insecure_channel(self.target, options)
        return api.secure_channel(self.target, self._tls.credentials, [*options, *self._tls.options])

    def of_examples(self, examples: Sequence[bytes]) -> Iterator[wire.PredictRequest]:
        """The requests for the probabilities of serialized raw examples, in their order."""
        for start in range(0, len(examples), self._batch_size):
            request = self._request(self._signature_name, PROBABILITY)
            request_tensors.add_examples(request, _EXAMPLES, examples[start : start + self._batch_size])
            yield request

    def of_ranking(
        self, spec: DatasetSpec, user: Mapping, items: Sequence[Mapping], k: int | None, names: Sequence[str],
    ) -> wire.PredictRequest:
        """The request for a user's best items; see `PredictClient.rank`."""
        if not items:
            raise UserError("there is no item to rank")
        if k is not None and k < 1:
            raise UserError(f"k is {k}; it must be 1 or more")
        of_items = [f for f in spec.model_features if f.side == ITEM]
        if not of_items:
            raise UserError(f"the model of the dataset {spec.name} reads no feature of the item to rank by")
        others = [f for f in spec.model_features if f.side != ITEM]
        request = self._request(RANK_TOP_K, INDEX, PROBABILITY)
        if others:
            request_tensors.add_columns(request, others, [RowReader(spec, others).values(user, "the user")])
        reader = RowReader(spec, of_items)
        request_tensors.add_columns(
            request, of_items, [
                reader.values(item, names[i] if names else f"item {i}") for i, item in enumerate(items)])
        request_tensors.add_int(request, TOP_K, min(k or len(items), len(items)))
        return request

    def outputs(self, request: wire.PredictRequest, response: wire.PredictResponse) -> dict[str, np.ndarray]:
        """What a request asked for, by name: an array `[rows]` for examples, `[k]` for a ranking.

        Raises:
            UserError: the answer lacks an output, or it has another number of values.
        """
        inputs = request.inputs
        count = inputs[TOP_K].int_val[0] if TOP_K in inputs else inputs[_EXAMPLES].tensor_shape.dim[0].size
        found = {}
        for name in request.output_filter:
            values = request_tensors.numbers(response.outputs[name])
            if values is None or len(values) != count:
                got = "no numbers" if values is None else f"{len(values)} values"
                raise UserError(
                    f"{self.target}: model '{self._model_name}' answered {got} as {name} where {count} values were "
                    "asked for; it is no model that `ctrl` exported"
                )
            found[name] = values
        return found

    def error(self, error: grpc.RpcError) -> UserError:
        """A call's failure in a user's words."""
        code, details = error.code(), error.details() or ""
        if code == grpc.StatusCode.UNAVAILABLE:
            return connection_error(self.target, self._tls, details)
        if code == grpc.StatusCode.DEADLINE_EXCEEDED:
            return UserError(f"{self.target} did not answer within {self.timeout:g} s")
        hint = ""
        # TensorFlow's words, which come from our server and from a stock one alike.
        if code == grpc.StatusCode.INVALID_ARGUMENT and "data types don't match" in details.lower():
            hint = "; the model was trained with another dataset specification than these rows were read with"
        return UserError(f"{self.target}: {code.name}: {details}{hint}")

    def _request(self, signature_name: str, *outputs: str) -> wire.PredictRequest:
        request = wire.PredictRequest()
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = signature_name
        if self._version is not None:
            request.model_spec.version.value = self._version
        if self._version_label is not None:
            request.model_spec.version_label = self._version_label
        request.output_filter.extend(outputs)
        return request


def retries(timeout: float) -> dict:
    """gRPC's service configuration: the last try comes after two thirds of the timeout, but after 21 s at most.

    The second comes soon, for a short interruption; the last leaves time to a server that restarts. With gRPC's jitter
    of a fifth there is time left for its answer. No backoff may be less than a millisecond.
    """
    first = max(0.001, min(0.25, timeout / 128))
    return {
        "methodConfig": [
            {
                "name": [{}],
                "retryPolicy": {
                    "maxAttempts": _TRIES,
                    "initialBackoff": f"{first:.6f}s",
                    "maxBackoff": f"{first * _BACKOFF_FACTOR ** (_TRIES - 2):.6f}s",
                    "backoffMultiplier": _BACKOFF_FACTOR,
                    "retryableStatusCodes": ["UNAVAILABLE"],
                },
            }
        ],
    }

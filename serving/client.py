"""A client of TF Serving's API that needs no TensorFlow."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from models.spec.dataset_spec import DatasetSpec
from models.spec.errors import UserError
from serving import request_tensors, wire
from serving.row_reader import RowReader
from serving.signature_names import DEFAULT, ITEM, RANK_TOP_K, TOP_K

INDEX = "index"
PROBABILITY = "probability"
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
        signature_name: str = DEFAULT,
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

    def rank(
        self, spec: DatasetSpec, user: Mapping, items: Sequence[Mapping], k: int | None = None,
        names: Sequence[str] = (),
    ) -> list[tuple[int, float]]:
        """The best items for a user in a context, by the signature `rank_top_k`.

        Args:
            spec: the dataset specification.
            user: column to value of the user and the context, as `serving.rows.to_example` takes a row.
            items: column to value of each item; columns that are not the item's are not read.
            k: how many; all when None.
            names: what errors call each item; `item 0` and so on without them.

        Returns:
            Index of the item and its probability, best first.

        Raises:
            UserError: as `predict`; a row has an error; or there is no item.

        Example:

        ```python
        client.rank(spec, {"user_id": "7"}, [{"movie_id": "1"}, {"movie_id": "2"}], k=1)  # [(1, 0.83)]
        ```
        """
        if not items:
            raise UserError("there is no item to rank")
        if k is not None and k < 1:
            raise UserError(f"k is {k}; it must be 1 or more")
        of_items = [f for f in spec.model_features if f.side == ITEM]
        if not of_items:
            raise UserError(f"the model of the dataset {spec.name} reads no feature of the item to rank by")
        count = min(k or len(items), len(items))
        others = [f for f in spec.model_features if f.side != ITEM]
        request = self._request(RANK_TOP_K)
        if others:
            request_tensors.add_columns(request, others, [RowReader(spec, others).values(user, "the user")])
        reader = RowReader(spec, of_items)
        request_tensors.add_columns(
            request, of_items, [
                reader.values(item, names[i] if names else f"item {i}") for i, item in enumerate(items)])
        request_tensors.add_int(request, TOP_K, count)
        outputs = self._ask(request, (INDEX, PROBABILITY), count)
        return list(zip(outputs[INDEX].tolist(), outputs[PROBABILITY].tolist(), strict=True))

    def _predict_batch(self, examples: Sequence[bytes]) -> np.ndarray:
        request = self._request(self._signature_name)
        request_tensors.add_examples(request, "examples", examples)
        return self._ask(request, (PROBABILITY,), len(examples))[PROBABILITY]

    def _request(self, signature_name: str):
        request = wire.PredictRequest()
        request.model_spec.name = self._model_name
        request.model_spec.signature_name = signature_name
        return request

    def _ask(self, request, outputs: Sequence[str], count: int) -> dict[str, np.ndarray]:
        """The outputs of a call, each of so many values."""
        request.output_filter.extend(outputs)
        try:
            response = self._call(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise UserError(self._explain(error)) from error
        found = {}
        for name in outputs:
            values = request_tensors.numbers(response.outputs[name])
            if values is None or len(values) != count:
                got = "no numbers" if values is None else f"{len(values)} values"
                raise UserError(
                    f"{self._target}: model '{self._model_name}' answered {got} as {name} where {count} values were "
                    "asked for; it is no model that `ctrl` exported"
                )
            found[name] = values
        return found

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

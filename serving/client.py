"""A client of TF Serving's API that needs no TensorFlow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
import numpy as np

from models.spec.dataset_spec import DatasetSpec
from serving import wire
from serving.client_tls import ClientTls
from serving.predict_calls import INDEX, PROBABILITY, PredictCalls
from serving.signature_names import DEFAULT


class PredictClient:
    """Asks a server for click probabilities: ours, or a stock TF Serving.

    One connection is kept and reused. A call that meets UNAVAILABLE (a server that is
    restarting) is tried up to five times, whatever its size, the last after about two thirds
    of the timeout, but after 21 s at most: at the default timeout a server may be away for
    five seconds. May be used by several threads at once.

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
        version: int | None = None,
        version_label: str | None = None,
        tls: ClientTls | None = None,
    ):
        self._calls = PredictCalls(
            target, model_name, timeout=timeout, batch_size=batch_size, signature_name=signature_name,
            version=version, version_label=version_label, tls=tls)
        self._channel = self._calls.open(grpc)
        self._send = self._channel.unary_unary(
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
        parts = [self._ask(request)[PROBABILITY] for request in self._calls.of_examples(examples)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

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
        outputs = self._ask(self._calls.of_ranking(spec, user, items, k, names))
        return list(zip(outputs[INDEX].tolist(), outputs[PROBABILITY].tolist(), strict=True))

    def _ask(self, request: wire.PredictRequest) -> dict[str, np.ndarray]:
        try:
            response = self._send(request, timeout=self._calls.timeout)
        except grpc.RpcError as error:
            raise self._calls.error(error) from error
        return self._calls.outputs(request, response)

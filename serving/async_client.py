"""The client for asyncio."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import grpc
import grpc.aio
import numpy as np

from models.spec.dataset_spec import DatasetSpec
from serving import wire
from serving.client_tls import ClientTls
from serving.predict_calls import INDEX, PROBABILITY, PredictCalls
from serving.signature_names import DEFAULT


class AsyncPredictClient:
    """`PredictClient` for asyncio: the same methods, to be awaited, with the same errors.

    Any number of calls may wait at once: they share one connection. It is opened by the
    first call and belongs to that call's event loop. A call that is cancelled is
    cancelled at the server.

    Args:
        target: as all that follows, as for `PredictClient`.
        model_name: what the server calls the model.
        timeout: seconds a call may take, retries included.
        batch_size: rows sent in one call; more rows become calls one after another.
        signature_name: a signature from `examples` to `probability`.
        version: the model's version; the server chooses when None.
        version_label: what the server calls a version, as `stable` or `canary`; in place of `version`.
        tls: what a connection with TLS needs; one without TLS when None.

    Raises:
        UserError: both `version` and `version_label` are given, or a version that can be none.

    Example:

    ```python
    async with AsyncPredictClient("127.0.0.1:8500", "ctr") as client:
        await asyncio.gather(*(client.predict(examples) for examples in batches))
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
        self._channel: grpc.aio.Channel | None = None
        self._send: grpc.aio.UnaryUnaryMultiCallable | None = None
        self._closed = False

    async def __aenter__(self) -> AsyncPredictClient:
        return self

    async def __aexit__(self, *_) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connection; calls that wait for an answer are cancelled."""
        self._closed = True
        if self._channel is not None:
            await self._channel.close()

    async def predict(self, examples: Sequence[bytes]) -> np.ndarray:
        """Probabilities of serialized raw examples, in their order.

        Args:
            examples: serialized `tf.train.Example`s, as `serving.rows.to_example` makes.

        Returns:
            float32 [number of examples].

        Raises:
            UserError: as `PredictClient.predict`.
        """
        parts = [(await self._ask(request))[PROBABILITY] for request in self._calls.of_examples(examples)]
        return np.concatenate([np.zeros(0, np.float32), *parts])

    async def rank(
        self, spec: DatasetSpec, user: Mapping, items: Sequence[Mapping], k: int | None = None,
        names: Sequence[str] = (),
    ) -> list[tuple[int, float]]:
        """The best items for a user in a context, by the signature `rank_top_k`.

        Args:
            spec: the dataset specification.
            user: column to value of the user and the context.
            items: column to value of each item.
            k: how many; all when None.
            names: what errors call each item; `item 0` and so on without them.

        Returns:
            Index of the item and its probability, best first.

        Raises:
            UserError: as `PredictClient.rank`.
        """
        outputs = await self._ask(self._calls.of_ranking(spec, user, items, k, names))
        return list(zip(outputs[INDEX].tolist(), outputs[PROBABILITY].tolist(), strict=True))

    async def _ask(self, request: wire.PredictRequest) -> dict[str, np.ndarray]:
        try:
            response = await self._opened()(request, timeout=self._calls.timeout)
        except grpc.RpcError as error:
            raise self._calls.error(error) from error
        return self._calls.outputs(request, response)

    def _opened(self) -> grpc.aio.UnaryUnaryMultiCallable:
        if self._closed:
            raise ValueError("the client is closed")
        if self._send is None:
            # Not before there is an event loop: gRPC binds the channel to the loop that runs.
            self._channel = self._calls.open(grpc.aio)
            self._send = self._channel.unary_unary(
                wire.PREDICT,
                request_serializer=wire.PredictRequest.SerializeToString,
                response_deserializer=wire.PredictResponse.FromString,
            )
        return self._send

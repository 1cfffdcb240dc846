"""gRPC's reflection, for a bounded number of callers."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import grpc
from grpc_reflection.v1alpha import reflection


class BoundedReflection(reflection.ReflectionServicer):
    """Tells which services there are, to so many callers at once and no more.

    A stream takes a thread, and one of the calls that the server lets in, for as long as its
    caller leaves it open: without a bound, idle ones would leave none for predictions.

    Args:
        services: full names of the services.
        streams: how many may be open; one more is RESOURCE_EXHAUSTED.

    Example:

    ```python
    reflection_pb2_grpc.add_ServerReflectionServicer_to_server(BoundedReflection(services, streams=8), server)
    ```
    """

    def __init__(self, services: Sequence[str], streams: int):
        super().__init__(services)
        self._streams = streams
        self._free = threading.Semaphore(streams)

    def ServerReflectionInfo(self, request_iterator, context):
        """Answers the requests of a stream; see `reflection.ReflectionServicer`."""
        if not self._free.acquire(blocking=False):
            context.abort(
                grpc.StatusCode.RESOURCE_EXHAUSTED,
                f"{self._streams} reflection streams are open, and no more may be; try again later")
        try:
            yield from super().ServerReflectionInfo(request_iterator, context)
        finally:
            self._free.release()

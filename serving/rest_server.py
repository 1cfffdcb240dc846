"""TF Serving's REST API over HTTP."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
import threading
import time
from concurrent import futures

import grpc
from aiohttp import web

from serving.request_error import RequestError
from serving.rest_api import RestApi
from serving.server_metrics import ServerMetrics
from serving.server_options import cannot_listen

_HTTP_STATUS = {
    grpc.StatusCode.INVALID_ARGUMENT: 400,
    grpc.StatusCode.FAILED_PRECONDITION: 400,
    grpc.StatusCode.OUT_OF_RANGE: 400,
    grpc.StatusCode.NOT_FOUND: 404,
    grpc.StatusCode.RESOURCE_EXHAUSTED: 429,
    grpc.StatusCode.UNIMPLEMENTED: 501,
    grpc.StatusCode.UNAVAILABLE: 503,
    grpc.StatusCode.DEADLINE_EXCEEDED: 504,
}
# What is left of a message that quotes a request.
_MAX_MESSAGE = 2000
# Seconds for answers that are being written when the grace is over.
_WRITE_SECONDS = 0.2
_JSON = "application/json"
_LOG = logging.getLogger(__name__)
# aiohttp logs every client that speaks no HTTP, with a traceback; what fails in here is logged in here.
_HTTP_LOG = logging.Logger("aiohttp.server", logging.CRITICAL)


class RestServer:
    """Serves `/v1/models/...` and `/monitoring/prometheus/metrics`, as TF Serving does.

    HTTP is spoken in a thread of its own, with asyncio; requests are decoded, run and
    encoded in a pool of threads.

    Args:
        models: where versions are found, see `RestApi`.
        admission: limits how many requests run and wait, see `RestApi`.
        metrics: counts requests, and is shown.
        host: the address to listen on; only this machine by default.
        port: 0 takes a free one, which `start` returns.
        max_body_bytes: a greater body is answered 413.
        timeout_seconds: from a request's head to its answer, the wait for a slot included.
        workers: threads, one for each request that runs or waits for a slot; more requests
            are answered 429. It must not be less than what `admission` lets run and wait.
        ssl_context: for HTTPS.

    Example:

    ```python
    server = RestServer(models, admission, metrics, port=0)
    port = server.start()
    ...
    server.stop(grace=5.0)
    ```
    """

    def __init__(
        self,
        models,
        admission,
        metrics: ServerMetrics,
        host: str = "127.0.0.1",
        port: int = 8501,
        *,
        max_body_bytes: int = 16 << 20,
        timeout_seconds: float = 30.0,
        workers: int = 64,
        ssl_context: ssl.SSLContext | None = None,
    ):
        self._api = RestApi(models, admission, metrics)
        self._metrics = metrics
        self._host = host
        self._port = port
        self._max_body_bytes = max_body_bytes
        self._timeout = timeout_seconds
        self._ssl_context = ssl_context
        self._free_workers = threading.Semaphore(workers)
        self._pool = futures.ThreadPoolExecutor(max_workers=workers, thread_name_prefix="rest-request")
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        # Set to the grace when the server is to stop.
        self._grace: asyncio.Future[float] | None = None
        self._under_way = 0

    def start(self) -> int:
        """Listens; returns the port.

        Raises:
            UserError: the address is not free.
        """
        listening: futures.Future[int] = futures.Future()
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._serve(listening)), name="rest-server", daemon=True)
        self._thread.start()
        try:
            return listening.result()
        except OSError as error:
            raise cannot_listen(self._host, self._port) from error

    def stop(self, grace: float = 5.0) -> None:
        """Takes no new connections, and waits up to `grace` seconds for requests under way."""
        if self._thread is not None:
            # The loop is closed where the server is stopped twice, or could not start.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._grace.set_result, grace)
            self._thread.join()
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _serve(self, listening: futures.Future[int]) -> None:
        self._loop = asyncio.get_running_loop()
        self._grace = self._loop.create_future()
        app = web.Application(client_max_size=self._max_body_bytes)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(app, access_log=None, logger=_HTTP_LOG, shutdown_timeout=_WRITE_SECONDS)
        try:
            await runner.setup()
            site = web.TCPSite(runner, self._host, self._port, ssl_context=self._ssl_context)
            await site.start()
        except Exception as error:
            listening.set_exception(error)
        else:
            listening.set_result(runner.addresses[0][1])
            end = await self._grace + time.monotonic()
            await site.stop()
            while self._under_way and time.monotonic() < end:
                await asyncio.sleep(0.01)
        await runner.cleanup()

    async def _handle(self, request: web.Request) -> web.Response:
        self._under_way += 1
        try:
            response = await self._respond(request)
        except Exception:
            _LOG.exception("%s %s failed", request.method, request.path)
            response = _refusal(500, "internal error; the server's log says more")
        finally:
            self._under_way -= 1
        if self._grace.done():
            # A connection that is kept would bring further requests.
            response.force_close()
        return response

    async def _respond(self, request: web.Request) -> web.Response:
        try:
            call = self._api.find(request.rel_url.raw_path)
        except RequestError as error:
            return _refusal(400, str(error))
        if call is None:
            return _refusal(404, f"there is no {request.path}; paths are /v1/models/NAME and below")
        if request.method != call.verb:
            refused = _refusal(405, f"{request.path} takes {call.verb}, not {request.method}")
            refused.headers["Allow"] = call.verb
            return refused
        try:
            if call.verb == "GET":
                body, content_type = await self._loop.run_in_executor(None, self._api.describe, call)
                return web.Response(body=body, headers={"Content-Type": content_type})
            return await self._infer(request, call)
        except RequestError as error:
            return _refusal(_HTTP_STATUS.get(error.code, 500), str(error))

    async def _infer(self, request: web.Request, call) -> web.Response:
        start = time.monotonic()
        code = grpc.StatusCode.INTERNAL
        try:
            body = await asyncio.wait_for(self._answer(request, call, start + self._timeout), self._timeout)
            code = grpc.StatusCode.OK
            return web.Response(body=body, content_type=_JSON)
        except web.HTTPRequestEntityTooLarge:
            code = grpc.StatusCode.RESOURCE_EXHAUSTED
            return _refusal(413, f"the body has more than {self._max_body_bytes} bytes")
        except (web.RequestPayloadError, ConnectionError) as error:
            code = grpc.StatusCode.INVALID_ARGUMENT
            refused = _refusal(400, f"the body cannot be read: {error}")
            # Nobody knows where the next request begins.
            refused.force_close()
            return refused
        except asyncio.TimeoutError as error:
            code = grpc.StatusCode.DEADLINE_EXCEEDED
            raise RequestError(code, f"there was no answer within {self._timeout:g} s") from error
        except RequestError as error:
            code = error.code
            raise
        finally:
            self._metrics.observe(call.model, call.method, "REST", code.name, time.monotonic() - start)

    async def _answer(self, request: web.Request, call, deadline: float) -> bytes:
        if (request.content_length or 0) > self._max_body_bytes:
            raise web.HTTPRequestEntityTooLarge(self._max_body_bytes, request.content_length)
        body = await request.read()
        if not self._free_workers.acquire(blocking=False):
            raise RequestError(grpc.StatusCode.RESOURCE_EXHAUSTED, "too many requests at once")
        try:
            future = self._pool.submit(self._api.infer, call, body, deadline)
        except BaseException:
            self._free_workers.release()
            raise
        future.add_done_callback(lambda _: self._free_workers.release())
        return await asyncio.wrap_future(future)


def _refusal(status: int, message: str) -> web.Response:
    # In ASCII, since a path may have bytes that are no text.
    body = json.dumps({"error": message if len(message) <= _MAX_MESSAGE else f"{message[:_MAX_MESSAGE]}..."})
    return web.Response(status=status, body=body.encode(), content_type=_JSON)

"""Load on a server, closed loop and open loop. For a process of its own: it imports no TensorFlow."""

from __future__ import annotations

import collections
import functools
import random
import threading
import time
from collections.abc import Sequence

import grpc

from serving import wire

HEALTH = "/grpc.health.v1.Health/Check"
OK = grpc.StatusCode.OK.name
SHED = grpc.StatusCode.RESOURCE_EXHAUSTED.name
_TIMEOUT = 10.0
# A request that leaves later than this was not sent when it was due.
_LATE = 0.01
_WARM_UP = 20


def ask(target: str, request: bytes, method: str = wire.PREDICT) -> bytes:
    """One answer, as bytes. Raises grpc.RpcError."""
    with _channel(target) as channel:
        return channel.unary_unary(method)(request, timeout=_TIMEOUT, wait_for_ready=True)


def closed_loop(target: str, requests: Sequence[bytes], clients: int, operations: int, calls: int = 1,
                method: str = wire.PREDICT) -> dict:
    """Clients that each send the next request when the last one is answered.

    Each has a connection and a thread of its own. Requests are bytes already and answers stay bytes:
    neither's time is counted.

    Args:
        target: `host:port`.
        requests: sent in turn.
        clients: how many.
        operations: of all clients together; at least one each.
        calls: requests one after the other that make an operation.
        method: which is called.

    Returns:
        `seconds` of each operation, `elapsed` from the first to the last, and the `cpu` seconds of
        this process meanwhile.

    Raises:
        grpc.RpcError: a call failed.
    """
    each = max(1, operations // clients)
    started = threading.Barrier(clients + 1)
    results: list[list[float]] = [[] for _ in range(clients)]
    errors: list[Exception] = []

    def client(number: int) -> None:
        # Not the same for all clients, and in another order with another number of them.
        turn = number
        try:
            with _channel(target) as channel:
                call = channel.unary_unary(method)
                for _ in range(max(1, _WARM_UP // clients)):
                    call(requests[turn % len(requests)], timeout=_TIMEOUT)
                started.wait()
                for _ in range(each):
                    begun = time.perf_counter()
                    for _ in range(calls):
                        turn += clients
                        call(requests[turn % len(requests)], timeout=_TIMEOUT)
                    results[number].append(time.perf_counter() - begun)
        except Exception as error:
            errors.append(error)
            started.abort()

    threads = [threading.Thread(target=client, args=(n,)) for n in range(clients)]
    for thread in threads:
        thread.start()
    try:
        started.wait()
    except threading.BrokenBarrierError:
        pass
    begun, cpu = time.perf_counter(), time.process_time()
    for thread in threads:
        thread.join()
    elapsed, cpu = time.perf_counter() - begun, time.process_time() - cpu
    if errors:
        raise next((e for e in errors if not isinstance(e, threading.BrokenBarrierError)), errors[0])
    return {"seconds": [s for found in results for s in found], "elapsed": elapsed, "cpu": cpu}


def open_loop(target: str, requests: Sequence[bytes], rate: float, seconds: float, seed: int) -> dict:
    """Requests at random times, so many a second in the mean, whether or not earlier ones are answered.

    A latency counts from when the request was due, so that a sender that falls behind does not flatter
    the server. None is tried again.

    Args:
        target: `host:port`.
        requests: sent in turn.
        rate: requests a second: a Poisson process.
        seconds: how long.
        seed: of the times.

    Returns:
        `statuses`: how many by status code; `seconds` of those answered; `late`: how many left more than 10 ms
        after they were due; `rate`: how many a second were sent.
    """
    rng = random.Random(seed)
    statuses: collections.Counter = collections.Counter()
    answered: list[float] = []
    lock = threading.Lock()

    def done(due: float, future: grpc.Future) -> None:
        now = time.perf_counter()
        code = future.code().name
        with lock:
            statuses[code] += 1
            if code == OK:
                answered.append(now - due)

    with _channel(target) as channel:
        call = channel.unary_unary(wire.PREDICT)
        call(requests[0], timeout=_TIMEOUT)
        sent = late = 0
        begun = due = time.perf_counter()
        while (due := due + rng.expovariate(rate)) < begun + seconds:
            wait = due - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            late += wait < -_LATE
            future = call.future(requests[sent % len(requests)], timeout=_TIMEOUT)
            future.add_done_callback(functools.partial(done, due))
            sent += 1
        elapsed = time.perf_counter() - begun
        # No call outlives its deadline.
        while sum(statuses.values()) < sent:
            time.sleep(0.01)
    return {"statuses": dict(statuses), "seconds": answered, "late": late, "rate": sent / elapsed}


def _channel(target: str) -> grpc.Channel:
    # Channels of one process would otherwise share a connection; a proxy cannot reach this machine's server.
    return grpc.insecure_channel(
        target, options=[("grpc.use_local_subchannel_pool", 1), ("grpc.enable_http_proxy", 0)])

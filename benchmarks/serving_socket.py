"""A gRPC client of next to no cost, so that what is timed is the server. For a process of its own."""

from __future__ import annotations

import socket
import struct
import time
from collections.abc import Sequence

from serving import wire

# https://www.rfc-editor.org/rfc/rfc9113#name-frame-definitions
_DATA, _HEADERS, _RST_STREAM, _SETTINGS, _PING, _GOAWAY, _WINDOW_UPDATE = 0, 1, 3, 4, 6, 7, 8
_ACK = _END_STREAM = 0x1
_END_HEADERS = 0x4
_HEADER_TABLE_SIZE, _INITIAL_WINDOW_SIZE = 1, 4
_FRAME = 16_384
_WINDOW, _WIDEST = 65_535, (1 << 31) - 1
_TIMEOUT = 10.0
_WARM_UP = 20


class SocketClient:
    """Unary calls over one connection, one after the other, in HTTP/2 as far as that needs.

    A gRPC library takes a fifth of a millisecond for a call, and wakes its own threads; this
    writes to a socket and reads from it.

    Args:
        target: `host:port`, without encryption.
        method: which is called, as `/tensorflow.serving.PredictionService/Predict`.

    Example:

    ```python
    with SocketClient("127.0.0.1:8500", wire.PREDICT) as client:
        answer = client.call(request.SerializeToString())
    ```
    """

    def __init__(self, target: str, method: str):
        host, _, port = target.rpartition(":")
        self._socket = socket.create_connection((host, int(port)), _TIMEOUT)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # https://www.rfc-editor.org/rfc/rfc7541: method and scheme from the static table, the others spelt out.
        self._head = b"".join([
            b"\x83\x86", b"\x04", _text(method), b"\x01", _text(target), b"\x0f\x10", _text("application/grpc"),
            b"\x00", _text("te"), _text("trailers")])
        self._stream = -1
        self._unread = b""
        # Bytes that the server takes: of all streams together, and of a new one.
        self._window, self._stream_window = _WINDOW, _WINDOW
        settings = struct.pack(">HIHI", _HEADER_TABLE_SIZE, 0, _INITIAL_WINDOW_SIZE, _WIDEST)
        self._socket.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(_SETTINGS, 0, 0, settings)
                             + _frame(_WINDOW_UPDATE, 0, 0, struct.pack(">I", _WIDEST - _WINDOW)))

    def __enter__(self) -> SocketClient:
        return self

    def __exit__(self, *exception) -> None:
        self._socket.close()

    def call(self, request: bytes) -> bytes:
        """The answer's bytes.

        Raises:
            RuntimeError: the server answered an error, or closed the connection.
        """
        self._stream += 2
        body = struct.pack(">BI", 0, len(request)) + request
        frames = [_frame(_HEADERS, _END_HEADERS, self._stream, self._head)]
        left = self._stream_window
        for start in range(0, len(body), _FRAME):
            part = body[start:start + _FRAME]
            while len(part) > min(self._window, left):
                self._socket.sendall(b"".join(frames))
                frames = []
                left += self._read()[1]
            self._window -= len(part)
            left -= len(part)
            frames.append(_frame(_DATA, _END_STREAM if start + _FRAME >= len(body) else 0, self._stream, part))
        self._socket.sendall(b"".join(frames))
        answer, ended = b"", False
        while not ended:
            data, _, ended = self._read()
            answer += data
        if len(answer) < 5:
            raise RuntimeError("the server answered an error; the same request by a gRPC client tells which")
        return answer[5:]

    def _read(self) -> tuple[bytes, int, bool]:
        """A frame: its data, by how much the stream may send more, and whether the stream ends."""
        kind, flags, stream, payload = self._next()
        more = 0
        if kind in (_RST_STREAM, _GOAWAY):
            raise RuntimeError(f"the server ended the connection: frame {kind}, {payload!r}")
        if kind == _SETTINGS and not flags & _ACK:
            for number, value in struct.iter_unpack(">HI", payload):
                if number == _INITIAL_WINDOW_SIZE:
                    more = value - self._stream_window
                    self._stream_window = value
            self._socket.sendall(_frame(_SETTINGS, _ACK, 0, b""))
        elif kind == _PING and not flags & _ACK:
            self._socket.sendall(_frame(_PING, _ACK, 0, payload))
        elif kind == _WINDOW_UPDATE:
            (size,) = struct.unpack(">I", payload)
            if stream == 0:
                self._window += size
            elif stream == self._stream:
                more = size
        own = stream == self._stream
        return payload if own and kind == _DATA else b"", more, own and kind in (_DATA, _HEADERS) and bool(
            flags & _END_STREAM)

    def _next(self) -> tuple[int, int, int, bytes]:
        self._fill(9)
        length = int.from_bytes(self._unread[:3], "big")
        kind, flags, stream = struct.unpack(">BBI", self._unread[3:9])
        self._fill(9 + length)
        payload, self._unread = self._unread[9:9 + length], self._unread[9 + length:]
        return kind, flags, stream, payload

    def _fill(self, size: int) -> None:
        while len(self._unread) < size:
            received = self._socket.recv(1 << 16)
            if not received:
                raise RuntimeError("the server closed the connection")
            self._unread += received


def socket_loop(target: str, requests: Sequence[bytes], operations: int, method: str = wire.PREDICT) -> dict:
    """One client that sends the next request when the last one is answered.

    Args:
        target: `host:port`.
        requests: sent in turn.
        operations: how many.
        method: which is called.

    Returns:
        `seconds` of each, the `cpu` seconds of this process meanwhile, and the `first` answer.

    Raises:
        RuntimeError: a call failed.
    """
    with SocketClient(target, method) as client:
        first = client.call(requests[0])
        for turn in range(_WARM_UP):
            client.call(requests[turn % len(requests)])
        seconds = []
        cpu = time.process_time()
        for turn in range(operations):
            begun = time.perf_counter()
            client.call(requests[turn % len(requests)])
            seconds.append(time.perf_counter() - begun)
    return {"seconds": seconds, "cpu": time.process_time() - cpu, "first": first}


def _frame(kind: int, flags: int, stream: int, payload: bytes) -> bytes:
    return struct.pack(">I", len(payload))[1:] + struct.pack(">BBI", kind, flags, stream) + payload


def _text(value: str) -> bytes:
    data = value.encode()
    if len(data) > 126:
        raise ValueError(f"{value!r} is longer than 126 bytes")
    return bytes([len(data)]) + data

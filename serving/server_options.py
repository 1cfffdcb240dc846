"""How a server listens and what it takes on."""

from __future__ import annotations

import dataclasses

from models.spec.errors import UserError
from serving.batcher import Batching
from serving.server_tls import ServerTls

MAX_PORT = 65535


@dataclasses.dataclass(frozen=True)
class ServerOptions:
    """Addresses, bounds and encryption of `ModelServer`.

    Args:
        host: the address to listen on; only this machine by default. An IPv6 one may be given in brackets, which
            are taken off.
        port: of gRPC; 0 takes a free one.
        rest_port: of the REST API; 0 takes a free one, None serves none.
        running: requests worked on at once; None for what suits the machine, see `Admission`.
        waiting: requests that wait besides; one more is answered RESOURCE_EXHAUSTED.
        batching: whether requests that come at the same time share a run; see `Batcher`.
        intra_op_threads: threads that share an operation of the graph, in the whole process; 0 for all cores.
            For fewer than a thousand rows it takes longer to share one than to compute it.
        max_message_bytes: a greater request is answered RESOURCE_EXHAUSTED (413 over REST).
        poll_seconds: how often newer versions are looked for.
        tls: certificate and key, for both ports; None listens without encryption.

    Raises:
        UserError: a port is none, or a bound is too small.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_port: int | None = None
    running: int | None = None
    waiting: int = 64
    batching: Batching = Batching(max_rows=256)
    intra_op_threads: int = 1
    max_message_bytes: int = 16 << 20
    poll_seconds: float = 1.0
    tls: ServerTls | None = None

    def __post_init__(self):
        if self.host.startswith("[") and self.host.endswith("]"):
            object.__setattr__(self, "host", self.host[1:-1])
        for name, port in (("port", self.port), ("REST port", self.rest_port)):
            if port is not None and not 0 <= port <= MAX_PORT:
                raise UserError(f"{name} {port}: is not between 0 and {MAX_PORT}; 0 takes a free one")
        for name, value, least in (("running", self.running, 1), ("waiting", self.waiting, 0),
                                   ("intra-op threads", self.intra_op_threads, 0),
                                   ("max_message_bytes", self.max_message_bytes, 1),
                                   ("batch rows", self.batching.max_rows, 0),
                                   ("batch wait", self.batching.wait_seconds, 0)):
            if value is not None and value < least:
                raise UserError(f"{name} {value}: must be {least} or more")


def address(host: str, port: int) -> str:
    """`host:port`, with an IPv6 host in brackets.

    Example:

    ```python
    address("::1", 8500)  # "[::1]:8500"
    ```
    """
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def cannot_listen(host: str, port: int) -> UserError:
    """The error of an address that is not free, or none."""
    return UserError(f"cannot listen on {address(host, port)}: is another server using the port (0 takes a free one), "
                     f"or is {host} no address of this machine?")

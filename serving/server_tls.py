"""A server's certificate."""

from __future__ import annotations

import dataclasses
import pathlib
import ssl

import grpc

from models.spec.errors import UserError


@dataclasses.dataclass(frozen=True)
class ServerTls:
    """PEM files of an encrypted server; with `client_ca` it is mutual: clients need a certificate too.

    The counterpart of TF Serving's `--ssl_config_file`.

    Args:
        certificate: the server's certificate, with those between it and its authority.
        key: its private key, not encrypted.
        client_ca: certificates of the authorities whose clients are let in; None lets in all.

    Raises:
        UserError: a file cannot be read, or certificate and key do not belong together.

    Example:

    ```python
    ServerOptions(tls=ServerTls("server.pem", "server.key", client_ca="clients.pem"))
    ```
    """

    certificate: str
    key: str
    client_ca: str | None = None

    def __post_init__(self):
        for path in filter(None, (self.certificate, self.key, self.client_ca)):
            _read(path)
        # gRPC would only say that it cannot listen.
        self.ssl_context()

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server."""
        return grpc.ssl_server_credentials(
            [(_read(self.key), _read(self.certificate))],
            root_certificates=_read(self.client_ca) if self.client_ca else None,
            require_client_auth=self.client_ca is not None)

    def ssl_context(self) -> ssl.SSLContext:
        """For an HTTP server."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # A password would be asked for at the terminal.
            context.load_cert_chain(self.certificate, self.key, password=lambda: "")
        except (ssl.SSLError, ValueError) as error:
            raise UserError(f"{self.certificate} and {self.key}: are no PEM certificate and its unencrypted private "
                            f"key: {error}") from error
        if self.client_ca:
            try:
                context.load_verify_locations(self.client_ca)
            except ssl.SSLError as error:
                raise UserError(f"{self.client_ca}: holds no PEM certificates: {error}") from error
            context.verify_mode = ssl.CERT_REQUIRED
        return context


def _read(path: str) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error

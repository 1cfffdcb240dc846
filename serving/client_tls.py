"""What a client needs for a connection with TLS."""

from __future__ import annotations

import pathlib
import ssl

import grpc

from models.spec.errors import UserError


class ClientTls:
    """The files of a client's connection with TLS, or with mutual TLS, all PEM.

    Args:
        ca: certificates of the authorities that may have signed the server's; the public
            ones that gRPC knows when None.
        certificate: the client's own, which a server with mutual TLS asks for, followed by
            those between it and its authority.
        key: the certificate's private key, without a password.
        server_name: the name that the server's certificate must hold; the target's host when None.

    Raises:
        UserError: a file cannot be read, is no PEM of its kind, or does not fit the other.

    Example:

    ```python
    PredictClient("ctr.example.org:8500", tls=ClientTls(ca="ca.pem", certificate="me.pem", key="me.key"))
    ```
    """

    def __init__(
        self,
        ca: str | pathlib.Path | None = None,
        certificate: str | pathlib.Path | None = None,
        key: str | pathlib.Path | None = None,
        server_name: str | None = None,
    ):
        self.ca = ca
        self.certificate = certificate
        self.server_name = server_name
        if (certificate is None) != (key is None):
            given, lacks = ("certificate", "key") if key is None else ("key", "certificate")
            raise UserError(f"{certificate or key}: is a client's {given} without its {lacks}; give both")
        # Files are checked here: gRPC tells of a bad one by a failed connection only.
        authorities = None if ca is None else _read_authorities(ca)
        own, own_key = (None, None) if certificate is None else _read_pair(certificate, key)
        self.credentials = grpc.ssl_channel_credentials(authorities, own_key, own)

    @property
    def options(self) -> list[tuple[str, str]]:
        """Further options of the channel."""
        return [] if self.server_name is None else [("grpc.ssl_target_name_override", self.server_name)]


def _read(path: str | pathlib.Path) -> bytes:
    try:
        return pathlib.Path(path).read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error


def _read_authorities(path: str | pathlib.Path) -> bytes:
    content = _read(path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=content.decode("ascii", "ignore"))
    except (ssl.SSLError, ValueError) as error:
        raise UserError(f"{path}: must hold certificates in PEM") from error
    return content


def _read_pair(certificate: str | pathlib.Path, key: str | pathlib.Path) -> tuple[bytes, bytes]:
    pair = _read(certificate), _read(key)
    try:
        # With a password, of which there is none, OpenSSL does not ask for one in the terminal.
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise UserError(f"{key}: is not the key of the certificate {certificate}") from error
        raise UserError(
            f"{certificate}, {key}: must be a certificate and its private key without a password, both PEM") from error
    return pair

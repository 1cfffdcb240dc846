"""Why no connection came about, in a user's words."""

from __future__ import annotations

from models.spec.errors import UserError
from serving.client_tls import ClientTls

_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"
_CLOSED = ("Socket closed", "Connection reset", "Broken pipe")


def connection_error(target: str, tls: ClientTls | None, details: str) -> UserError:
    """The error for a server that could not be reached.

    Args:
        target: `host:port`.
        tls: what the client asked with; None without TLS.
        details: gRPC's words.

    Example:

    ```python
    raise connection_error("127.0.0.1:8500", None, error.details()) from error
    ```
    """
    if tls is not None and _UNTRUSTED in details:
        reason = details.partition(_UNTRUSTED)[2].strip(": ").removesuffix(": OK")
        hint = (
            "give the certificate of the authority that signed it, if that is no public one" if tls.ca is None
            else f"{tls.ca} must hold the certificate of the authority that signed it, and none may have expired")
        return UserError(f"{target}: the server's certificate is not trusted ({reason}); {hint}")
    if tls is not None and "Hostname Verification" in details:
        return UserError(
            f"{target}: the server's certificate is not for the name {tls.server_name or target.rpartition(':')[0]}; "
            "give a server name that it is for")
    if tls is not None and "WRONG_VERSION_NUMBER" in details:
        return UserError(f"{target}: the server does not speak TLS; ask without it")
    if "failed to connect" in details and any(words in details for words in _CLOSED):
        if tls is None:
            hint = "it may speak TLS only"
        elif tls.certificate is None:
            hint = "it may ask for a client's certificate (mutual TLS), and none is given"
        else:
            hint = f"it may not trust the client's certificate {tls.certificate}"
        return UserError(f"{target}: the server closed the connection at once; {hint}")
    return UserError(f"no server answers at {target} ({details}); `ctrl serve` starts one")

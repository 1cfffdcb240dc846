"""A request that cannot be answered."""

from __future__ import annotations

import grpc


class RequestError(Exception):
    """Carries the status that a client gets.

    Args:
        code: the gRPC status code.
        message: what is wrong, where, and what would be right.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code

    @classmethod
    def invalid(cls, message: str) -> RequestError:
        """INVALID_ARGUMENT: the request itself is wrong."""
        return cls(grpc.StatusCode.INVALID_ARGUMENT, message)

    @classmethod
    def not_found(cls, message: str) -> RequestError:
        """NOT_FOUND: the model, version or signature does not exist."""
        return cls(grpc.StatusCode.NOT_FOUND, message)

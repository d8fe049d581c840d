"""Errors in the shape of the OpenAI API.

Source: https://platform.openai.com/docs/guides/error-codes
"""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from oss.contracts.errors import (
    BackendError,
    BusyError,
    CapabilityError,
    ConfigError,
    ContextOverflowError,
    ModelError,
    OssError,
    UsageError,
)
from oss_plugins.serve.jsons import encode


class ApiError(Exception):
    """An answer other than 200.

    :param param: the field of the request that is at fault.
    :param headers: of the answer.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers or {}

    @property
    def body(self) -> dict[str, Any]:
        """The JSON of the answer."""
        return {
            "error": {
                "message": self.message,
                "type": _type(self.status),
                "param": self.param,
                "code": self.code,
            }
        }

    def response(self) -> Response:
        """The whole answer."""
        return Response(encode(self.body), self.status, self.headers, "application/json")


def refused(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """400: the request itself is wrong."""
    return ApiError(400, message, param=param, code=code)


def server_ends() -> ApiError:
    """503: the server is being stopped, and does not wait for this answer any longer."""
    return ApiError(503, "the server was stopped before the answer was done", code="stopped")


def api_error(error: OssError) -> ApiError:
    """What a client gets to read of an error of the turn or the engine."""
    message = error.message + (f" ({error.hint})" if error.hint else "")
    if isinstance(error, ContextOverflowError):
        return ApiError(400, message, code="context_length_exceeded", param="messages")
    if isinstance(error, UsageError | CapabilityError):
        return ApiError(400, message)
    if isinstance(error, BusyError):
        return ApiError(503, message, code="busy", headers={"Retry-After": "10"})
    if isinstance(error, ModelError | ConfigError):
        return ApiError(503, message, code="model_unavailable")
    if isinstance(error, BackendError):
        return ApiError(502, message, code="engine_failed")
    return ApiError(503, message)


def _type(status: int) -> str:
    names = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
    return names.get(status, "server_error" if status >= 500 else "invalid_request_error")

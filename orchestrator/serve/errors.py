"""Errors in the form of OpenAI's API, which its clients turn into their exceptions."""

from typing import Any

from orchestrator.client.messages import one_line
from orchestrator.errors import ConfigError, DeepPruneError, EndpointBusy, EndpointRejected

__all__ = ["ApiError", "api_error"]

_MOST_CHARS = 500
"""Of a message: a request's own words may be in it."""

_MOST_PARAM_CHARS = 100


class ApiError(Exception):
    """A request that is refused or fails.

    Args:
        status: the HTTP status.
        message: one sentence with the remedy; a long one is cut.
        param: the field of the request that is wrong.
        code: OpenAI's code for the kind of error.
        retry_after: seconds after which a further try is worth it.
        challenge: how a browser may ask its user for the key.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        param: str | None = None,
        code: str | None = None,
        retry_after: float | None = None,
        challenge: str | None = None,
    ) -> None:
        message = one_line(message, limit=_MOST_CHARS)
        super().__init__(message)
        self.status = status
        self.message = message
        self.param = param and one_line(param, limit=_MOST_PARAM_CHARS)
        self.code = code
        self.retry_after = retry_after
        self.challenge = challenge

    def body(self) -> dict[str, Any]:
        """The JSON of the reply."""
        return {
            "error": {
                "message": self.message,
                "type": _TYPES.get(self.status, "invalid_request_error"),
                "param": self.param,
                "code": self.code,
            }
        }


_TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "server_error",
    503: "server_error",
    504: "server_error",
}

_CALLERS_FAULTS = frozenset({400, 413, 422})  # a refused key or address is this server's own


def api_error(error: DeepPruneError | ApiError) -> ApiError:
    """The reply for an error of a run: wrong settings and requests are the caller's, others a server's behind."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, ConfigError):
        return ApiError(400, str(error))
    if isinstance(error, EndpointBusy):
        return ApiError(503, str(error), code="upstream_busy", retry_after=error.retry_after)
    if isinstance(error, EndpointRejected) and error.status in _CALLERS_FAULTS:
        return ApiError(400, str(error), code="upstream_rejected")
    return ApiError(502, str(error), code="upstream_error")

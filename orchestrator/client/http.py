"""HTTP with one server: its address, one aiohttp session, and the errors of `orchestrator.errors`.

Every request of every client goes through `HttpClient`, so TLS, certificates and proxies are the same for all:
certificates are checked against the system's (or SSL_CERT_FILE), and the proxy variables are ignored.

The rule: no aiohttp exception and no API key leaves this module; every error is one plain sentence.
"""

import errno
import math
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

import aiohttp
import msgspec
from yarl import URL

from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)

__all__ = [
    "Address",
    "HttpClient",
    "error_for_status",
    "parse_address",
    "retry_after_seconds",
    "server_message",
]

T = TypeVar("T")

MAX_MESSAGE_CHARS = 300
"""A longer message from a server is truncated; some answer with whole web pages."""

MAX_REFUSAL_BYTES = 2**16

KEEP_ALIVE_SECONDS = 4.0
"""Shorter than uvicorn's 5, so that no pooled connection is used while the server closes it."""


class Address(msgspec.Struct, frozen=True):
    """The address of a server: `base` ends in /v1; `root` is the same without it, for vLLM's own paths."""

    base: str
    root: str

    def __str__(self) -> str:
        return self.base


def parse_address(url: str) -> Address:
    """The address that `url` names; its /v1 may be missing, and it may end in a slash.

    Raises ConfigError for anything but a plain http(s) address. Credentials are refused because addresses are
    written to the journal.
    """
    try:
        parsed = URL(url.strip())
        usable = parsed.scheme in ("http", "https") and bool(parsed.host)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("An endpoint is not an address; give one like http://gpu:8000/v1.")
    if parsed.user or parsed.password or parsed.query_string or parsed.fragment:
        raise ConfigError(
            f"The endpoint on {parsed.host} contains credentials or a query; "
            "give the bare address and put the key in the environment."
        )
    root = str(parsed).rstrip("/").removesuffix("/v1").rstrip("/")
    return Address(base=f"{root}/v1", root=root)


class HttpClient:
    """One session with one server, without a limit on connections.

    `key_name` is the environment variable that the message about a 401 names; the key itself is never shown.
    """

    def __init__(
        self,
        address: Address,
        *,
        api_key: str | None,
        key_name: str,
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        self.address = address
        self._api_key = api_key
        self._key_name = key_name
        self._read_seconds = read_seconds
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_seconds, sock_read=read_seconds
        )
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Creates the session; needs a running event loop."""
        headers = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._api_key:
            headers["Authorization"] = f"Bearer {self._api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=KEEP_ALIVE_SECONDS),
            headers=headers,
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def close(self) -> None:
        """Closes every connection, running streams included."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def response(
        self, method: str, url: str, body: Any = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with status 200 and its unread content.

        Leaving the block closes the connection unless all of the content was read: this stops a generation on
        the server. Raises the errors of `error_for_status` and of `translate`.
        """
        if self._session is None:
            raise RuntimeError("use the client inside its `async with` block")
        data = None if body is None else msgspec.json.encode(body)
        try:
            response = await self._session.request(method, url, data=data, allow_redirects=False)
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.translate(error) from None
        try:
            if response.status != 200:
                raise await self._refusal(response)
            yield response
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise self.translate(error) from None
        finally:
            response.close()

    async def json(self, method: str, url: str, kind: type[T], body: Any = None) -> T:
        """The decoded answer. Raises StreamBroken (boundary "decode") if it is not a `kind`."""
        async with self.response(method, url, body) as response:
            content = await response.read()
        return _decode(url, content, kind)

    async def text(self, url: str) -> str:
        """The body of a GET as text."""
        async with self.response("GET", url) as response:
            return (await response.read()).decode("utf-8", errors="replace")

    def translate(self, error: Exception) -> EndpointError:
        """The error of ours for one that aiohttp raised while connecting or reading."""
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return _unreachable(self.address, "it did not accept the connection in time")
        if isinstance(error, TimeoutError):
            return StreamBroken(f"{self.address} was silent for {self._read_seconds:g} seconds.")
        if isinstance(error, aiohttp.ClientConnectorError):
            return _unreachable(self.address, _connection_failure(error))
        # Some aiohttp errors carry the request's headers in their text: only the kind is shown.
        return StreamBroken(f"{self.address} broke off the answer ({type(error).__name__}).")

    async def _refusal(self, response: aiohttp.ClientResponse) -> EndpointError:
        body = b""
        async for data in response.content.iter_any():
            body += data
            if len(body) > MAX_REFUSAL_BYTES:
                break
        message = server_message(body.decode("utf-8", errors="replace"))
        if self._api_key:
            message = message.replace(self._api_key, "***")
        return error_for_status(
            self.address,
            response.status,
            message,
            retry_after=response.headers.get("Retry-After"),
            key_name=self._key_name,
        )


def _decode(server: str, content: bytes, kind: type[T]) -> T:
    """A JSON answer as a `kind`. Raises StreamBroken (boundary "decode") if it is something else."""
    try:
        return msgspec.json.decode(content, type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise StreamBroken(
            f"{server} sent an answer that cannot be read: {error}.", "decode"
        ) from None


def error_for_status(
    address: Address, status: int, message: str, *, retry_after: str | None, key_name: str
) -> EndpointError:
    """EndpointBusy for 429 and 503, StreamBroken for 408, 425 and 5xx except 501, otherwise EndpointRejected."""
    said = f": {message}" if message else "."
    if status in (429, 503):
        seconds = retry_after_seconds(retry_after, datetime.now(UTC))
        return EndpointBusy(f"{address} is busy ({status}){said}", seconds)
    if status in (408, 425) or (status >= 500 and status != 501):
        return StreamBroken(f"{address} failed ({status}){said}")
    remedy = {
        401: f" Set {key_name} to a key that this server accepts.",
        403: f" Set {key_name} to a key that this server accepts.",
        404: " Check the address (it usually ends in /v1) and the model name.",
    }.get(status, "")
    if 300 <= status < 400:
        remedy = " It redirects; give the address that it redirects to."
    return EndpointRejected(f"{address} refused the request ({status}){said}{remedy}", status)


def _unreachable(address: Address, reason: str) -> EndpointUnreachable:
    """The error for a server that does not answer at all."""
    return EndpointUnreachable(
        f"No server answers at {address} ({reason}); check the address and that the server is running."
    )


def server_message(body: str) -> str:
    """The server's own message in an error body, on one line and truncated.

    It is found in {"error": {"message"}}, {"error": "..."}, {"message"} and {"detail"}; otherwise it is the text.
    """
    try:
        found = _find_message(msgspec.json.decode(body))
    except msgspec.DecodeError:
        found = re.sub(r"<[^>]*>", " ", body)
    line = " ".join("".join(c if c.isprintable() else " " for c in found).split())
    return line if len(line) <= MAX_MESSAGE_CHARS else line[: MAX_MESSAGE_CHARS - 1] + "…"


def retry_after_seconds(value: str | None, now: datetime) -> float | None:
    """Seconds to wait, from a Retry-After header in seconds or as an HTTP date; None if it is neither."""
    if value is None:
        return None
    try:
        seconds = float(value)
    except ValueError:
        try:
            date = parsedate_to_datetime(value)
        except ValueError:
            return None
        seconds = (date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds()
    return max(0.0, seconds) if math.isfinite(seconds) else None


def _find_message(answer: Any) -> str:
    if isinstance(answer, dict):
        for key in ("error", "message", "detail"):
            if answer.get(key):
                return _find_message(answer[key])
        return ""
    return str(answer)


def _connection_failure(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "no trusted TLS connection"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name is not known"
    if error.os_error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files, raise the limit with `ulimit -n`"
    refused = error.os_error.errno == errno.ECONNREFUSED
    return "the connection was refused" if refused else "the connection failed"

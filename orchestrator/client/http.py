"""HTTP with one server: its address, one aiohttp session, and the errors of `orchestrator.errors`.

Every request of every client goes through `HttpClient`, so proxies, certificates and limits are the same for all: no
redirect is followed, and no body is read beyond a limit, whatever the server sends. No aiohttp exception and no API key
leaves this module; every error is one plain sentence.
"""

import asyncio
import codecs
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar

import aiohttp
import msgspec
from yarl import URL

from orchestrator.client.connections import proxy_for, tls_context
from orchestrator.client.messages import error_for_status, error_in_answer, one_line, server_message
from orchestrator.client.paced_answer import SocketTicks
from orchestrator.errors import ConfigError, EndpointError, EndpointUnreachable, StreamBroken

__all__ = ["Address", "HttpClient", "parse_address"]

T = TypeVar("T")

MAX_JSON_BYTES = 32 * 2**20
"""The token ids of a context of some million tokens have less."""

MAX_TEXT_BYTES = 8 * 2**20
"""vLLM's /metrics page has some 100 KB for each engine."""

MAX_REFUSAL_BYTES = 2**16
"""Of an error's body, the rest of which is not read."""

MAX_LOCATION_CHARS = 200

MIN_SECRET_CHARS = 8
"""A shorter word of a header is no key."""

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

    Args:
        address: of the server.
        api_key: sent with every request and never shown.
        key_name: the environment variable that the message about a 401 names.
        connect_seconds: for opening one connection.
        read_seconds: the longest silence within an answer.
        answer_seconds: for a whole answer of `json` or `text`; None sets no limit.
        headers: sent with every request, over our own; their values are never shown.
        ticks: when its streams are read; shared by the clients of several servers, or its own.
    """

    def __init__(
        self,
        address: Address,
        *,
        api_key: str | None,
        key_name: str,
        connect_seconds: float,
        read_seconds: float,
        answer_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        ticks: SocketTicks | None = None,
    ) -> None:
        self.address = address
        self.secrets = (*((api_key,) if api_key else ()), *_secrets_in(headers or {}))
        """What no message may show."""
        self._api_key = api_key
        self._headers = headers or {}
        self._key_name = key_name
        self.read_seconds = read_seconds
        self.ticks = ticks or SocketTicks()
        self._answer_seconds = answer_seconds
        self._head_seconds = connect_seconds + read_seconds
        """Until the head of an answer, whatever comes before it."""
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=connect_seconds, sock_read=read_seconds
        )
        self.direct = False
        """No proxy is used, whatever the environment says; set before `open`."""
        self._proxy: URL | None = None
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Creates the session; needs a running event loop.

        Raises:
            ConfigError: the environment names a proxy or certificates that cannot be used.
        """
        url = URL(self.address.base)
        self._proxy = None if self.direct else proxy_for(url)
        own = {"Accept-Encoding": "identity", "Content-Type": "application/json"}
        if self._api_key and "authorization" not in {name.lower() for name in self._headers}:
            own["Authorization"] = f"Bearer {self._api_key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ssl=tls_context() if self._uses_tls(url) else True,
            ),
            headers={**own, **self._headers},
            timeout=self._timeout,
            cookie_jar=aiohttp.DummyCookieJar(),
            proxy=self._proxy,
        )

    async def close(self) -> None:
        """Closes every connection, running streams included."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    @asynccontextmanager
    async def response(
        self, method: str, url: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        """An answer with status 200 and its unread content; `headers` are sent besides those of every request.

        Leaving the block closes the connection unless all of the content was read: this stops a generation on
        the server. Raises the errors of `error_for_status` and of `translate`.
        """
        if self._session is None:
            raise RuntimeError("use the client inside its `async with` block")
        data = None if body is None else msgspec.json.encode(body)
        try:
            async with asyncio.timeout(self._head_seconds):
                response = await self._session.request(
                    method, url, data=data, headers=headers, allow_redirects=False
                )
        except (aiohttp.ServerDisconnectedError, aiohttp.ClientOSError) as error:
            # A tunnel or a proxy whose server is away accepts connections and closes them.
            if isinstance(error, aiohttp.ClientConnectorError):
                raise self.translate(error) from None
            reason = "it closed the connection without an answer"
            raise _unreachable(self.address, reason) from None
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

    async def json(
        self,
        method: str,
        url: str,
        kind: type[T],
        body: Any = None,
        *,
        limit: int | None = None,
    ) -> T:
        """The decoded answer.

        Raises StreamBroken (boundary "decode") if it is not a `kind` or has more than `limit` bytes, by default 32 MiB.
        """
        return self._decode(
            url, await self._whole(method, url, body, limit or MAX_JSON_BYTES), kind
        )

    async def text(self, url: str, *, limit: int | None = None) -> str:
        """The body of a GET as text. Raises StreamBroken if it has more than `limit` bytes, by default 8 MiB."""
        return (await self._whole("GET", url, None, limit or MAX_TEXT_BYTES)).decode(
            "utf-8", errors="replace"
        )

    async def read_json(self, response: aiohttp.ClientResponse, kind: type[T]) -> T:
        """The decoded rest of an open answer, with the limits and errors of `json`."""
        return self._decode(str(response.url), await _all_of(response, MAX_JSON_BYTES), kind)

    def translate(self, error: Exception) -> EndpointError:
        """The error of ours for one that aiohttp raised while connecting or reading."""
        if isinstance(error, aiohttp.ClientProxyConnectionError):
            return self._no_proxy(_connection_failure(error))
        if isinstance(error, aiohttp.ClientHttpProxyError):
            return self._no_proxy(f"it answered {error.status}")
        if isinstance(error, aiohttp.ConnectionTimeoutError):
            return _unreachable(self.address, "it did not accept the connection in time")
        if isinstance(error, TimeoutError):
            return StreamBroken(f"{self.address} was silent for {self.read_seconds:g} seconds.")
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return self._untrusted(error)
        if isinstance(error, aiohttp.ClientConnectorError):
            return _unreachable(self.address, _connection_failure(error))
        # Some aiohttp errors carry the request's headers in their text: only the kind is shown.
        return StreamBroken(f"{self.address} broke off the answer ({type(error).__name__}).")

    async def _whole(self, method: str, url: str, body: Any, limit: int) -> bytes:
        """All of an answer."""
        try:
            async with (
                asyncio.timeout(self._answer_seconds),
                self.response(method, url, body) as response,
            ):
                return await _all_of(response, limit)
        except TimeoutError:
            raise StreamBroken(
                f"{url} did not answer within {self._answer_seconds:g} seconds."
            ) from None

    def _decode(self, url: str, content: bytes, kind: type[T]) -> T:
        content = content.removeprefix(codecs.BOM_UTF8)
        try:
            return msgspec.json.decode(content, type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            if (said := error_in_answer(content, self.secrets)) is not None:
                raise StreamBroken(f"{url} answered with an error: {said}") from None
            if isinstance(error, RecursionError):
                reason = "its brackets nest too deeply"
            elif isinstance(error, msgspec.ValidationError):
                reason = str(error)
            else:
                reason = server_message(content[:MAX_REFUSAL_BYTES], self.secrets)
            raise StreamBroken(
                f"{url} sent an answer that cannot be read: {reason}.", "decode"
            ) from None

    async def _refusal(self, response: aiohttp.ClientResponse) -> EndpointError:
        location = response.headers.get("Location")
        return error_for_status(
            str(self.address),
            response.status,
            server_message(await _read_at_most(response, MAX_REFUSAL_BYTES), self.secrets),
            retry_after=response.headers.get("Retry-After"),
            location=location and self._target(response, location),
            key_name=self._key_name,
        )

    def _target(self, response: aiohttp.ClientResponse, location: str) -> str:
        """Where a redirect leads, without its query; as a base address if only that differs."""
        path = str(response.url).removeprefix(self.address.base)
        try:
            target = str(
                response.url.join(URL(location))
                .with_query(None)
                .with_fragment(None)
                .with_user(None)
            )
        except ValueError:
            target = location
        return one_line(target.removesuffix(path), self.secrets, MAX_LOCATION_CHARS)

    def _uses_tls(self, url: URL) -> bool:
        return "https" in (url.scheme, self._proxy.scheme if self._proxy else None)

    def _untrusted(self, error: aiohttp.ClientConnectorCertificateError) -> EndpointUnreachable:
        reason = getattr(error.certificate_error, "verify_message", "") or "not valid"
        return EndpointUnreachable(
            f"The TLS certificate of {self.address} is not trusted ({reason}); set SSL_CERT_FILE to a file with the "
            "certificate of its authority."
        )

    def _no_proxy(self, reason: str) -> EndpointUnreachable:
        proxy = str(self._proxy.with_user(None)) if self._proxy else "the proxy"
        return EndpointUnreachable(
            f"{self.address} cannot be reached through {proxy} ({reason}); correct HTTP_PROXY or HTTPS_PROXY, "
            "or put the host into NO_PROXY."
        )


def _secrets_in(headers: Mapping[str, str]) -> tuple[str, ...]:
    """What the values of the headers may have for keys: their words, unless they are so short that texts contain them."""
    words = (word for value in headers.values() for word in value.split())
    return tuple(word for word in words if len(word) >= MIN_SECRET_CHARS)


async def _all_of(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body. Raises StreamBroken if it has more than `limit` bytes."""
    content = await _read_at_most(response, limit + 1)
    if len(content) > limit:
        raise StreamBroken(
            f"{response.url} sent more than {limit // 2**20} MiB; check what answers there.",
            "decode",
        )
    return content


async def _read_at_most(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body, or its first `limit` bytes; the rest is not taken from the connection."""
    content = bytearray()
    while len(content) < limit and (data := await response.content.read(limit - len(content))):
        content += data
    return bytes(content)


def _unreachable(address: Address, reason: str) -> EndpointUnreachable:
    """The error for a server that does not answer at all."""
    return EndpointUnreachable(
        f"No server answers at {address} ({reason}); check the address and that the server is running."
    )


def _connection_failure(error: aiohttp.ClientConnectorError) -> str:
    if isinstance(error, aiohttp.ClientSSLError):
        return "no trusted TLS connection"
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the host name is not known"
    if error.os_error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files, raise the limit with `ulimit -n`"
    refused = error.os_error.errno == errno.ECONNREFUSED
    return "the connection was refused" if refused else "the connection failed"

"""The base of every client of one server: its connections, its models, and the limits of short requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable
from types import TracebackType
from typing import Self, TypeVar

import msgspec
from tenacity import AsyncRetrying

from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.retry import retries
from orchestrator.client.server_counters import ServerCounters, read_counters
from orchestrator.errors import ConfigError, EndpointRejected, StreamBroken

__all__ = ["CONNECT_SECONDS", "EndpointClient", "RequestClient", "ServedModel", "all_of"]

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""For the connection of a short request."""

_LIST_SECONDS = 60.0
"""For /v1/models, which a healthy server answers at once even when it is full."""


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers; `max_model_len` is its context in tokens where the server tells."""

    name: str
    owner: str | None
    max_model_len: int | None


class _ModelCard(msgspec.Struct):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _ModelList(msgspec.Struct):
    data: list[_ModelCard]


class EndpointClient:
    """A client of one server, as an async context manager; leaving it closes every connection.

    `key_name` is the environment variable that an error message about a refused key names.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        key_name: str,
        connect_seconds: float,
        read_seconds: float,
    ) -> None:
        self.address = parse_address(url)
        self._http = HttpClient(
            self.address,
            api_key=api_key,
            key_name=key_name,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
        )

    async def __aenter__(self) -> Self:
        await self._http.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()

    async def counters(self) -> ServerCounters | None:
        """The server's own counters now; None where it has no /metrics page like vLLM's."""
        return await read_counters(self._http)

    async def find_model(self, wanted: str | None, setting: str) -> ServedModel:
        """The model `wanted`, or the only one served.

        Raises EndpointRejected when `wanted` is not served, ConfigError when there are several to choose from;
        `setting` is the flag or setting that the message names.
        """
        url = f"{self.address.base}/models"
        try:
            async with asyncio.timeout(_LIST_SECONDS):
                listed = await self._http.json("GET", url, _ModelList)
        except TimeoutError:
            raise StreamBroken(
                f"{self.address} did not list its models within {_LIST_SECONDS:g} seconds."
            ) from None
        cards = {card.id: card for card in listed.data}
        names = ", ".join(cards) or "none"
        if wanted is not None and wanted not in cards:
            raise EndpointRejected(
                f"{self.address} does not serve the model {wanted!r}; it serves: {names}. "
                f"Set {setting} to one of these.",
                404,
            )
        if not cards:
            raise EndpointRejected(
                f"{self.address} lists no model; wait until it has loaded one.", 404
            )
        if wanted is None and len(cards) > 1:
            raise ConfigError(
                f"{self.address} serves several models: {names}. Set {setting} to one of these."
            )
        card = cards[wanted or next(iter(cards))]
        return ServedModel(name=card.id, owner=card.owned_by, max_model_len=card.max_model_len)


class RequestClient(EndpointClient):
    """A client that makes short requests: so many at once, retried, each in a limited time.

    A subclass decides how the limits nest: whether a request keeps its slot between attempts, and whether
    `timeout_seconds` bound an attempt or all of them.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        key_name: str,
        timeout_seconds: float,
        concurrency: int,
        max_attempts: int,
    ) -> None:
        super().__init__(
            url,
            api_key=api_key,
            key_name=key_name,
            connect_seconds=min(CONNECT_SECONDS, timeout_seconds),
            read_seconds=timeout_seconds,
        )
        self._timeout_seconds = timeout_seconds
        self._max_attempts = max_attempts
        self._slots = asyncio.Semaphore(concurrency)

    def _retries(self) -> AsyncRetrying:
        """The attempts at one request; not to be shared, because it counts them."""
        return retries(self._max_attempts, longest_wait=self._timeout_seconds)

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Raises StreamBroken when the block takes longer than `timeout_seconds`."""
        try:
            async with asyncio.timeout(self._timeout_seconds):
                yield
        except TimeoutError:
            raise StreamBroken(
                f"{self.address} did not answer within {self._timeout_seconds:g} seconds."
            ) from None


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; the first error cancels the other calls and is raised as it is."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

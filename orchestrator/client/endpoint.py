"""The base of every client of one server: its connections, its models, and the limits of short requests."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Iterable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, Self, TypeVar

from tenacity import AsyncRetrying

from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.models import MAX_LIST_BYTES, ServedModel, choose_model, models_in
from orchestrator.client.paced_answer import SocketTicks
from orchestrator.client.retry import retries
from orchestrator.client.server_counters import (
    CounterPages,
    ServerCounters,
    parse_engine_address,
)
from orchestrator.errors import EndpointError, EndpointRejected, StreamBroken

__all__ = ["CONNECT_SECONDS", "EndpointClient", "RequestClient", "all_of"]

T = TypeVar("T")

CONNECT_SECONDS = 10.0
"""For the connection of a short request."""

ANSWER_SECONDS = 60.0
"""For a whole answer that is no stream: a healthy server gives one at once, even when it is full."""

_HEALTH_SECONDS = 5.0
"""For /health, which needs nothing but a free event loop in the server."""

_METRICS_SECONDS = 10.0
"""For the counters of an engine behind a gateway."""


class EndpointClient:
    """A client of one server, as an async context manager; leaving it closes every connection.

    `key_name` is the environment variable that an error message about a refused key names. `engines` are the
    addresses whose counters are read where the server is a gateway; they are sent no key. `ticks` are shared by clients
    of several servers.
    """

    def __init__(
        self,
        url: str,
        *,
        api_key: str | None,
        key_name: str,
        connect_seconds: float,
        read_seconds: float,
        answer_seconds: float | None = None,
        headers: Mapping[str, str] | None = None,
        engines: Sequence[str] = (),
        ticks: SocketTicks | None = None,
    ) -> None:
        self.address = parse_address(url)
        self._http = HttpClient(
            self.address,
            api_key=api_key,
            key_name=key_name,
            connect_seconds=connect_seconds,
            read_seconds=read_seconds,
            answer_seconds=answer_seconds or ANSWER_SECONDS,
            headers=headers,
            ticks=ticks,
        )
        self._counter_pages = CounterPages(
            self._http,
            [
                HttpClient(
                    parse_engine_address(engine),
                    api_key=None,
                    key_name=key_name,
                    connect_seconds=connect_seconds,
                    read_seconds=_METRICS_SECONDS,
                    answer_seconds=_METRICS_SECONDS,
                )
                for engine in engines
            ],
        )
        self.notes: list[str] = []
        """Sentences for the user about this server."""

    def reach_directly(self) -> None:
        """Uses no proxy: for a server that this program has started. To be called before the client is opened."""
        self._http.direct = True

    async def __aenter__(self) -> Self:
        await self._http.open()
        await self._counter_pages.open()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._http.close()
        await self._counter_pages.close()

    @property
    def counter_urls(self) -> frozenset[str]:
        """The addresses of the pages that `counters` reads."""
        return self._counter_pages.urls

    async def counters(self) -> ServerCounters | None:
        """The engine's own counters now; None where there is no /metrics page of a known engine."""
        return await self._counter_pages.read()

    async def healthy(self) -> bool | None:
        """Whether /health says that the server works; None where it has no such page."""
        try:
            async with asyncio.timeout(_HEALTH_SECONDS):
                await self._http.text(f"{self.address.root}/health")
        except EndpointRejected:
            return None
        except (EndpointError, TimeoutError):
            return False
        return True

    async def find_model(self, wanted: str | None, setting: str) -> ServedModel:
        """The model `wanted`, or the only one served; `setting` is the flag or setting that messages name.

        A server that does not list `wanted` is asked for it nevertheless, and a note says so.

        Raises EndpointRejected or StreamBroken where no model is wanted and the server lists none, ConfigError when
        there are several to choose from.
        """
        try:
            answer = await self._http.json(
                "GET", f"{self.address.base}/models", Any, limit=MAX_LIST_BYTES
            )
        except (EndpointRejected, StreamBroken) as error:
            if isinstance(error, EndpointRejected) and error.status == 401:
                raise
            if wanted is None:
                error.args = (
                    f"{error} If the server lists no models, set {setting} to the name of one.",
                )
                raise
            self.notes.append(f"{self.address} does not list its models: {error}")
            return ServedModel(name=wanted)
        choice = choose_model(
            str(self.address),
            models_in(answer),
            wanted,
            setting=setting,
            secrets=self._http.secrets,
        )
        if choice.note is not None:
            self.notes.append(choice.note)
        return choice.model

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Adds the notes to a refusal: they may be its cause."""
        try:
            yield
        except EndpointRejected as error:
            error.args = (" ".join([str(error), *self.notes]),)
            raise


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
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            url,
            api_key=api_key,
            key_name=key_name,
            connect_seconds=min(CONNECT_SECONDS, timeout_seconds),
            read_seconds=timeout_seconds,
            answer_seconds=timeout_seconds,
            headers=headers,
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

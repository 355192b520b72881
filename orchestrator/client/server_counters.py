"""An engine's own counters, read from its Prometheus page.

They check the bill, and are the only source for the prefix cache: an aborted stream never reports its cached
tokens, and `generative_scoring` reports none at all. They include the requests of other users of the engine.
"""

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import msgspec

from orchestrator.client.http import Address, HttpClient, parse_address
from orchestrator.errors import EndpointError

__all__ = [
    "CounterPages",
    "HasCounters",
    "Meter",
    "Metered",
    "ServerCounters",
    "added_up",
    "counters_of",
    "parse_counters",
    "parse_engine_address",
]

_IDLE_SECONDS = 2.0  # how long the server may take to count its last aborted request
_POLL_SECONDS = 0.05
_NAMES = {
    "vllm:generation_tokens_total": "generation_tokens",
    "vllm:prompt_tokens_total": "prompt_tokens",
    "vllm:prompt_tokens_cached_total": "prompt_tokens_cached",
    "vllm:num_requests_running": "running",
    "vllm:num_requests_waiting": "waiting",
}


_BY_THEMSELVES = ("stop", "length")
"""How vLLM's requests finish that nobody has aborted."""


class ServerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """Tokens since the server started, and requests in it now, summed over its engines.

    `prompt_tokens_cached`, and the requests that have `finished` by themselves, are None where they are not counted.
    """

    generation_tokens: int
    prompt_tokens: int
    prompt_tokens_cached: int | None = None
    running: int = 0
    waiting: int = 0
    finished: int | None = None


def parse_counters(page: str) -> ServerCounters | None:
    """The counters on a /metrics page; None if it is not vLLM's."""
    from prometheus_client.parser import text_string_to_metric_families

    sums: dict[str, int] = {}
    # the histograms are most of a page, and several servers are asked every few seconds
    lines = [line for line in page.splitlines(keepends=True) if line.startswith(tuple(_NAMES))]
    try:
        for family in text_string_to_metric_families("".join(lines)):
            for sample in family.samples:
                if (field := _field(sample.name, sample.labels)) is not None:
                    sums[field] = sums.get(field, 0) + int(sample.value)
    except (ValueError, OverflowError):
        return None
    if "generation_tokens" not in sums or "prompt_tokens" not in sums:
        return None
    return ServerCounters(**sums)


def _field(name: str, labels: Mapping[str, str]) -> str | None:
    if name == "vllm:request_success_total":
        return "finished" if labels.get("finished_reason") in _BY_THEMSELVES else None
    return _NAMES.get(name)


class CounterPages:
    """The /metrics pages of one server, or of the engines behind a gateway, as an async context manager.

    Args:
        server: read where no engine is named.
        engines: unopened connections to the engines behind the server; opened and closed here.
    """

    def __init__(self, server: HttpClient, engines: Sequence[HttpClient] = ()) -> None:
        self._opened = engines
        self._read = engines or (server,)

    @property
    def urls(self) -> frozenset[str]:
        """The addresses of the pages."""
        return frozenset(f"{http.address.root}/metrics" for http in self._read)

    async def open(self) -> None:
        """Opens the connections to the engines behind the server."""
        for http in self._opened:
            await http.open()

    async def close(self) -> None:
        """Closes them."""
        for http in self._opened:
            await http.close()

    async def read(self) -> ServerCounters | None:
        """The counters now, added up over the engines; None unless every page has them."""
        pages = await asyncio.gather(*(_read_page(http) for http in self._read))
        found = [page for page in pages if page is not None]
        return added_up(found) if len(found) == len(pages) else None


def parse_engine_address(url: str) -> Address:
    """The address of an engine, given with or without /v1 or /metrics. Raises ConfigError as `parse_address`."""
    return parse_address(url.strip().rstrip("/").removesuffix("/metrics"))


async def _read_page(http: HttpClient) -> ServerCounters | None:
    try:
        return parse_counters(await http.text(f"{http.address.root}/metrics"))
    except EndpointError:
        return None


def added_up(pages: Sequence[ServerCounters]) -> ServerCounters:
    """The counters of several engines as if they were one."""
    return ServerCounters(
        generation_tokens=sum(page.generation_tokens for page in pages),
        prompt_tokens=sum(page.prompt_tokens for page in pages),
        prompt_tokens_cached=_sum_of_known(page.prompt_tokens_cached for page in pages),
        running=sum(page.running for page in pages),
        waiting=sum(page.waiting for page in pages),
        finished=_sum_of_known(page.finished for page in pages),
    )


class HasCounters(Protocol):
    """A client of a server whose counters can be read."""

    @property
    def counter_urls(self) -> frozenset[str]:
        """The addresses of the pages that are read."""

    async def counters(self) -> ServerCounters | None:
        """The counters now; None where there are none."""


async def counters_of(clients: Iterable[HasCounters]) -> ServerCounters | None:
    """The counters of several servers together, each engine's once; None where one has none."""
    by_engine = {client.counter_urls: client for client in clients}
    found = await asyncio.gather(*(client.counters() for client in by_engine.values()))
    counted = [each for each in found if each is not None]
    return added_up(counted) if len(counted) == len(found) else None


def _sum_of_known(counts: Iterable[int | None]) -> int | None:
    known = list(counts)
    return None if None in known else sum(count or 0 for count in known)


class Metered(NamedTuple):
    """Tokens that a server counted since the meter was started; None where it does not count them."""

    generated: int | None = None
    cached_prompt: int | None = None


class Meter:
    """The difference of a server's counters between the start and the end of a run."""

    def __init__(self, client: HasCounters | None) -> None:
        self._client = client
        self._before: ServerCounters | None = None

    async def start(self) -> None:
        """Reads the counters for the first time."""
        if self._client is not None:
            self._before = await self._client.counters()

    async def stop(self) -> Metered:
        """The tokens counted since `start`, read when the server has no request left or two seconds have passed."""
        if self._client is None or self._before is None:
            return Metered()
        deadline = time.monotonic() + _IDLE_SECONDS
        while (now := await self._client.counters()) is not None:
            if now.running == 0 or time.monotonic() > deadline:
                return _difference(self._before, now)
            await asyncio.sleep(_POLL_SECONDS)
        return Metered()


def _difference(before: ServerCounters, now: ServerCounters) -> Metered:
    cached = None
    if before.prompt_tokens_cached is not None and now.prompt_tokens_cached is not None:
        cached = now.prompt_tokens_cached - before.prompt_tokens_cached
    return Metered(now.generation_tokens - before.generation_tokens, cached)

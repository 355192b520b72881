"""Whole runs on two servers, one of which goes away: the words of a trace encode where it is, so that none can be lost."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import deepprune
from orchestrator.client.paced_answer import SocketTicks
from orchestrator.core.commands import Command
from orchestrator.core.events import (
    Event,
    ReplicaDown,
    ReplicaUp,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceResumed,
    TraceStarted,
)
from tests.support.fake_server import answer_json
from tests.support.paced_servers import PacedServers
from tests.support.proxy import Proxy

TRACES = 8
SPAN = 10_000  # ids of one trace


class Pair:
    """Two servers, each behind a proxy that can be cut, and a client of both."""

    def __init__(self, proxies: list[Proxy], servers: list[PacedServers]) -> None:
        self.proxies = proxies
        self.servers = servers

    def addresses(self) -> list[str]:
        return [proxy.url for proxy in self.proxies]

    async def ask(self, seen: Callable[[Event], None], **settings: Any) -> list[Event]:
        """All events of a question, each shown to `seen`."""
        events = []
        changes = {"endpoint.health_seconds": 0.05, "endpoint.breaker_seconds": 3600.0} | settings
        async with (
            deepprune.Client(
                self.addresses(), policy="consensus", traces=TRACES, settings=changes
            ) as client,
            client.stream("How many?") as stream,
        ):
            async for event in stream:
                events.append(event)
                seen(event)
        return events


@contextlib.asynccontextmanager
async def pair(*, words: int = 60, pause: float = 0.005) -> AsyncIterator[Pair]:
    async with contextlib.AsyncExitStack() as stack:
        servers = [PacedServers(words=words, pause=pause) for _ in range(2)]
        proxies = []
        for server in servers:
            server.reasoner.answers["/health"] = answer_json("")
            await stack.enter_async_context(server.serving())
            proxies.append(await stack.enter_async_context(Proxy(server.reasoner.url).running()))
        yield Pair(proxies, servers)


def ids_of(events: list[Event], trace: int) -> list[int]:
    found = [e for e in events if isinstance(e, TokensArrived) and e.trace == trace]
    return [token_id for event in found for token_id in event.token_ids]


def of_kind(events: list[Event], *kinds: type[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kinds)]


def after_tokens(count: int, act: Callable[[], None]) -> Callable[[Event], None]:
    """Acts once so many tokens have come, over all traces."""
    tokens: Counter[int] = Counter()
    acted = False

    def see(event: Event) -> None:
        nonlocal acted
        if isinstance(event, TokensArrived):
            tokens[event.trace] = event.tokens
        if not acted and tokens.total() >= count:
            acted = True
            act()

    return see


async def test_the_streams_of_both_servers_are_read_at_the_same_ticks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    most: dict[SocketTicks, int] = {}
    opened = SocketTicks.opened

    def note(ticks: SocketTicks) -> None:
        opened(ticks)
        most[ticks] = max(ticks.open, most.get(ticks, 0))

    monkeypatch.setattr(SocketTicks, "opened", note)
    async with pair() as servers:
        events = await servers.ask(lambda event: None)
    assert len({event.endpoint for event in of_kind(events, TraceStarted)}) == 2
    assert list(most.values()) == [TRACES]


async def test_when_a_server_dies_its_traces_go_on_elsewhere_from_their_last_token() -> None:
    async with pair() as servers:
        first, second = servers.addresses()
        events = await servers.ask(after_tokens(100, servers.proxies[0].refuse))
        continued = [
            body["prompt"]
            for body in servers.servers[1].reasoner.bodies("/v1/completions")
            if len(body["prompt"]) > 3
        ]
    assert len(of_kind(events, TraceFinished)) == TRACES
    (down,) = of_kind(events, ReplicaDown)
    assert down.endpoint == first
    moved = of_kind(events, TraceResumed)
    assert {(event.endpoint, event.moved) for event in moved} == {(second, "down")}
    assert len(moved) == TRACES / 2  # half of the traces had been there
    assert len(continued) == len(moved)  # and each was continued once
    for trace in range(TRACES):
        ids = ids_of(events, trace)
        assert ids == list(range(ids[0], ids[0] + 61))  # no word is missing, none came twice
        assert ids[0] % SPAN == 0


async def test_a_server_that_comes_back_takes_traces_again() -> None:
    async with pair(words=120) as servers:
        first, _ = servers.addresses()
        proxy = servers.proxies[0]

        def see(event: Event) -> None:
            cut(event)
            if isinstance(event, ReplicaDown):
                proxy.accept()

        cut = after_tokens(100, proxy.refuse)
        events = await servers.ask(see, **{"run.concurrency": 4})
    assert len(of_kind(events, TraceFinished)) == TRACES
    (back,) = of_kind(events, ReplicaUp)
    assert back.endpoint == first
    since = events[events.index(back) :]
    opened = of_kind(since, TraceStarted, TraceResumed)
    assert first in {event.endpoint for event in opened}


async def test_a_run_breaks_off_when_every_server_is_gone_for_too_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.runtime.trace._backoff", lambda state: 0.0)

    async with pair() as servers:

        def refuse() -> None:
            for proxy in servers.proxies:
                proxy.refuse()

        failed: list[TraceFailed] = []

        def see(event: Event) -> None:
            cut(event)
            if isinstance(event, TraceFailed):
                failed.append(event)

        cut = after_tokens(100, refuse)
        with pytest.raises(deepprune.ServersAway, match=r"None of the servers.*0\.2 seconds"):
            await servers.ask(see, **{"endpoint.outage_seconds": 0.2})
    assert len(failed) == TRACES
    assert any("None of the servers" in event.message for event in failed)


@pytest.mark.slow  # waits for servers
async def test_a_server_that_is_down_at_the_start_is_used_once_it_answers() -> None:
    async with pair(words=120) as servers:
        first, _ = servers.addresses()
        servers.proxies[0].refuse()

        def see(event: Event) -> None:
            if isinstance(event, TokensArrived):
                servers.proxies[0].accept()

        events = await servers.ask(see, **{"run.concurrency": 2})
    (down,) = of_kind(events, ReplicaDown)
    (back,) = of_kind(events, ReplicaUp)
    assert down.endpoint == back.endpoint == first
    assert len(of_kind(events, TraceFinished)) == TRACES
    assert first in {event.endpoint for event in of_kind(events, TraceStarted)}


async def test_a_run_that_is_continued_finds_the_servers_of_its_traces_again(
    tmp_path: Path,
) -> None:
    async with pair() as servers:
        owners: dict[int, str] = {}
        question = deepprune.Question(id="1", question="How many?")

        async def run(act: Callable[[Event | Command], None]) -> None:
            async with deepprune.Client(
                servers.addresses(), policy="consensus", traces=TRACES
            ) as client:
                prepared = client.prepare(question, folder=tmp_path)
                prepared.listener = act
                task.append(client.start(prepared))
                with contextlib.suppress(asyncio.CancelledError):
                    await task[-1]

        def break_off(entry: Event | Command) -> None:
            if isinstance(entry, TraceStarted):
                owners[entry.trace] = entry.endpoint
            if isinstance(entry, TokensArrived) and entry.tokens > 10:
                task[-1].cancel()

        seen: list[TraceResumed] = []
        task: list[asyncio.Task[deepprune.Result]] = []
        await run(break_off)
        await run(lambda entry: seen.append(entry) if isinstance(entry, TraceResumed) else None)
    assert {event.trace: event.endpoint for event in seen} == owners
    assert len(set(owners.values())) == 2
    assert {event.moved for event in seen} == {None}


async def test_the_same_address_given_twice_is_one_server() -> None:
    async with PacedServers(words=3).serving() as servers:
        url = servers.reasoner.url
        twice = [url, url.removesuffix("/v1") + "/"]
        async with deepprune.Client(twice, policy="pass1") as client:
            assert client.endpoints.reasoner.addresses == (url,)


async def test_every_request_names_its_trace_and_its_attempt() -> None:
    async with pair(words=20) as servers:
        await servers.ask(after_tokens(30, servers.proxies[0].cut))
        seen = [
            one.headers
            for each in servers.servers
            for one in each.reasoner.seen
            if one.path == "/v1/completions" and "X-Session-ID" in one.headers
        ]
    sessions = Counter(headers["X-Session-ID"] for headers in seen)
    assert len(sessions) == TRACES
    assert len({headers["X-Request-ID"] for headers in seen}) == len(seen) > TRACES
    assert all(headers["X-Request-ID"].startswith(headers["X-Session-ID"]) for headers in seen)

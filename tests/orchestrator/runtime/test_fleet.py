"""Whose turn it is for a stream, and what becomes of streams when servers fail; the servers are scripted."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, cast

import pytest

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.http import parse_address
from orchestrator.client.reasoner.client import Prompt, ReasonerClient
from orchestrator.client.server_counters import ServerCounters
from orchestrator.errors import (
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from orchestrator.runtime.fleet import Fleet, FleetChange
from orchestrator.runtime.members import Member
from orchestrator.settings import EndpointSettings
from tests.support.capabilities import capabilities


class Client:
    """A server as far as the fleet itself asks it."""

    def __init__(self, name: str) -> None:
        self.address = parse_address(f"http://{name}/v1")
        self.counter_urls = frozenset({f"http://{name}/metrics"})
        self.notes: list[str] = []
        self.health: bool | None = True
        self.model = "nano"
        self.waiting = 0
        self.down = False
        self.checked = asyncio.Event()

    async def healthy(self) -> bool | None:
        self.checked.set()
        return self.health

    async def probe(self, top_logprobs: int | None) -> ServerCapabilities:
        return capabilities(model=self.model).reasoner

    async def tokenize(self, text: str) -> tuple[int, ...]:
        return (1, 2)

    async def counters(self) -> ServerCounters:
        return ServerCounters(generation_tokens=5, prompt_tokens=7, running=1, waiting=self.waiting)

    async def render(self, question: str, arguments: Mapping[str, Any] | None = None) -> Prompt:
        if self.down:
            raise EndpointUnreachable("nobody answers")
        return Prompt((1,), ())


class Streams:
    """A fleet, and streams that stay open until they are told how to end."""

    def __init__(self, names: str, *, most: int = 8, **settings: float) -> None:
        self.clients = [Client(name) for name in names]
        self.members = [
            Member(
                client=cast("ReasonerClient", client),
                found=capabilities().reasoner,
                token_ids=(1, 2),
                has_health=True,
            )
            for client in self.clients
        ]
        self.settings = EndpointSettings.model_validate({"health_seconds": 0.01, **settings})
        self.most = most
        self.open: dict[str, str] = {}
        self.ends: dict[str, asyncio.Future[None]] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Streams"]:
        self.fleet = Fleet(self.members, self.settings, most=self.most)
        async with self.fleet:
            yield self

    def start(self, stream: str, owner: str | None = None) -> asyncio.Task[str | None]:
        """A stream; its task tells why it has moved."""
        self.ends[stream] = asyncio.get_running_loop().create_future()
        return asyncio.create_task(self._stream(stream, owner and f"http://{owner}/v1"))

    async def _stream(self, stream: str, owner: str | None) -> str | None:
        async with self.fleet.stream(stream, owner) as turn:
            turn.answered()
            self.open[stream] = turn.address.removeprefix("http://").removesuffix("/v1")
            try:
                await self.ends[stream]
            finally:
                del self.open[stream]
            return turn.moved

    async def end(self, stream: str, error: Exception | None = None) -> None:
        if error is None:
            self.ends[stream].set_result(None)
        else:
            self.ends[stream].set_exception(error)
        await settle()


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def changes_of(fleet: Fleet, count: int) -> list[FleetChange]:
    async with asyncio.timeout(60), contextlib.aclosing(fleet.changes()) as changes:
        return [await anext(changes) for _ in range(count)]


async def end_all(*tasks: asyncio.Task[str | None]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def test_as_many_streams_as_asked_for_are_opened_in_order_of_arrival() -> None:
    async with Streams("a", most=2).running() as streams:
        tasks = [streams.start(name) for name in "pqrs"]
        await settle()
        assert list(streams.open) == ["p", "q"]
        await streams.end("p")
        assert list(streams.open) == ["q", "r"]
        await end_all(*tasks)


async def test_a_cancelled_trace_leaves_its_turn_to_the_next() -> None:
    async with Streams("a", most=1).running() as streams:
        tasks = [streams.start(name) for name in "pqr"]
        await settle()
        tasks[1].cancel()
        await settle()
        await streams.end("p")
        assert list(streams.open) == ["r"]
        await end_all(*tasks)


async def test_a_turn_given_at_the_moment_of_cancellation_is_passed_on() -> None:
    async with Streams("a", most=1).running() as streams:
        tasks = [streams.start(name) for name in "pqr"]
        await settle()
        streams.ends["p"].set_result(None)
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # p has ended and let q in, which has not run yet
        tasks[1].cancel()
        await settle()
        assert list(streams.open) == ["r"]
        await end_all(*tasks)


async def test_a_busy_server_gets_fewer_streams() -> None:
    async with Streams("a", most=4).running() as streams:
        tasks = [streams.start(name) for name in "pqrs"]
        await settle()
        await streams.end("p", EndpointBusy("full", 0.0))
        assert streams.fleet.limit == 2
        with pytest.raises(EndpointBusy):
            await tasks[0]
        await end_all(*tasks)


async def test_streams_spread_over_the_servers_and_return_to_their_owner() -> None:
    async with Streams("abc").running() as streams:
        tasks = [streams.start(str(n)) for n in range(6)]
        await settle()
        assert sorted(streams.open.values()) == list("aabbcc")
        owner = streams.open["4"]
        await streams.end("4")
        again = streams.start("4", owner)
        await settle()
        assert streams.open["4"] == owner
        await end_all(again, *tasks)


async def test_a_server_that_does_not_answer_is_left_out_and_tells_so() -> None:
    async with Streams("ab", health_seconds=3600.0).running() as streams:
        told = asyncio.create_task(changes_of(streams.fleet, 1))
        first, second = streams.start("p"), streams.start("q")
        await settle()
        failed = streams.open["p"]
        await streams.end("p", EndpointUnreachable("nobody answers"))
        assert streams.fleet.has_alternative(f"http://{failed}/v1")
        assert await told == [FleetChange(f"http://{failed}/v1", False, "nobody answers")]
        again = streams.start("p", failed)
        await settle()
        assert streams.open["p"] != failed
        await streams.end("p")
        assert await again == "down"
        await end_all(first, second)


async def test_a_server_that_is_out_returns_with_its_first_stream_once_it_is_healthy() -> None:
    async with Streams("ab", breaker_seconds=3600.0).running() as streams:
        streams.clients[0].health = False
        task = streams.start("p", "a")
        await settle()
        await streams.end("p", EndpointUnreachable("nobody answers"))
        changes = asyncio.create_task(changes_of(streams.fleet, 2))
        await settle()
        assert streams.fleet.client("http://a/v1") is streams.members[1].client
        streams.clients[0].health = True
        while not changes.done():
            tasks = [streams.start(name) for name in "qr"]
            await asyncio.sleep(0.02)
            await end_all(*tasks)
        assert [change.up for change in await changes] == [False, True]
        assert streams.fleet.client("http://a/v1") is streams.members[0].client
        await end_all(task)


async def test_a_server_that_returns_with_another_model_stays_out() -> None:
    async with Streams("ab", breaker_seconds=3600.0).running() as streams:
        streams.clients[0].model = "other"
        task = streams.start("p", "a")
        await settle()
        await streams.end("p", EndpointUnreachable("nobody answers"))
        for _ in range(2):
            streams.clients[0].checked.clear()
            await streams.clients[0].checked.wait()
        (change,) = await changes_of(streams.fleet, 1)
        assert "serves the model other" in change.reason
        again = streams.start("q", "a")
        await settle()
        assert streams.open["q"] == "b"
        await end_all(task, again)


async def test_streams_of_a_server_that_fails_its_health_checks_are_broken() -> None:
    async with Streams("ab", breaker_failures=2).running() as streams:
        stuck, works = streams.start("p", "a"), streams.start("q", "b")
        await settle()
        streams.clients[0].health = False
        with pytest.raises(StreamBroken, match=r"a/v1 is out: .* does not answer on /health"):
            await stuck
        assert streams.open == {"q": "b"}
        await end_all(works)


async def test_those_who_wait_fail_when_no_server_works() -> None:
    async with Streams("ab", most=2, health_seconds=3600.0).running() as streams:
        tasks = [streams.start(name) for name in "pqrs"]
        await settle()
        for name in "pq":  # r takes the place of p on the other server, s waits
            await streams.end(name, EndpointUnreachable("nobody answers"))
        with pytest.raises(
            EndpointUnreachable, match="None of the servers http://a/v1, http://b/v1"
        ):
            await tasks[3]
        await end_all(*tasks)


@pytest.mark.parametrize(("status", "moves"), [(404, True), (401, True), (400, False)])
async def test_a_refusal_that_is_the_servers_own_sends_the_trace_elsewhere(
    status: int, moves: bool
) -> None:
    async with Streams("ab", health_seconds=3600.0).running() as streams:
        task = streams.start("p", "a")
        await settle()
        await streams.end("p", EndpointRejected("no", status))
        with pytest.raises(EndpointUnreachable if moves else EndpointRejected):
            await task
        assert streams.fleet.has_alternative("http://a/v1") is moves


async def test_the_only_servers_refusal_is_final() -> None:
    async with Streams("a").running() as streams:
        task = streams.start("p")
        await settle()
        await streams.end("p", EndpointRejected("no", 404))
        with pytest.raises(EndpointRejected):
            await task


async def test_a_queue_in_a_server_lowers_what_it_gets() -> None:
    async with Streams("ab", most=8).running() as streams:
        tasks = [streams.start(str(n)) for n in range(8)]
        await settle()
        for client in streams.clients:
            client.waiting = 3
        for _ in range(3):
            for client in streams.clients:
                client.checked.clear()
                await client.checked.wait()
        assert streams.fleet.limit == 4
        await end_all(*tasks)


async def test_counters_are_summed_until_a_server_has_been_out() -> None:
    async with Streams("ab").running() as streams:
        counted = await streams.fleet.counters()
        assert counted is not None
        assert (counted.generation_tokens, counted.prompt_tokens, counted.running) == (10, 14, 2)
        assert counted.prompt_tokens_cached is None
        task = streams.start("p")
        await settle()
        await streams.end("p", EndpointUnreachable("nobody answers"))
        assert await streams.fleet.counters() is None
        await end_all(task)


async def test_a_question_is_rendered_by_any_server_that_answers() -> None:
    async with Streams("ab").running() as streams:
        streams.clients[0].down = True
        assert (await streams.fleet.render("How many?")).token_ids == (1,)
        streams.clients[1].down = True
        with pytest.raises(EndpointUnreachable):
            await streams.fleet.render("How many?")


async def test_an_owner_that_is_no_longer_among_the_servers_counts_as_down() -> None:
    async with Streams("a").running() as streams:
        task = streams.start("p", "moved-away")
        await settle()
        await streams.end("p")
        assert await task == "down"


async def test_headers_name_the_trace_and_its_stream() -> None:
    async with Streams("a").running() as streams:
        named = streams.fleet.headers(session="s-1", request="s-1-2")
        assert named == {"X-Session-ID": "s-1", "X-Request-ID": "s-1-2"}
    settings = EndpointSettings(session_header="X-Sticky", request_header=None)
    fleet = Fleet(streams.members, settings, most=1)
    assert fleet.headers(session="s-1", request="s-1-2") == {"X-Sticky": "s-1"}


async def test_an_engine_behind_two_gateways_is_counted_once() -> None:
    async with Streams("ab").running() as streams:
        for client in streams.clients:
            client.counter_urls = frozenset({"http://engine/metrics"})
        counted = await streams.fleet.counters()
        assert streams.fleet.counter_urls == {"http://engine/metrics"}
    assert counted is not None
    assert counted.generation_tokens == 5

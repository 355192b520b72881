"""The reasoner's servers while a client is open: whose turn it is for a stream, and on which server it is opened.

`orchestrator.runtime.routing` decides; here are the tasks that wait, the clock, and the checks of /health and /metrics. With
a single server nothing is checked, and streams are only limited in number.
"""

import asyncio
import contextlib
import dataclasses
import time
from collections.abc import AsyncGenerator, AsyncIterator, Hashable, Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, NamedTuple, Self

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.client import Prompt, ReasonerClient
from orchestrator.client.server_counters import ServerCounters, counters_of
from orchestrator.core.events import MoveReason
from orchestrator.core.prompting import Message
from orchestrator.errors import (
    EndpointBusy,
    EndpointError,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from orchestrator.runtime.members import NOT_THERE, Member, error_of_none
from orchestrator.runtime.replica import StreamEnd
from orchestrator.runtime.routing import Placement, Routing
from orchestrator.runtime.server_checks import ServerChecks
from orchestrator.settings import EndpointSettings

__all__ = ["Fleet", "FleetChange", "Turn"]

_MISCONFIGURED = (401, 403, 404)
"""Refusals that say something about the server and not about the request."""


class FleetChange(NamedTuple):
    """A server went out (`up` is False) or came back; `reason` is the fault that put it out."""

    address: str
    up: bool
    reason: str


class Turn:
    """A stream may be opened now, with this client. `moved` says why it is not the server with the trace's cache."""

    def __init__(
        self, fleet: "Fleet", stream: Hashable, member: Member, moved: MoveReason | None
    ) -> None:
        self.client = member.client
        self.address = member.address
        self.moved = moved
        self.has_answered = False
        self._fleet = fleet
        self._stream = stream

    def answered(self) -> None:
        """The stream gave its first event."""
        self.has_answered = True
        self._fleet.answered(self._stream)


class Fleet:
    """One or several servers of the same model, as an async context manager.

    Args:
        members: the servers; at least one of them has been probed. Their clients are open.
        settings: how faults are answered.
        most: streams open at once, over all servers.
        top_logprobs: for the probe of a server that answers later.
        notes: sentences for the user about the servers.
    """

    def __init__(
        self,
        members: Sequence[Member],
        settings: EndpointSettings,
        *,
        most: int,
        top_logprobs: int | None = None,
        notes: Sequence[str] = (),
    ) -> None:
        self._notes = list(notes)
        self._members = members
        probed = next(member for member in members if member.found is not None)
        self._reference = dataclasses.replace(probed)  # as it was at the start
        self._numbers = {member.address: number for number, member in enumerate(members)}
        self._settings = settings
        self._top_logprobs = top_logprobs
        self._routing = Routing(
            len(members),
            most=most,
            failures=settings.breaker_failures,
            seconds=settings.breaker_seconds,
        )
        for number, member in enumerate(members):
            if member.fault:
                self._routing.leave_out(number)
        self._turns: dict[Hashable, asyncio.Future[Placement]] = {}
        self._limits: dict[Hashable, asyncio.Timeout] = {}
        self._listeners: set[asyncio.Queue[FleetChange]] = set()
        self._watching: asyncio.Task[None] | None = None
        self._outages = 0

    async def __aenter__(self) -> Self:
        if len(self._members) > 1:
            self._watching = asyncio.create_task(self._watch(), name="watch the servers")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._watching is not None:
            self._watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watching

    @property
    def addresses(self) -> tuple[str, ...]:
        """The addresses of all servers, those that are out included."""
        return tuple(self._numbers)

    @property
    def notes(self) -> list[str]:
        """Sentences for the user about the servers."""
        return [*self._notes, *(note for member in self._members for note in member.client.notes)]

    @property
    def capabilities(self) -> ServerCapabilities:
        """What each of the servers can do; the address is that of the first one that was there at the start."""
        if self._reference.found is None:
            raise RuntimeError("none of the servers has been probed")
        return self._reference.found

    @property
    def limit(self) -> int:
        """Streams that the servers sustain together, as far as is known; at most what the run may open."""
        return self._routing.capacity

    async def render(
        self, question: str | Sequence[Message], arguments: Mapping[str, Any] | None = None
    ) -> Prompt:
        """The question as a prompt, from any server that works; see `ReasonerClient.render`, also for what it raises."""
        *others, last = self._by_load()
        for member in others:
            with contextlib.suppress(*NOT_THERE):
                return await member.client.render(question, arguments)
        return await last.client.render(question, arguments)

    def client(self, owner: str | None = None) -> ReasonerClient:
        """The client for a short request about a trace: its owner's, or another's where that one is out."""
        number = self._numbers.get(owner or "", -1)
        if number >= 0 and self._routing.replicas[number].up:
            return self._members[number].client
        return self._by_load()[0].client

    async def stop_when_closed(self) -> bool | None:
        """Whether all servers stop generating when a stream is closed; None if that cannot be told of all of them.

        They are tried one after the other, because they may share engines.
        """
        found = [
            await member.client.stops_when_closed()
            for member in self._members
            if member.found is not None
        ]
        if False in found:
            return False
        return None if None in found else True

    @property
    def counter_urls(self) -> frozenset[str]:
        """The addresses of the pages that `counters` reads."""
        return frozenset().union(*(member.client.counter_urls for member in self._members))

    async def counters(self) -> ServerCounters | None:
        """The counters of all servers together; None where one has none, or has been out and may have begun anew."""
        if self._outages or not all(replica.up for replica in self._routing.replicas):
            return None
        return await counters_of(member.client for member in self._members)

    @contextlib.asynccontextmanager
    async def stream(self, stream: Hashable, owner: str | None) -> AsyncIterator[Turn]:
        """Waits until a stream may be opened, and counts it as open while the block runs.

        How the block ends says how the server has done; a fault that another server has not is raised as one after
        which the same request may succeed.

        Args:
            stream: names the trace among all of the client's; it has one stream at a time.
            owner: the address of the server that has its cache.

        Raises:
            EndpointUnreachable: none of several servers works, or this one refuses what another may take.
            StreamBroken: the server was found to be out while the stream was open.
        """
        placement = await self._wait_for_turn(stream, self._numbers.get(owner or ""))
        member = self._members[placement.replica]
        lost = owner is not None and owner not in self._numbers
        turn = Turn(self, stream, member, "down" if lost else placement.moved)
        try:
            with self._faults_of(placement.replica):
                async with asyncio.timeout(None) as self._limits[stream]:
                    yield turn
        except EndpointError as error:
            asked = error.retry_after if isinstance(error, EndpointBusy) else None
            self._routing.end(stream, _outcome(error), _now(), retry_after=asked, reason=str(error))
            raise
        except BaseException:
            self._routing.end(stream, "closed", _now())
            raise
        else:
            self._routing.end(stream, "done" if turn.has_answered else "closed", _now())
        finally:
            del self._limits[stream]
            self._admit()

    @contextlib.contextmanager
    def _faults_of(self, number: int) -> Iterator[None]:
        """Turns a refusal that is the server's own, and the closing of its streams, into faults of the server."""
        try:
            yield
        except EndpointRejected as error:
            others_work = self._routing.others_work(number, _now())
            if error.status not in _MISCONFIGURED or not others_work:
                raise
            raise EndpointUnreachable(str(error)) from None
        except TimeoutError:
            member = self._members[number]
            raise StreamBroken(f"{member.address} is out: {member.fault}") from None

    def answered(self, stream: Hashable) -> None:
        """A stream gave its first event."""
        self._routing.answered(stream)
        self._admit()

    def headers(self, *, session: str, request: str) -> dict[str, str]:
        """The headers that name the trace (`session`) and its stream (`request`) to a router."""
        names = {self._settings.session_header: session, self._settings.request_header: request}
        return {name: value for name, value in names.items() if name is not None}

    def has_alternative(self, failed: str) -> bool:
        """Whether a trace that the server `failed` has just failed need not wait before it tries again: elsewhere."""
        return self._routing.has_alternative(self._numbers[failed], _now())

    async def changes(self) -> AsyncGenerator[FleetChange]:
        """The servers that are out now, then every change, for as long as the iterator is open."""
        queue: asyncio.Queue[FleetChange] = asyncio.Queue()
        self._listeners.add(queue)
        try:
            for member, replica in zip(self._members, self._routing.replicas, strict=True):
                if not replica.up:
                    queue.put_nowait(FleetChange(member.address, False, member.fault))
            while True:
                yield await queue.get()
        finally:
            self._listeners.discard(queue)

    def _by_load(self) -> list[Member]:
        """The servers that have been probed: those that work first, with the fewest streams before all."""
        state = zip(self._members, self._routing.replicas, strict=True)
        probed = [(member, replica) for member, replica in state if member.found is not None]
        probed.sort(key=lambda one: (not one[1].up, one[1].live))
        return [member for member, _ in probed]

    async def _wait_for_turn(self, stream: Hashable, owner: int | None) -> Placement:
        turn: asyncio.Future[Placement] = asyncio.get_running_loop().create_future()
        self._turns[stream] = turn
        self._routing.ask(stream, owner)
        self._admit()
        try:
            return await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                self._turns.pop(stream, None)
                self._routing.withdraw(stream)
            elif turn.exception() is None:  # admitted and cancelled at the same moment
                self._routing.end(stream, "closed", _now())
                self._admit()
            raise

    def _admit(self) -> None:
        """Lets those in whose turn it is; when no server works, those who wait fail."""
        while placements := self._routing.admit(_now()):
            for placement in placements:
                turn = self._turns.pop(placement.stream)
                if turn.cancelled():
                    self._routing.end(placement.stream, "closed", _now())
                else:
                    turn.set_result(placement)
        self._publish()
        if self._turns and not self._routing.usable(_now()):
            for stream, turn in list(self._turns.items()):
                self._routing.withdraw(stream)
                if not turn.cancelled():
                    turn.set_exception(error_of_none(self._members))
            self._turns.clear()

    def _publish(self) -> None:
        """Tells the listeners what has happened to servers."""
        for number, up, reason in self._routing.changes:
            member = self._members[number]
            member.fault = reason
            self._outages += not up
            for listener in self._listeners:
                listener.put_nowait(FleetChange(member.address, up, reason))
        self._routing.changes.clear()

    async def _watch(self) -> None:
        """Checks all servers again and again."""
        checks = ServerChecks(
            self._members,
            self._reference,
            self._routing,
            top_logprobs=self._top_logprobs,
            now=_now,
            close=self._close,
        )
        while True:
            await asyncio.sleep(self._settings.health_seconds)
            await checks.check_all()
            self._admit()

    def _close(self, stream: Hashable) -> None:
        limit = self._limits.get(stream)
        if limit is not None and not limit.expired():
            limit.reschedule(asyncio.get_running_loop().time())


def _outcome(error: EndpointError) -> StreamEnd:
    """How a stream ended that ended with an error; a refusal of one request says nothing about the server."""
    match error:
        case EndpointBusy():
            return "busy"
        case EndpointUnreachable():
            return "unreachable"
        case EndpointRejected():
            return "closed"
        case _:
            return "broken"


def _now() -> float:
    return time.monotonic()

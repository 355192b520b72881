"""The checks of several servers while a client is open: /health, /metrics, and whether one that returns is still alike."""

import asyncio
from collections.abc import Callable, Hashable, Sequence

from orchestrator.errors import DeepPruneError
from orchestrator.runtime.members import Member, difference
from orchestrator.runtime.routing import Routing

__all__ = ["ServerChecks"]


class ServerChecks:
    """Tells the routing what it finds.

    Args:
        members: the servers.
        reference: one of them as it was at the start.
        routing: of streams over the servers; its replicas have the same order.
        top_logprobs: for the probe of a server that returns.
        now: seconds on the clock of the routing.
        close: closes a stream of a server that is out, which may never notice it by itself.
    """

    def __init__(
        self,
        members: Sequence[Member],
        reference: Member,
        routing: Routing,
        *,
        top_logprobs: int | None,
        now: Callable[[], float],
        close: Callable[[Hashable], None],
    ) -> None:
        self._members = members
        self._reference = reference
        self._routing = routing
        self._top_logprobs = top_logprobs
        self._now = now
        self._close = close

    async def check_all(self) -> None:
        """Checks every server once, side by side."""
        await asyncio.gather(*(self._check(number) for number in range(len(self._members))))

    async def _check(self, number: int) -> None:
        member, replica = self._members[number], self._routing.replicas[number]
        if not (member.has_health or member.found is None):
            return
        fault = await self._fault(member, was_up=replica.up)
        self._routing.check(number, self._now(), healthy=fault is None, reason=fault or "")
        if fault is not None and not replica.up:
            member.fault = fault
            for stream in self._routing.on(number):
                self._close(stream)
        elif member.found is not None and member.found.metrics and replica.live:
            counters = await member.client.counters()
            if counters is not None:
                self._routing.queued(number, counters.waiting)

    async def _fault(self, member: Member, *, was_up: bool) -> str | None:
        """What is wrong with a server; one that was out must still be like the others."""
        healthy = await member.client.healthy()
        if healthy is False:
            return f"{member.address} does not answer on /health."
        if was_up:
            return None
        try:
            await member.probe(self._top_logprobs)
            return difference(self._reference, member)
        except DeepPruneError as error:
            return str(error)

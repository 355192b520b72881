"""Whose tokens an engine's counters count: who uses it besides, and what some work has cost by them.

The invariant: counters are attributed to the reasoner or to the judge only if nothing else in this program uses the
same engine. Otherwise both bills would take the same difference.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from itertools import combinations
from typing import Protocol, TypeVar

from orchestrator.client.server_counters import HasCounters, Meter, Metered, ServerCounters

__all__ = ["EngineUse", "MeteredWork", "Meters"]

T = TypeVar("T")

_COUNTING_SECONDS = 1.0  # left to the servers' counters after an interrupt


class EngineUse:
    """Finds the clients of a run that share an engine, by their addresses and by what a request moves."""

    def __init__(self) -> None:
        self._clients: dict[str, HasCounters] = {}
        self._shared: set[str] = set()

    def add(self, role: str, client: HasCounters) -> None:
        """A client that has been probed before all others."""
        self._clients[role] = client

    async def probed(self, role: str, client: HasCounters, probe: Callable[[], Awaitable[T]]) -> T:
        """The result of a client's first requests, made while the engines of the clients before it are watched.

        An engine that counts prompt tokens meanwhile is the same one under another address, or others use it.
        """
        before = await self._counters()
        result = await probe()
        after = await self._counters()
        moved = {other for other in before if _read_prompts(before[other], after[other])}
        if moved:
            self._shared |= {role, *moved}
        self.add(role, client)
        return result

    @property
    def shared(self) -> frozenset[str]:
        """The roles whose engine counts the tokens of another role, or of other users, as well."""
        return frozenset(self._shared.union(*self._at_one_address()))

    async def _counters(self) -> dict[str, ServerCounters | None]:
        return {role: await client.counters() for role, client in self._clients.items()}

    def _at_one_address(self) -> Iterator[tuple[str, str]]:
        for (role, client), (other, second) in combinations(self._clients.items(), 2):
            if client.counter_urls & second.counter_urls:
                yield role, other


def _read_prompts(before: ServerCounters | None, after: ServerCounters | None) -> bool:
    return before is not None and after is not None and before.prompt_tokens != after.prompt_tokens


class MeteredWork(Protocol):
    """What is counted: a question, or all questions of a session."""

    @property
    def exclusive(self) -> bool:
        """Whether nothing else of this program uses the servers meanwhile."""

    @property
    def interrupted(self) -> asyncio.Event:
        """Set once the user does not want to wait."""


class Meters:
    """The engines' own counts of some work, unknown where anything else uses the engines meanwhile."""

    def __init__(
        self,
        work: MeteredWork,
        *,
        reasoner: HasCounters,
        judge: HasCounters | None,
        shared: frozenset[str],
    ) -> None:
        self._work = work
        self._reasoner = Meter(None if "reasoner" in shared else reasoner)
        self._judge = Meter(None if "judge" in shared else judge)

    async def start(self) -> None:
        """Reads the counters for the first time."""
        if self._work.exclusive:
            await self._reasoner.start()
            await self._judge.start()

    async def stop(self) -> tuple[Metered, Metered]:
        """The counts of the reasoner and of the judge; unknown where a server is slow after the user's interrupt."""
        counting = asyncio.create_task(self._count())
        interrupted = asyncio.create_task(self._work.interrupted.wait())
        try:
            await asyncio.wait({counting, interrupted}, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait({counting}, timeout=_COUNTING_SECONDS)
            return counting.result() if counting.done() else (Metered(), Metered())
        finally:
            counting.cancel()
            interrupted.cancel()

    async def _count(self) -> tuple[Metered, Metered]:
        if not self._work.exclusive:
            return Metered(), Metered()
        counted = await self._reasoner.stop(), await self._judge.stop()
        # another question may have begun while the servers were waited for
        return counted if self._work.exclusive else (Metered(), Metered())

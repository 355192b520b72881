"""What a server itself counted over a run: the check of the bill, and the only word on its prefix cache.

An aborted stream never reports its cached tokens, and `generative_scoring` reports none at all, so those come
from the server's own counters. They count other users of the server too.
"""

import asyncio
import time
from typing import NamedTuple, Protocol

from orchestrator.client.metrics import ServerCounters

__all__ = ["Meter", "Metered"]

_IDLE_SECONDS = 2.0  # how long the server may take to count its last aborted request
_POLL_SECONDS = 0.05


class _HasCounters(Protocol):
    async def counters(self) -> ServerCounters | None: ...


class Metered(NamedTuple):
    """Tokens that a server counted since the meter was started; None where it does not tell."""

    generated: int | None = None
    cached_prompt: int | None = None


class Meter:
    """Reads a server's counters at the start and at the end of a run."""

    def __init__(self, client: _HasCounters | None) -> None:
        self._client = client
        self._before: ServerCounters | None = None

    async def start(self) -> None:
        """Remembers where the counters stand."""
        if self._client is not None:
            self._before = await self._client.counters()

    async def stop(self) -> Metered:
        """What was counted since, once the server has no request left or two seconds have passed."""
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

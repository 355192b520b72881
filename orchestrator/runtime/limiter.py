"""How many streams may be open at once: as many as asked for, fewer while the server is overloaded."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

__all__ = ["StreamLimiter"]


class StreamLimiter:
    """Admits streams up to a limit. A busy server (429, 503) halves the limit; each stream that succeeds raises it by one.

    Args:
        most: the limit at the start, and the highest one later.
    """

    def __init__(self, most: int) -> None:
        self.limit = most
        self._most = most
        self._taken = 0
        self._queue: deque[asyncio.Future[None]] = deque()

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Waits to be admitted, first come first served, and counts as open while the block runs."""
        await self._enter()
        try:
            yield
        finally:
            self._taken -= 1
            self._admit()

    def shrink(self) -> None:
        """The server refused a stream: half as many as are open from now on, but at least one.

        Refusals at the same moment count once: nothing changes while more are open than the limit.
        """
        if self._taken <= self.limit:
            self.limit = max(1, self._taken // 2)

    def grow(self) -> None:
        """A stream succeeded: one more, up to what was asked for."""
        self.limit = min(self._most, self.limit + 1)
        self._admit()

    async def _enter(self) -> None:
        if self._taken < self.limit and not self._queue:
            self._taken += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.cancelled():
                with contextlib.suppress(ValueError):  # `_admit` has dropped it meanwhile
                    self._queue.remove(turn)
            else:  # admitted and cancelled at the same moment
                self._taken -= 1
                self._admit()
            raise

    def _admit(self) -> None:
        while self._queue and self._taken < self.limit:
            turn = self._queue.popleft()
            if not turn.cancelled():
                turn.set_result(None)
                self._taken += 1

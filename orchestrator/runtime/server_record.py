"""What the traces of a question have seen of the servers: answers, and refusals before any answer.

A refused request fails its trace, not the run, as long as other traces are served. Before the first answer nobody knows
whether a refusal is meant for one request or for all of them, so a refused trace waits for what the others see.
"""

import asyncio
from collections.abc import Callable

__all__ = ["ServerRecord"]


class ServerRecord:
    """Shared by the traces of a question; `answered` if an earlier process has had tokens."""

    def __init__(self, *, answered: bool = False) -> None:
        self._answered = answered
        self._answered_at = 0.0
        self._running = 0
        self._refused = 0
        self._changed = asyncio.Event()

    def enter(self) -> None:
        """A trace begins to ask."""
        self._running += 1

    def leave(self) -> None:
        """A trace asks no more."""
        self._running -= 1
        self.wake()

    def note_answer(self, at: float) -> None:
        """A trace has got tokens."""
        self._answered_at = at
        if not self._answered:
            self._answered = True
            self.wake()

    def answered_since(self, at: float) -> bool:
        """Whether any trace has got tokens since then."""
        return self._answered and self._answered_at > at

    async def all_are_refused(self, given_up: Callable[[], bool]) -> bool:
        """Whether every trace that runs is refused; known once one has got tokens, or none is left that may.

        A trace that is `given_up` meanwhile does not wait.
        """
        self._refused += 1
        try:
            while not (self._answered or given_up()):
                if self._refused >= self._running:
                    return True
                await self._changed.wait()
            return False
        finally:
            self._refused -= 1

    def wake(self) -> None:
        """Lets those who wait look again."""
        self._changed.set()
        self._changed = asyncio.Event()

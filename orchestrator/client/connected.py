"""What all clients of one endpoint share: connections that live as long as an `async with` block.

The rule: whatever a client opens later it gives to `_exit`, so that one way out closes everything.
"""

from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from orchestrator.client.http import HttpClient

__all__ = ["Connected"]


class Connected:
    """An async context manager around the session with one server."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._http.open()
        self._exit.push_async_callback(self._http.close)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()

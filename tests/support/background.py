"""Servers in an event loop of their own, beside a test that blocks its own."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator

from tests.support.paced_servers import PacedServers

__all__ = ["in_background"]


@contextlib.contextmanager
def in_background(servers: PacedServers) -> Iterator[PacedServers]:
    """Serves in a thread until the block is left."""
    started, ended, loop = threading.Event(), asyncio.Event(), asyncio.new_event_loop()

    async def serve() -> None:
        async with servers.serving():
            started.set()
            await ended.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    started.wait()
    try:
        yield servers
    finally:
        loop.call_soon_threadsafe(ended.set)
        thread.join()
        loop.close()

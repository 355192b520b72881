"""One question without asyncio, also inside a running event loop."""

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar, Unpack

from orchestrator.api.asked import Asked
from orchestrator.api.client import Client, ClientArguments
from orchestrator.report.result import Result

__all__ = ["ask"]

T = TypeVar("T")


def ask(
    question: Asked,
    endpoint: str | Sequence[str] | None = None,
    *,
    gold: str | None = None,
    **client: Unpack[ClientArguments],
) -> Result:
    """The result of one question, for programs without asyncio; `client` are further arguments of `Client`.

    Inside a running event loop, such as a notebook's, the question runs in a thread of its own; the call blocks the
    loop until the result is there. Use `Client` where the loop has other work. Ctrl-C stops the traces on the server.

    Raises:
        ConfigError: an argument is wrong or a server is missing.
        EndpointError: a server cannot be reached or refuses the requests.
        DeepPruneError: every trace failed.
    """

    async def asked() -> Result:
        async with Client(endpoint, **client) as opened:
            return await opened.ask(question, gold)

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(asked())
    return _run_in_thread(asked())


def _run_in_thread(work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which runs in another thread; an exception here, such as Ctrl-C, cancels it."""
    loop = asyncio.new_event_loop()
    task = loop.create_task(work)

    def run() -> T:
        with asyncio.Runner(loop_factory=lambda: loop):  # closes the loop in this thread
            return loop.run_until_complete(task)

    with ThreadPoolExecutor(1, "deepprune-ask") as thread:
        future = thread.submit(run)
        try:
            return future.result()
        except BaseException:
            with contextlib.suppress(RuntimeError):  # the loop has ended by itself
                loop.call_soon_threadsafe(task.cancel)
            raise

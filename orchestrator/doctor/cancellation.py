"""Whether closing a stream stops the generation, without which nothing that is pruned is saved.

Told by the engine's counters, where they can be read and nobody else uses the engine; otherwise by how long a request
waits behind streams that were closed, on a server that lets requests wait.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence

from orchestrator.client.endpoint import all_of
from orchestrator.client.reasoner.client import Prompt
from orchestrator.client.server_counters import ServerCounters
from orchestrator.doctor.server import Reading, ServerUnderTest
from orchestrator.doctor.verdict import Check
from orchestrator.errors import EndpointError

__all__ = ["check_cancellation"]

_STREAMS = 4
_SOON_SECONDS = (
    2.0  # within which a stopped engine is idle, if the machine is not busy with other things
)
_LONGEST_SECONDS = 5.0
_POLL_SECONDS = 0.05
_OVERSHOOT = 64
"""Tokens per stream that may be on their way when it is closed."""

_TRIES = 3
_LEAST_TIME = 0.3
"""Of the time of a stream that is written alone, before one is closed that has brought nothing."""

_HELD = 16  # streams that let a further request wait, on a server without counters
_LONGEST_WAIT_SECONDS = 15.0
_ARRIVED_SECONDS = 0.3  # until the requests of these streams are in the server
_CLEARLY = 3.0  # times longer is no chance

_NAME = "cancellation"
_REMEDY = (
    "Take a router that hangs up on the engine when its client does, or give the engines' own addresses; "
    "for nginx: proxy_ignore_client_abort off."
)
_LOSS = "the server goes on generating: nothing that is pruned is saved."


async def check_cancellation(server: ServerUnderTest) -> Check:
    """Closes streams at random moments and looks whether the engine stops."""
    check = await _tried_once(server)
    for _ in range(
        _TRIES - 1
    ):  # on a busy machine a stream may end, or be closed, too early to tell
        if check.verdict != "unknown":
            break
        check = await _tried_once(server)
    return check


async def _tried_once(server: ServerUnderTest) -> Check:
    before = await server.client.counters()
    if before is None:
        return await _by_waiting(server)
    if before.running or before.waiting:
        return _unknown("Others use the server now.", "Try again when it is idle.")
    readings = await _closed_early(server)
    if all(reading.ended for reading in readings):
        return _unknown(
            "Every stream ended before it was closed.", "Try again with a model that writes more."
        )
    return await _by_counters(server, before, readings)


async def _closed_early(server: ServerUnderTest) -> list[Reading]:
    """Streams that were closed at random moments, half of them as pruning does it."""
    prompts = [await server.prompt() for _ in range(_STREAMS)]
    moments = [float(moment) for moment in server.random.uniform(0.05, 0.4, _STREAMS)]
    return await all_of(
        _closed_at(server, prompt, moment, half_close=number % 2 == 0)
        for number, (prompt, moment) in enumerate(zip(prompts, moments, strict=True))
    )


async def _closed_at(
    server: ServerUnderTest, prompt: Prompt, moment: float, *, half_close: bool
) -> Reading:
    """A stream closed at a fraction of its length, or of its time where its tokens are held back."""
    tokens = max(1, int(moment * server.most_tokens))
    alone = server.stream_seconds
    seconds = None if alone is None else (_LEAST_TIME + moment) * alone
    try:
        async with asyncio.timeout(seconds):
            return await server.read(prompt, stop_after=tokens, half_close=half_close)
    except TimeoutError:
        return Reading()


async def _by_counters(
    server: ServerUnderTest, before: ServerCounters, readings: Sequence[Reading]
) -> Check:
    began = time.monotonic()
    at_close = await server.client.counters()
    if at_close is None:
        return _unknown("The counters vanished.", "Try again.")
    written = sum(reading.tokens for reading in readings)
    if not all(reading.tokens for reading in readings):  # a proxy holds back what was written
        written = max(written, at_close.generation_tokens - before.generation_tokens)
    left = server.most_tokens * len(readings) - written
    ended = sum(reading.ended for reading in readings)
    while (now := await server.client.counters()) is not None:
        seconds = time.monotonic() - began
        over = now.generation_tokens - before.generation_tokens - written
        begun = now.generation_tokens > before.generation_tokens
        idle = begun and over >= 0 and not (now.running or now.waiting)
        if idle or seconds > _LONGEST_SECONDS:
            break
        await asyncio.sleep(_POLL_SECONDS)
    else:
        return _unknown("The counters vanished.", "Try again.")
    if not begun:
        return _unknown("The server wrote nothing before the streams were closed.", "Try again.")
    finished = (now.finished or 0) - (before.finished or 0) - ended
    closed = len(readings) - ended
    shown = f"{closed} streams closed at random moments"
    if not idle:
        return Check(_NAME, "limited", f"{shown}, and {seconds:.0f} s later {_LOSS}", _REMEDY)
    if finished > 0 or over >= max(1, left // 2):
        return Check(_NAME, "limited", f"{shown}, and {_LOSS}", _REMEDY)
    if seconds > _SOON_SECONDS and over > _OVERSHOOT * closed:
        return Check(
            _NAME,
            "limited",
            f"{shown}; the server stopped after {seconds:.1f} s and {over} further tokens.",
            _REMEDY,
        )
    return Check(
        _NAME, "well", f"{shown}; idle {seconds:.1f} s later, {over} tokens were on their way."
    )


async def _by_waiting(server: ServerUnderTest) -> Check:
    """How long a request waits behind many streams, and behind as many that were closed."""
    remedy = (
        "Name the engine with --set endpoint.metrics_url=http://HOST:PORT, which counts its tokens."
    )
    try:
        alone = min([await _first_token(server) for _ in range(2)])
        async with _held(server, alone):
            behind = await _first_token(server)
        async with _held(server, alone):
            pass
        after = await _first_token(server)
    except EndpointError as error:
        return _unknown(f"It has no counters, and a stream broke: {error}", remedy)
    if behind < _CLEARLY * alone + _SOON_SECONDS / 4:
        return _unknown(
            "It has no counters, and lets no request wait by which it could be told.", remedy
        )
    waits = f"A request waits {behind:.1f} s behind {_HELD} streams and {after:.1f} s once they are closed"
    if after < max(behind / 2, _CLEARLY * alone):
        return Check(_NAME, "well", f"{waits}.")
    return Check(_NAME, "limited", f"{waits}: {_LOSS}", _REMEDY)


async def _first_token(server: ServerUnderTest) -> float:
    """Seconds to the first token of a stream that is then closed; the longest wait where none came."""
    try:
        async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
            return (await server.read(await server.prompt(), stop_after=1)).first_seconds
    except TimeoutError:
        return _LONGEST_WAIT_SECONDS


@contextlib.asynccontextmanager
async def _held(server: ServerUnderTest, alone: float) -> AsyncIterator[None]:
    """Inside, many streams are open; they are closed at its end. `alone` is the time of one to its first token."""
    prompts = [await server.prompt() for _ in range(_HELD)]
    tasks = [asyncio.ensure_future(server.read(prompt)) for prompt in prompts]
    try:
        await asyncio.sleep(_ARRIVED_SECONDS + alone)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _unknown(evidence: str, remedy: str) -> Check:
    return Check(_NAME, "unknown", f"It cannot be told. {evidence}", remedy)

"""A proxy that breaks answers on their way, each at a random place: for tests only.

Only streams, probes and verdicts are broken; what is asked at the start passes, since a run that cannot start tests nothing.
"""

import asyncio
import contextlib
import json
import logging
import socket
import struct
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

import aiohttp
import numpy as np
from aiohttp import web

from orchestrator.client.reasoner.probe import PROBE_TOKENS

__all__ = ["FAULTS", "ChaosProxy", "Fault"]

Fault = Literal[
    "reset",
    "FIN in mid-event",
    "half event",
    "stall",
    "garbage",
    "duplicate event",
    "slow drip",
    "500",
    "429",
    "503 with Retry-After",
]
FAULTS: tuple[Fault, ...] = get_args(Fault)
_STATUS: dict[Fault, int] = {"500": 500, "429": 429, "503 with Retry-After": 503}
_OF_STREAMS = ("duplicate event",)
_PATHS = ("/v1/completions", "/generative_scoring")
_MOST_EVENTS = 40
"""Before which event of a stream its fault comes, at the latest."""
_DRIP_BYTES = 16
_STALL_SECONDS = 3600.0
_REST_SECONDS = 60.0
"""For the rest of a stream, which ends soon on a machine that has nothing else to do."""
_SETTLED_SECONDS = 60.0
_SILENT = logging.getLogger("tests.faults.chaos")
_SILENT.disabled = True  # a handler whose connection it has itself cut fails, and that is no news


@dataclass
class ChaosProxy:
    """Passes requests to `target` and breaks a part of the answers; `injected` counts what it did.

    `lost` are the tokens that it has read and not passed on: a stream that is cut is half-closed towards the server, and
    what that still sends is read, so that `settled` knows all that was under way. With `reads_on`, it is not closed at all after
    a fault: a busy vLLM drops what it has counted and not yet sent. So many answers to a judge's questions as `passes` says are not
    broken: the first one finds the judge's dialect.
    """

    target: str
    random: np.random.Generator
    chance: float = 0.5
    injected: Counter[str] = field(default_factory=Counter)
    lost: int = 0
    passes: int = 1
    reads_on: bool = False
    url: str = ""
    _busy: int = 0
    _quiet: asyncio.Event = field(default_factory=asyncio.Event)

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["ChaosProxy"]:
        """Listens on a free port as long as the block lasts."""
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        runner = web.AppRunner(
            app, handler_cancellation=True, shutdown_timeout=0.1, access_log=None, logger=_SILENT
        )
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        async with aiohttp.ClientSession(connector=connector) as self._session:
            await runner.setup()
            try:
                await web.TCPSite(runner, "127.0.0.1", 0).start()
                self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
                yield self
            finally:
                await runner.cleanup()

    def forget(self) -> None:
        """Counts from zero."""
        self.injected.clear()
        self.lost = 0

    async def settled(self) -> None:
        """Returns when no request is open, and all that servers sent of the streams that were cut has been read."""
        async with asyncio.timeout(_SETTLED_SECONDS):
            while self._busy:
                self._quiet.clear()
                await self._quiet.wait()

    def _count(self, change: int) -> None:
        self._busy += change
        self._quiet.set()

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        self._count(+1)
        try:
            return await self._answer(request)
        finally:
            self._count(-1)

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        data = await request.read()
        fault = self._draw(request.path, data)
        if fault in _STATUS:
            self.injected[fault] += 1
            again = {"Retry-After": "1"} if "Retry-After" in fault else {}
            error = {"error": {"message": "a fault of the campaign"}}
            return web.json_response(error, status=_STATUS[fault], headers=again)
        url = self.target.removesuffix("/v1") + request.path
        headers = {"Content-Type": "application/json"}
        upstream = await self._session.request(
            request.method, url, data=data or None, headers=headers
        )
        kind = upstream.headers.get("Content-Type", "application/json")
        response = web.StreamResponse(status=upstream.status, headers={"Content-Type": kind})
        if "event-stream" in kind:
            await self._pass_stream(request, response, upstream, fault)
            return response
        async with upstream:
            await response.prepare(request)
            answer = await upstream.read()
            if fault not in (None, "slow drip"):
                self.lost += _decoded(answer).get("usage", {}).get("completion_tokens", 0)
            await self._pass(request, response, answer, fault)
        return response

    def _draw(self, path: str, data: bytes) -> Fault | None:
        """The fault of this request, if it has one."""
        if path == "/generative_scoring" and self.passes > 0:
            self.passes -= 1
            return None
        if path not in _PATHS or self.random.random() >= self.chance:
            return None
        body = json.loads(data)
        if body.get("max_tokens") == PROBE_TOKENS:
            return None
        fault = FAULTS[int(self.random.integers(len(FAULTS)))]
        return None if fault in _OF_STREAMS and not body.get("stream") else fault

    async def _pass_stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        upstream: aiohttp.ClientResponse,
        fault: Fault | None,
    ) -> None:
        at = int(self.random.integers(_MOST_EVENTS)) if fault else -1
        number, read, passed, stalled, gone = 0, b"", 0, False, True
        try:
            await response.prepare(request)
            async for data in upstream.content.iter_any():
                read += data
                while not stalled and (end := read.find(b"\n\n", passed) + 2) > 1:
                    chosen = fault if number == at else None
                    if chosen == "stall":
                        self.injected[chosen] += 1
                        stalled = True  # what comes now is read and lost
                    elif await self._pass(request, response, read[passed:end], chosen):
                        gone = False
                        return
                    else:
                        passed, number = end, number + 1
            if stalled:
                await asyncio.sleep(_STALL_SECONDS)
        finally:
            rest = asyncio.ensure_future(
                self._lose(upstream, read[passed:], close=gone or not self.reads_on)
            )
            self._count(+1)
            rest.add_done_callback(lambda _: self._count(-1))

    async def _lose(self, upstream: aiohttp.ClientResponse, read: bytes, *, close: bool) -> None:
        """Counts the tokens of what was read and not passed on, and of what still comes; half-closes the stream before."""
        async with upstream:
            transport = upstream.connection and upstream.connection.transport
            if close and transport is not None and not transport.is_closing():
                transport.write_eof()
            with contextlib.suppress(aiohttp.ClientError, TimeoutError):
                async with asyncio.timeout(_REST_SECONDS):
                    async for data in upstream.content.iter_any():
                        read += data
            read += upstream.content._read_nowait(-1)
        self.lost += sum(map(_tokens, read.split(b"\n\n")))

    async def _pass(
        self, request: web.Request, response: web.StreamResponse, data: bytes, fault: Fault | None
    ) -> bool:
        """Passes an event or an answer on with its fault; True if the answer has ended by it."""
        if fault is None:
            await response.write(data)
            return False
        self.injected[fault] += 1
        half = data[: len(data) // 2]
        if fault == "duplicate event":
            await response.write(data + data)
        elif fault == "slow drip":
            for start in range(0, len(data), _DRIP_BYTES):
                await response.write(data[start : start + _DRIP_BYTES])
                await asyncio.sleep(0)
        elif fault == "garbage":
            await response.write(b"data: {]\xff\x00\n\n")
            await response.write(data)
        elif fault == "stall":
            await response.write(half)
            await asyncio.sleep(_STALL_SECONDS)
        elif fault == "half event":
            await response.write(half)
            return True
        elif request.transport is not None:
            if fault == "FIN in mid-event":
                await response.write(half)
                request.transport.close()
            else:
                _reset(request.transport)
            return True
        return False


def _reset(transport: asyncio.Transport) -> None:
    """Ends a connection with RST instead of FIN."""
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def _tokens(event: bytes) -> int:
    """The tokens that an event of a stream brings."""
    choices = _decoded(event.removeprefix(b"data:")).get("choices", ())
    return sum(len(choice.get("token_ids") or ()) for choice in choices)


def _decoded(data: bytes) -> dict[str, Any]:
    """Nothing where it is no JSON, as at the end of a stream."""
    try:
        message: dict[str, Any] = json.loads(data)
    except ValueError:
        return {}
    return message

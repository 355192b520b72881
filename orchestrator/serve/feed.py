"""The questions that run, as a feed of their journal entries for displays that only look.

A subscriber first gets what the runs have been so far, then each entry as it is recorded. The runs never wait for it: one
that reads too slowly is cut off, and gets the whole again when it comes back.
"""

import asyncio
import contextlib
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import msgspec
from aiohttp import web

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.journal.encoding import VERSION, entry_encoder
from orchestrator.report.report import Report
from orchestrator.report.snapshot import snapshot
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.serve.admission import Admission
from orchestrator.serve.errors import ApiError
from orchestrator.serve.streaming import EventWriter

__all__ = ["Feed"]

_SUBSCRIBERS = 16
_BEHIND = 20_000  # payloads that a subscriber may be behind
_WAITING_SECONDS = 1.0


class Feed:
    """What `/events` sends.

    Args:
        admission: says how many questions wait.
    """

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._running: dict[str, QuestionRun] = {}
        self._subscribers: set[_Subscriber] = set()
        self._encoder = entry_encoder()

    def add_routes(self, app: web.Application) -> None:
        """Adds the feed."""
        app.router.add_get("/events", self._send)

    @contextlib.contextmanager
    def showing(self, runs: Mapping[str, QuestionRun]) -> Iterator[None]:
        """Inside, the runs are in the feed; at the end each one's report is sent."""
        for run_id, run in runs.items():
            self._running[run_id] = run
            run.listener = partial(self._entry, run_id)
        try:
            yield
        finally:
            for run_id in runs:
                del self._running[run_id]

    def over(self, run_id: str, report: Report | None) -> None:
        """Tells that a run is over; None if it never started."""
        if self._subscribers:
            self._publish({"run": run_id, "over": True, "report": report})

    def _entry(self, run_id: str, entry: Event | Command) -> None:
        if self._subscribers:
            self._publish({"run": run_id, "entry": msgspec.Raw(self._encoder.encode(entry))})

    def _publish(self, payload: Mapping[str, Any]) -> None:
        data = msgspec.json.encode(payload)
        for subscriber in self._subscribers:
            subscriber.put(data)

    async def _send(self, request: web.Request) -> web.StreamResponse:
        if len(self._subscribers) >= _SUBSCRIBERS:
            raise ApiError(429, "Too many displays watch this server: close one.", retry_after=10.0)
        subscriber = _Subscriber()
        for payload in self._so_far():  # no entry is recorded meanwhile: nothing is awaited
            subscriber.put(msgspec.json.encode(payload))
        self._subscribers.add(subscriber)
        try:
            writer = await EventWriter.open(request, {})
            waiting = 0
            while not subscriber.is_behind:
                for data in await subscriber.next(_WAITING_SECONDS):
                    await writer.send_encoded(data)
                if waiting != self._admission.waiting:
                    waiting = self._admission.waiting
                    await writer.send({"waiting": waiting})
                await writer.keep_alive()
            return await writer.close()
        finally:
            self._subscribers.discard(subscriber)

    def _so_far(self) -> Iterator[Mapping[str, Any]]:
        yield {"version": VERSION, "running": list(self._running)}
        for run_id, run in self._running.items():
            for event in snapshot(run.view):
                yield {"run": run_id, "entry": msgspec.Raw(self._encoder.encode(event))}


class _Subscriber:
    """The payloads that one display has not got yet."""

    def __init__(self) -> None:
        self.is_behind = False
        self._payloads: list[bytes] = []
        self._came = asyncio.Event()

    def put(self, payload: bytes) -> None:
        """Adds a payload; drops all of them for a display that is too far behind."""
        if len(self._payloads) >= _BEHIND:
            self.is_behind = True
            self._payloads.clear()
        if not self.is_behind:
            self._payloads.append(payload)
        self._came.set()

    async def next(self, seconds: float) -> list[bytes]:
        """The payloads since the last call; waits for the first one at most so long."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._came.wait()
        self._came.clear()
        payloads, self._payloads = self._payloads, []
        return payloads

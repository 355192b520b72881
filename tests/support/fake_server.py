"""An OpenAI-compatible server inside the test process, for the failures that a real one cannot be asked for.

The happy paths are tested against real vLLM; this one only misbehaves on order.
"""

import asyncio
import json
import ssl
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from aiohttp import web

__all__ = ["FakeServer", "Seen", "answer_json", "answer_stream", "event"]

Answer = Callable[[web.Request, dict[str, Any]], Awaitable[web.StreamResponse]]


@dataclass
class Seen:
    """One request that came in."""

    path: str
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class FakeServer:
    """Listens on a free port of 127.0.0.1. `answers` maps a path to what it does; others are 404."""

    answers: dict[str, Answer] = field(default_factory=dict)
    seen: list[Seen] = field(default_factory=list)
    live: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)
    _runner: web.AppRunner | None = None
    url: str = ""
    tls: ssl.SSLContext | None = None

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._handle)
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self.tls)
        await site.start()
        port = self._runner.addresses[0][1]
        self.url = f"{'https' if self.tls else 'http'}://127.0.0.1:{port}/v1"
        self.answers.setdefault("/v1/models", answer_json({"data": [{"id": "m"}]}))
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    def bodies(self, path: str) -> list[dict[str, Any]]:
        return [seen.body for seen in self.seen if seen.path == path]

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        raw = await request.read()
        body = json.loads(raw) if raw else {}
        self.seen.append(Seen(request.path, request.headers, body))
        answer = self.answers.get(request.path, answer_json({"detail": "Not Found"}, 404))
        self._count(+1)
        try:
            return await answer(request, body)
        finally:
            self._count(-1)

    async def until_live(self, requests: int) -> None:
        """Waits until so many requests are being answered: 0 after every client has hung up."""
        async with asyncio.timeout(60):
            while self.live != requests:
                self._changed.clear()
                await self._changed.wait()

    def _count(self, change: int) -> None:
        self.live += change
        self._changed.set()


def answer_json(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """Always the same JSON."""

    async def answer(request: web.Request, sent: dict[str, Any]) -> web.StreamResponse:
        return web.json_response(body, status=status, headers=headers)

    return answer


def answer_stream(*events: bytes, end: str = "done", pause: float = 0.0) -> Answer:
    """A stream of events, then `end`: "done", "close" (no [DONE]), "hang" or "reset"."""

    async def answer(request: web.Request, sent: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for data in (*events, b"data: [DONE]\n\n") if end == "done" else events:
            await response.write(data)
            await asyncio.sleep(pause)
        if end == "hang":
            await asyncio.sleep(3600)
        if end == "reset" and request.transport is not None:
            await asyncio.sleep(0.05)  # a reset discards what the client has not read yet
            request.transport.abort()
        return response

    return answer


def event(
    text: str = "",
    *,
    token_ids: list[int] | None = None,
    generated: int | None = None,
    finish_reason: str | None = None,
    logprobs: dict[str, Any] | None = None,
) -> bytes:
    """One completions event as vLLM writes it."""
    chunk: dict[str, Any] = {
        "id": "cmpl-1",
        "choices": [
            {"index": 0, "text": text, "token_ids": token_ids, "finish_reason": finish_reason}
        ],
    }
    if logprobs is not None:
        chunk["choices"][0]["logprobs"] = logprobs
    if generated is not None:
        chunk["usage"] = {"prompt_tokens": 3, "completion_tokens": generated}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"

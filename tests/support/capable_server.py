"""A server of a reasoner that can do all that vLLM can, with one fault at a time: for tests of what finds faults out."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from tests.support.fake_server import FakeServer, answer_json

__all__ = ["CapableServer"]

_FIRST_ID = 1000
_IDS = 500


@dataclass
class CapableServer:
    """Writes one token after the other, each a function of the first token and of the number of tokens before it.

    Each field that is not at its default is a fault, as servers and routers before them have it.
    """

    pause: float = 0.001
    context: int = 300
    key: str | None = None
    model: str = "m"
    stops: bool = True
    """Closing a stream ends its generation."""
    buffered: bool = False
    """Events are held back until the stream has ended."""
    ids_read: int | None = None
    """Tokens that it reads of each prompt of token ids."""
    token_ids: bool = True
    usage: bool = True
    logprobs: bool = True
    counters: bool = True
    caches: bool = True
    engines: int = 1
    """Each request goes to the next of so many engines, whose caches know only their own requests."""
    forgets: bool = False
    """Token ids behind the prompt's own are not continued."""
    slots: int = 1000
    """Streams that are written at once; others wait."""
    fake: FakeServer = field(default_factory=FakeServer)

    def __post_init__(self) -> None:
        self.generated = self.prompt_tokens = self.cached = self.running = self.finished = 0
        self._slots = asyncio.Semaphore(self.slots)
        self._caches: list[set[tuple[int, ...]]] = [set() for _ in range(self.engines)]
        self._requests = 0
        self._texts: list[str] = []
        self._tasks: set[asyncio.Task[None]] = set()
        card = {"id": self.model, "owned_by": "capable", "max_model_len": self.context}
        self.fake.answers |= {
            "/v1/models": self._behind_key(answer_json({"data": [card]})),
            "/tokenize": self._tokenize,
            "/v1/completions": self._behind_key(self._complete),
            "/health": answer_json({}),
        }
        if self.counters:
            self.fake.answers["/metrics"] = self._metrics

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator[str]:
        """Its address, as long as the block lasts."""
        async with self.fake:
            try:
                yield self.fake.url
            finally:
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    def _behind_key(self, answer: Any) -> Any:
        async def checked(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            if self.key and request.headers.get("Authorization") != f"Bearer {self.key}":
                return web.json_response({"error": {"message": "wrong key"}}, status=401)
            response: web.StreamResponse = await answer(request, body)
            return response

        return checked

    async def _tokenize(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        text = json.dumps(body.get("messages") or body["prompt"])
        if text not in self._texts:
            self._texts.append(text)
        tokens = [self._texts.index(text) + 1, 2, 3]
        return web.json_response({"tokens": tokens, "max_model_len": self.context})

    async def _metrics(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        counts = {
            "vllm:generation_tokens_total": self.generated,
            "vllm:prompt_tokens_total": self.prompt_tokens,
            "vllm:prompt_tokens_cached_total": self.cached,
            "vllm:num_requests_running": self.running,
            "vllm:num_requests_waiting": 0,
            'vllm:request_success_total{finished_reason="length"}': self.finished,
        }
        return web.Response(text="".join(f"{name} {value}\n" for name, value in counts.items()))

    async def _complete(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        ids = tuple(body["prompt"])
        self.prompt_tokens += len(ids)
        self.cached += self._find_cached(ids)
        if not body.get("stream"):
            choice = {"text": "42}", "finish_reason": "stop"}
            usage = {"prompt_tokens": len(ids), "completion_tokens": 2}
            return web.json_response({"choices": [choice], "usage": usage})
        events: asyncio.Queue[bytes | None] = asyncio.Queue()
        writing = asyncio.create_task(self._write(ids, body, events))
        self._tasks.add(writing)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        held = []
        try:
            with contextlib.suppress(ConnectionError):
                while (event := await events.get()) is not None:
                    if self.buffered:
                        held.append(event)
                    else:
                        await response.write(event)
                await response.write(b"".join([*held, b"data: [DONE]\n\n"]))
        finally:
            if self.stops:
                writing.cancel()
        return response

    async def _write(
        self, ids: tuple[int, ...], body: dict[str, Any], events: asyncio.Queue[bytes | None]
    ) -> None:
        async with self._slots:
            self.running += 1
            try:
                limit = min(body["max_tokens"], self.context - len(ids))
                for number in range(1, limit + 1):
                    self.generated += 1
                    events.put_nowait(self._event(ids, number, body, last=number == limit))
                    await asyncio.sleep(self.pause)
                self.finished += 1
            finally:
                self.running -= 1
        events.put_nowait(None)

    def _event(
        self, ids: tuple[int, ...], number: int, body: dict[str, Any], *, last: bool
    ) -> bytes:
        at = number if self.forgets else len(ids) + number
        token = _FIRST_ID + (ids[0] * 7 + at) % _IDS
        choice: dict[str, Any] = {"text": f" {token}", "finish_reason": "length" if last else None}
        if self.token_ids:
            choice["token_ids"] = [token]
        if self.logprobs and body.get("logprobs"):
            top = {f"token_id:{token + other}": -0.1 for other in range(body["logprobs"])}
            choice["logprobs"] = {
                "tokens": [f"token_id:{token}"],
                "token_logprobs": [-0.1],
                "top_logprobs": [top],
            }
        event: dict[str, Any] = {"choices": [{"index": 0, **choice}]}
        if self.usage:
            read = len(ids) if self.ids_read is None else self.ids_read
            event["usage"] = {"prompt_tokens": read, "completion_tokens": number}
        return b"data: " + json.dumps(event).encode() + b"\n\n"

    def _find_cached(self, ids: tuple[int, ...]) -> int:
        """Tokens that the engine of this request has read or written before, if it keeps them."""
        cache = self._caches[self._requests % self.engines]
        self._requests += 1
        known = len(ids) - 1 if self.caches and ids[:1] in cache and len(ids) > 3 else 0
        cache.add(ids[:1])
        return known

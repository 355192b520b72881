"""An OpenAI-compatible server that streams recorded traces as vLLM would, for load tests without a GPU.

It tokenises chats, streams completions with token ids and continuous usage, continues from token ids, counts the tokens
it generates, and fails on demand. Every stream of a question sends another of its traces. A client sees nothing that
vLLM would not send.
"""

import asyncio
import contextlib
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from typing import Any, Literal

import msgspec
import numpy as np
from aiohttp import web

from bench.data.recorded import RecordedQuestion
from bench.mock_server.tokens import (
    MOST_TOKENS,
    MOST_TRACES,
    TokenPosition,
    position_of,
    prompt_ids,
    token_id,
    token_text,
)
from bench.replay.server import ServerModel
from orchestrator.errors import DatasetError

__all__ = ["Faults", "ReplayServer", "serve_recording"]

MODEL = "replay"


class Faults(msgspec.Struct, frozen=True, kw_only=True):
    """The probability per request of each fault: a reset or a stall in mid-stream, or an answer 503."""

    reset: float = 0.0
    stall: float = 0.0
    busy: float = 0.0


class ReplayServer:
    """The server's routes and counters; `live` is the number of open streams.

    Raises:
        DatasetError: a question has more traces, or a trace more tokens, than ids can tell apart.
    """

    def __init__(
        self,
        questions: Sequence[RecordedQuestion],
        *,
        model: ServerModel | None = None,
        speed: float = 1.0,
        faults: Faults | None = None,
        seed: int = 0,
    ) -> None:
        for question in questions:
            longest = max((trace.tokens for trace in question.traces), default=0)
            if len(question.traces) > MOST_TRACES or longest > MOST_TOKENS:
                raise DatasetError(
                    f"Question '{question.id}' has {len(question.traces):,} traces of up to {longest:,} tokens; serve at "
                    f"most {MOST_TRACES:,} traces of {MOST_TOKENS:,} tokens."
                )
        self.live = 0
        self.generated_tokens = 0
        self.prompt_tokens = 0
        self._questions = questions
        self._numbers = {question.question: n for n, question in enumerate(questions)}
        self._model = model or ServerModel()
        self._speed = speed
        self._faults = faults or Faults()
        self._rng = np.random.default_rng(seed)
        self._orders = [self._rng.permutation(len(question.traces)) for question in questions]
        self._streamed: Counter[int] = Counter()

    def app(self) -> web.Application:
        """The application to serve."""
        app = web.Application(client_max_size=1 << 28)
        app.router.add_get("/health", self._health)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/version", self._version)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_post("/tokenize", self._tokenize)
        app.router.add_post("/v1/completions", self._completions)
        return app

    async def _health(self, _request: web.Request) -> web.Response:
        return web.Response()

    async def _models(self, _request: web.Request) -> web.Response:
        card = {"id": MODEL, "object": "model", "owned_by": "replay", "max_model_len": MOST_TOKENS}
        return web.json_response({"object": "list", "data": [card]})

    async def _version(self, _request: web.Request) -> web.Response:
        return web.json_response({"version": "1"})

    async def _metrics(self, _request: web.Request) -> web.Response:
        counts = {
            "vllm:generation_tokens_total": self.generated_tokens,
            "vllm:prompt_tokens_total": self.prompt_tokens,
            "vllm:num_requests_running": self.live,
        }
        lines = [f'{name}{{engine="0"}} {value}' for name, value in counts.items()]
        return web.Response(text="\n".join(lines) + "\n")

    async def _tokenize(self, request: web.Request) -> web.Response:
        body = await request.json()
        text = body["messages"][-1]["content"] if "messages" in body else body["prompt"]
        number = self._number_of(text)
        return web.json_response({"tokens": prompt_ids(number), "max_model_len": MOST_TOKENS})

    def _number_of(self, text: str) -> int:
        """The question that the text asks, with or without a prompt around it; their number for any other text."""
        if text in self._numbers:
            return self._numbers[text]
        inside = [question for question in self._numbers if question in text]
        return self._numbers[max(inside, key=len)] if inside else len(self._questions)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        if not body.get("stream"):
            message = "a recording has no further text and can only be streamed"
            return web.json_response({"error": message}, status=400)
        probe = body.get("prompt") == prompt_ids(len(self._questions))
        faults = Faults() if probe else self._faults  # capabilities are found without faults
        if self._rng.random() < faults.busy:
            return web.json_response({"error": "busy"}, status=503, headers={"Retry-After": "0"})
        try:
            start = self._start(body["prompt"])
        except (ValueError, TypeError, KeyError) as error:
            return web.json_response({"error": f"not in this recording: {error}"}, status=400)
        self.prompt_tokens += len(body["prompt"])
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        self.live += 1
        try:
            await self._stream(request, response, start, body, faults)
        finally:
            self.live -= 1
        return response

    def _start(self, ids: list[int]) -> TokenPosition:
        """The first token to send: the one after the ids, or the first of the question's next trace."""
        position = position_of(ids)
        if isinstance(position, TokenPosition):
            asked = position.question if position.question < len(self._questions) else 0
            return TokenPosition(asked, position.trace, position.token + 1)
        if position >= len(self._questions):  # a probe of the capabilities: it uses up no trace
            return TokenPosition(0, 0, 0)
        order = self._orders[position]
        trace = order[self._streamed[position] % len(order)]
        self._streamed[position] += 1
        return TokenPosition(position, int(trace), 0)

    async def _stream(
        self,
        request: web.Request,
        response: web.StreamResponse,
        start: TokenPosition,
        body: dict[str, Any],
        faults: Faults,
    ) -> None:
        recorded = self._questions[start.question].traces[start.trace]
        end = min(recorded.tokens, start.token + (body.get("max_tokens") or recorded.tokens))
        failing, how = self._draw_fault(start.token, end, faults)
        await self._wait(self._model.first_token_seconds)
        for token in range(start.token, end):
            if token == failing:
                await _break(request, how)
                return
            await self._wait(self._model.step(self.live))
            self.generated_tokens += 1
            event = _event(token_text(recorded, token), [token_id(start._replace(token=token))])
            event["usage"] = {
                "prompt_tokens": len(body["prompt"]),
                "completion_tokens": token + 1 - start.token,
            }
            await _write(response, event)
        reason = "stop" if end == recorded.tokens else "length"
        await _write(response, _event("", [], reason))
        await response.write(b"data: [DONE]\n\n")

    def _draw_fault(
        self, start: int, end: int, faults: Faults
    ) -> tuple[int, Literal["reset", "stall"]]:
        """The token before which the stream fails (-1 if it does not), and how."""
        chance = self._rng.random()
        if end <= start or chance >= faults.reset + faults.stall:
            return -1, "reset"
        token = int(self._rng.integers(start, end))
        return token, "reset" if chance < faults.reset else "stall"

    async def _wait(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self._speed)


def _event(text: str, ids: list[int], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "text": text, "token_ids": ids, "finish_reason": finish_reason}
    return {"id": "cmpl-replay", "object": "text_completion", "choices": [choice]}


async def _write(response: web.StreamResponse, event: dict[str, Any]) -> None:
    await response.write(b"data: " + json.dumps(event).encode() + b"\n\n")


async def _break(request: web.Request, how: Literal["reset", "stall"]) -> None:
    if how == "stall":
        await asyncio.sleep(3600)
    if request.transport is not None:
        request.transport.abort()


@contextlib.asynccontextmanager
async def serve_recording(
    server: ReplayServer, *, host: str = "127.0.0.1", port: int = 0
) -> AsyncIterator[str]:
    """The server's address with /v1, as long as the block lasts. Port 0 takes a free one."""
    runner = web.AppRunner(server.app(), handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        yield f"http://{host}:{bound}/v1"
    finally:
        await runner.cleanup()

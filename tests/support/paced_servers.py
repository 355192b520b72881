"""A reasoner and a judge that work as they should, at a speed that the test sets: for tests of a running run.

The text of a trace names its answer ("toward 26"). Each word is a token whose id encodes the trace and the position,
so that a stream can be resumed. The judge calls two segments identical if they name the same answer.

`python -m tests.support.paced_servers [SECONDS_PER_TOKEN]` prints the addresses of both and serves until Ctrl-C.
"""

import asyncio
import contextlib
import re
import sys
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from aiohttp import web

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from tests.support.fake_server import FakeServer, answer_json, event

_PROMPT = 3
_SPAN = 10_000  # ids of one trace


@dataclass
class PacedServers:
    """Two servers; trace n answers `answers[n % len]` after `words` words, one every `pause` seconds."""

    answers: Sequence[str] = ("26", "26", "26", "38")
    words: int = 60
    pause: float = 0.0
    reasoner: FakeServer = field(default_factory=FakeServer)
    judge: FakeServer = field(default_factory=FakeServer)

    def __post_init__(self) -> None:
        self._traces = count()
        self._texts: list[str] = []
        models = answer_json({"data": [{"id": "paced", "max_model_len": 5000}]})
        for server in (self.reasoner, self.judge):
            server.answers |= {"/v1/models": models, "/tokenize": self._tokenize}
        self.reasoner.answers["/v1/completions"] = self._complete
        self.judge.answers["/generative_scoring"] = self._score

    @contextlib.asynccontextmanager
    async def serving(self) -> AsyncIterator["PacedServers"]:
        async with self.reasoner, self.judge:
            yield self

    def script(self, trace: int) -> list[str]:
        """The words of a trace, the last one with the answer."""
        answer = self.answers[trace % len(self.answers)]
        words = [("so", "maybe", "wait", f"toward {answer}")[n % 4] for n in range(self.words)]
        return [*(f"{word} " for word in words), f"\\boxed{{{answer}}}"]

    async def _tokenize(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if "messages" in body:
            tokens = list(range(1, _PROMPT + 1))
        else:
            if body["prompt"] not in self._texts:
                self._texts.append(body["prompt"])
            tokens = [self._texts.index(body["prompt"])]
        return web.json_response({"tokens": tokens, "count": len(tokens), "max_model_len": 5000})

    async def _complete(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            return self._force(body["prompt"])
        generated = body["prompt"][_PROMPT:]
        probe = body.get("max_tokens") == PROBE_TOKENS
        if generated:
            trace, position = divmod(generated[-1], _SPAN)
            trace, position = trace - 1, position + 1
        else:
            trace, position = (0 if probe else next(self._traces)), 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        words = self.script(trace)
        for number, word in enumerate(words[position : position + 1 if probe else None], start=1):
            at = position + number - 1
            last = at == len(words) - 1 or probe
            ids = [(trace + 1) * _SPAN + at]
            await response.write(
                event(word, token_ids=ids, generated=number, finish_reason="stop" if last else None)
            )
            await asyncio.sleep(self.pause)
        await response.write(b"data: [DONE]\n\n")
        return response

    def _force(self, ids: list[int]) -> web.StreamResponse:
        """The answer of a trace, behind an ending of one token that opens a box."""
        answer = self.answers[(ids[-2] // _SPAN - 1) % len(self.answers)]
        logprobs = {"tokens": [answer, "} so"], "token_logprobs": [-0.25, -0.5]}
        cached = {"cached_tokens": len(ids) - 1}
        usage = {"prompt_tokens": len(ids), "completion_tokens": 2, "prompt_tokens_details": cached}
        choice = {"text": f"{answer}}} so", "logprobs": logprobs, "finish_reason": "stop"}
        return web.json_response({"choices": [choice], "usage": usage})

    async def _score(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        query = self._toward(body["query"])
        scores = [
            {"index": n, "score": 0.9 if self._toward(item) == query else 0.1}
            for n, item in enumerate(body["items"])
        ]
        return web.json_response({"data": scores, "usage": {"prompt_tokens": 10 * len(scores)}})

    def _toward(self, tokens: list[int]) -> str:
        found = re.findall(r"(?:toward|So the answer is) (\d+)", self._texts[tokens[0]])
        return found[-1] if found else ""


async def _serve(pause: float) -> None:
    async with PacedServers(pause=pause, words=200).serving() as servers:
        sys.stdout.write(f"{servers.reasoner.url} {servers.judge.url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(float(sys.argv[1]) if len(sys.argv) > 1 else 0.05))

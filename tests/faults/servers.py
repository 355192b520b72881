"""A reasoner and a judge that count what they write: each token by its trace and its place in it."""

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from tests.support.fake_server import answer_json, event
from tests.support.paced_servers import PacedServers

__all__ = ["FORCED_TOKENS", "PROMPT_TOKENS", "SPAN", "CountingServers"]

PROMPT_TOKENS = 3
FORCED_TOKENS = 2
"""Of each forced answer."""

SPAN = 10_000
"""Ids of one trace; the first id of trace n is (n + 1) * SPAN."""


@dataclass
class CountingServers(PacedServers):
    """`written` has how often each token was written, by its id; `probed` the tokens of forced answers.

    Those of the question at the start, what the server can do, are on no bill and not counted.
    """

    written: Counter[int] = field(default_factory=Counter)
    probed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        self.reasoner.answers["/health"] = answer_json({})

    @property
    def generated(self) -> int:
        """All tokens that the reasoner has written."""
        return self.written.total() + self.probed

    def answer_of(self, token_id: int) -> str:
        """In which answer the trace of this token ends."""
        return self.answers[(token_id // SPAN - 1) % len(self.answers)]

    def _force(self, ids: list[int]) -> web.StreamResponse:
        self.probed += FORCED_TOKENS
        return super()._force(ids)

    async def _complete(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if not body.get("stream"):
            return self._force(body["prompt"])
        generated, limit = body["prompt"][PROMPT_TOKENS:], body.get("max_tokens", SPAN)
        if generated:
            trace, position = divmod(generated[-1] + 1 - SPAN, SPAN)
        else:
            trace, position = next(self._traces), 0
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        words = self.script(trace)
        for number, word in enumerate(words[position : position + limit], start=1):
            at = position + number - 1
            token = (trace + 1) * SPAN + at
            reason = "stop" if at == len(words) - 1 else "length" if number == limit else None
            await response.write(
                event(
                    word,
                    token_ids=[token],
                    generated=number,
                    finish_reason=reason,
                    logprobs=_logprobs(token, body.get("logprobs")),
                )
            )
            if limit != PROBE_TOKENS:
                self.written[token] += 1
            await asyncio.sleep(self.pause)
        await response.write(b"data: [DONE]\n\n")
        return response


def _logprobs(token: int, top: int | None) -> dict[str, Any] | None:
    if not top:
        return None
    likely = {f"token_id:{token + other}": -0.1 - other for other in range(top)}
    return {"tokens": [f"token_id:{token}"], "token_logprobs": [-0.1], "top_logprobs": [likely]}

"""Servers that answer like a judge, and the client that asks them."""

import asyncio
from typing import Any

from aiohttp import web

from orchestrator.client.judge.client import JudgeClient, JudgeScores
from orchestrator.core.judging import JudgeSpec
from orchestrator.settings import JudgeSettings
from tests.support.fake_server import Answer, FakeServer, answer_json

SCORING = "/generative_scoring"
COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
CLASSIFY = "/classify"
LABELS = ("identical", "not identical")

SPEC = JudgeSpec.model_validate(
    {
        "name": "test",
        "model": "m",
        "instruction": "Same answer?",
        "query": "{instruction} {question}\nA: {new}\n",
        "item": "B: {member}",
        "markup_before": "<user>",
        "markup_after": "<judge>",
        "labels": LABELS,
    }
)


async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """One token a character."""
    assert body["add_special_tokens"] is False
    return web.json_response({"tokens": [ord(c) for c in body["prompt"]], "max_model_len": 1000})


def scoring(*scores: Any) -> Answer:
    """Answers `scores` in turn, as many as there are items; the last one again and again."""
    left = list(scores)

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        data = [
            {"index": index, "score": left.pop(0) if len(left) > 1 else left[0]}
            for index in range(len(body["items"]))
        ]
        tokens = sum(len(body["query"]) + len(item) for item in body["items"])
        usage = {"prompt_tokens": tokens, "completion_tokens": len(data)}
        return web.json_response({"data": data[::-1], "usage": usage})

    return answer


def vllm_like(**answers: Answer) -> FakeServer:
    models = answer_json({"data": [{"id": "m", "max_model_len": 1000}]})
    return FakeServer(
        {"/v1/models": models, "/tokenize": tokenize, SCORING: scoring(0.5), **answers}
    )


def judge(
    server: FakeServer, *, spec: JudgeSpec = SPEC, api_key: str | None = None, **settings: Any
) -> JudgeClient:
    return JudgeClient(JudgeSettings(url=server.url, **settings), spec, api_key)


async def score(client: JudgeClient, *members: str, new: str = "new") -> JudgeScores:
    return await client.score(question="Q", new=new, members=members)


def completion(tops: dict[str, float]) -> Answer:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    choice = {"index": 0, "text": "x", "logprobs": {"top_logprobs": [tops]}}
    return answer_json({"id": "c", "model": "m", "choices": [choice], "usage": usage})


def chat(tops: dict[str, float]) -> Answer:
    listed = [{"token": token, "logprob": p, "bytes": None} for token, p in tops.items()]
    content = [{"token": "x", "logprob": 0.0, "bytes": None, "top_logprobs": listed}]
    message = {"role": "assistant", "content": "x"}
    choice = {"index": 0, "message": message, "logprobs": {"content": content}}
    return answer_json({"id": "c", "model": "m", "choices": [choice]})


async def never(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Does not answer."""
    await asyncio.sleep(3600)
    raise AssertionError("nobody waits so long")

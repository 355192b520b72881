"""Servers that answer like a reasoner, and the client that asks them."""

import json
from contextlib import aclosing
from typing import Any

from aiohttp import web

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.client import Chunk, Prompt, ReasonerClient
from orchestrator.core.prompting import user_message
from orchestrator.settings import EndpointSettings, SamplingSettings
from tests.support.fake_server import Answer, FakeServer, answer_json, answer_stream, event

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
KEY = "sk-very-secret"
ONE_TOKEN = answer_stream(event("a", token_ids=[5], generated=1, finish_reason="length"))
TOKENIZE = answer_json({"tokens": [1, 2, 3], "count": 3, "max_model_len": 100})
PROMPT = Prompt((1, 2, 3), user_message("Hi"))


def vllm_like(**answers: Answer) -> FakeServer:
    """A server with all that vLLM gives."""
    return FakeServer(
        {
            "/tokenize": TOKENIZE,
            "/version": answer_json({"version": "0.32.0"}),
            COMPLETIONS: ONE_TOKEN,
            **answers,
        }
    )


def client(
    server: FakeServer,
    *,
    endpoint: EndpointSettings | None = None,
    sampling: SamplingSettings | None = None,
    api_key: str | None = None,
) -> ReasonerClient:
    return ReasonerClient(
        server.url, endpoint or EndpointSettings(), sampling or SamplingSettings(), api_key
    )


async def probe(server: FakeServer, **settings: Any) -> ServerCapabilities:
    async with client(server, **settings) as reasoner:
        return await reasoner.probe()


async def chunks(
    reasoner: ReasonerClient, prompt: Prompt = PROMPT, *ids: int, into: list[Chunk] | None = None
) -> list[Chunk]:
    found = [] if into is None else into
    async with aclosing(reasoner.stream(prompt, ids, generated_tokens=len(ids))) as stream:
        async for chunk in stream:
            found.append(chunk)
    return found


def only_plain_fields(path_answer: Answer, refused: tuple[str, ...]) -> Answer:
    """`path_answer`, unless the request has one of the `refused` fields."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if unknown := [name for name in refused if name in json.dumps(body)]:
            return web.json_response({"error": {"message": f"unknown {unknown}"}}, status=400)
        return await path_answer(request, body)

    return answer

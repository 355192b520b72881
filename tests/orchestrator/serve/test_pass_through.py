"""Requests that cannot be voted on: the reasoner's own reply, with its errors in this server's form."""

import asyncio
import json
from typing import Any

import aiohttp
import openai
import pytest

from tests.orchestrator.serve.test_app import QUESTION, client, counted, serving, until_waiting
from tests.support.fake_server import answer_json, answer_stream
from tests.support.paced_servers import PacedServers

TOOLS: list[Any] = [{"type": "function", "function": {"name": "f", "parameters": {}}}]
CHAT = "/v1/chat/completions"


def chunk(text: str, finish_reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": {"content": text}, "finish_reason": finish_reason}
    return b"data: " + json.dumps({"id": "x", "choices": [choice]}).encode() + b"\n\n"


async def test_a_request_with_tools_passes_through_and_says_so() -> None:
    servers = PacedServers(words=2)
    said = {"id": "x", "choices": [{"index": 0, "message": {"role": "assistant", "content": "hi"}}]}
    async with serving(servers) as url, client(url) as ai:
        servers.reasoner.answers[CHAT] = answer_json(said)
        reply = await ai.chat.completions.create(
            model="paced:cons@4",
            messages=QUESTION,
            tools=TOOLS,
            logprobs=True,
            top_logprobs=5,
            extra_body={"deepprune": {}, "truncate_prompt_tokens": 100},
        )
        with pytest.raises(openai.NotFoundError):
            await ai.chat.completions.create(model="other", messages=QUESTION, tools=TOOLS)
        page = await counted(url)
    assert reply.choices[0].message.content == "hi"
    assert (reply.model_extra or {})["deepprune"] == {"passed_through": "tools"}
    sent = servers.reasoner.bodies(CHAT)[-1]
    assert (sent["model"], sent["top_logprobs"], sent["truncate_prompt_tokens"]) == (
        "paced",
        5,
        100,
    )
    assert "deepprune" not in sent
    assert 'deepprune_passed_through_total{reason="tools"} 1.0' in page


@pytest.mark.parametrize("end", ["done", "close"])
async def test_a_stream_passes_through_as_it_comes(end: str) -> None:
    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        servers.reasoner.answers[CHAT] = answer_stream(chunk("a"), chunk("b", "stop"), end=end)
        stream = await ai.chat.completions.create(
            model="paced", messages=QUESTION, tools=TOOLS, stream=True
        )
        chunks = [each async for each in stream]
    assert "".join(each.choices[0].delta.content or "" for each in chunks) == "ab"
    assert [(each.model_extra or {}).get("deepprune") for each in chunks] == [
        {"passed_through": "tools"},
        None,
    ]


@pytest.mark.parametrize(
    ("events", "end", "sentence"),
    [
        ((chunk("a"),), "close", "broke off the answer"),
        ((chunk("a"),), "reset", "broke off the answer"),
        ((chunk("a"), b"data: {\n\n"), "done", "cannot be read"),
        ((chunk("a"), b"data: [1]\n\n"), "done", "cannot be read"),
        (
            (chunk("a"), b'data: {"error": {"message": "no key sk-secret-1234"}}\n\n'),
            "close",
            r"no key \*\*\*",
        ),
        ((b'{"error": "sk-secret-1234 is wrong"}',), "close", r"\*\*\* is wrong"),
    ],
)
async def test_a_stream_that_fails_ends_with_an_error_that_shows_no_key(
    events: tuple[bytes, ...], end: str, sentence: str
) -> None:
    servers = PacedServers(words=2)
    async with serving(servers, key="sk-secret-1234") as url, client(url) as ai:
        servers.reasoner.answers[CHAT] = answer_stream(*events, end=end)
        stream = await ai.chat.completions.create(
            model="paced", messages=QUESTION, tools=TOOLS, stream=True
        )
        with pytest.raises(openai.APIError, match=sentence) as failed:
            _ = [each async for each in stream]
    assert "sk-secret" not in str(failed.value)


@pytest.mark.parametrize(
    ("body", "status", "ours"),
    [
        ({"error": "sk-secret-1234 is wrong"}, 200, 502),
        ({"error": "sk-secret-1234 is wrong"}, 401, 502),
        ({"error": "sk-secret-1234 is wrong"}, 400, 400),
        ([1], 200, 502),
    ],
)
async def test_a_refusal_has_a_status_of_ours(body: Any, status: int, ours: int) -> None:
    servers = PacedServers(words=2)
    async with serving(servers, key="sk-secret-1234") as url, client(url) as ai:
        servers.reasoner.answers[CHAT] = answer_json(body, status)
        with pytest.raises(openai.APIStatusError) as failed:
            await ai.chat.completions.create(model="paced", messages=QUESTION, tools=TOOLS)
    assert failed.value.status_code == ours
    assert "sk-secret" not in str(failed.value)


async def test_such_requests_take_places_of_questions() -> None:
    servers = PacedServers(words=2)
    async with serving(servers, questions_at_once=1, queue=1) as url, client(url) as ai:
        servers.reasoner.answers[CHAT] = answer_stream(chunk("a"), end="hang")
        ask = ai.chat.completions.create
        asked = [
            asyncio.create_task(ask(model="paced", messages=QUESTION, tools=TOOLS, stream=True))
            for _ in range(2)
        ]
        await servers.reasoner.until_live(1)
        await until_waiting(url, 1)
        with pytest.raises(openai.RateLimitError):
            await ask(model="paced", messages=QUESTION, tools=TOOLS)
        for task in asked:
            task.cancel()
        await asyncio.gather(*asked, return_exceptions=True)


async def test_a_page_of_an_allowed_site_may_read_streams_too() -> None:
    servers = PacedServers(words=2)
    asked = {"Origin": "https://chat.example", "Authorization": "Bearer k"}
    body = {"model": "paced", "messages": QUESTION, "stream": True}
    async with (
        serving(servers, allowed_origins=["https://chat.example"]) as url,
        aiohttp.ClientSession(headers=asked) as page,
    ):
        servers.reasoner.answers[CHAT] = answer_stream(chunk("a", "stop"))
        for sent in (body, {**body, "tools": TOOLS}):
            async with page.post(f"{url}/chat/completions", json=sent) as reply:
                assert reply.headers["Access-Control-Allow-Origin"] == "https://chat.example"
        async with page.get(url.removesuffix("/v1") + "/events") as feed:
            assert feed.headers["Access-Control-Allow-Origin"] == "https://chat.example"

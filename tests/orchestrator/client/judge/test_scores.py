"""Scores of a judge that works, and what is sent for them."""

import math
from typing import Any

import pytest
from aiohttp import web

from tests.orchestrator.client.judge.fake_judge import (
    CHAT,
    COMPLETIONS,
    SCORING,
    chat,
    completion,
    judge,
    score,
    scoring,
    vllm_like,
)
from tests.support.fake_server import FakeServer


async def test_many_members_are_one_request_in_their_order() -> None:
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        server.answers[SCORING] = scoring(0.1, 0.2, 0.3)
        found = await score(client, "a", "b", "c")
        body = server.bodies(SCORING)[-1]
    query = [ord(c) for c in "<user>Same answer? Q\nA: new\n"]
    assert found.probabilities == (0.1, 0.2, 0.3)
    assert (found.requests, found.completion_tokens) == (1, 3)
    assert found.prompt_tokens == 3 * (len(query) + len("B: a<judge>"))
    assert body["query"] == query
    assert body["items"][2] == [ord(c) for c in "B: c<judge>"]
    assert body["label_token_ids"] == [ord("i"), ord("n")]
    assert body["item_first"] is False


async def test_more_members_than_a_batch_are_several_requests() -> None:
    async with vllm_like() as server, judge(server, batch=2, concurrency=1) as client:
        await client.probe()
        server.answers[SCORING] = scoring(0.1, 0.2, 0.3, 0.4, 0.5)
        found = await score(client, *"abcde")
    assert found.probabilities == (0.1, 0.2, 0.3, 0.4, 0.5)
    assert found.requests == 3


async def test_without_members_nothing_is_asked() -> None:
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        before = len(server.seen)
        assert (await score(client)).probabilities == ()
        assert len(server.seen) == before


async def test_each_text_is_tokenised_once() -> None:
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        await score(client, "a", "b")
        before = len(server.bodies("/tokenize"))
        await score(client, "a", "b")
        assert len(server.bodies("/tokenize")) == before


async def test_completions_sends_the_same_ids_and_reads_the_labels_by_id() -> None:
    tops = {"token_id:105": math.log(0.6), "token_id:110": math.log(0.2), "token_id:7": 0.0}
    answers = {COMPLETIONS: completion(tops)}
    async with vllm_like(**answers) as server, judge(server, dialect="completions") as client:
        await client.probe()
        found = await score(client, "a", "b")
        body = server.bodies(COMPLETIONS)[-1]
    assert found.probabilities == pytest.approx((0.75, 0.75))
    assert (found.requests, found.prompt_tokens, found.cached_prompt_tokens) == (2, 18, 8)
    assert body["prompt"] == [ord(c) for c in "<user>Same answer? Q\nA: new\nB: b<judge>"]
    assert body["logprob_token_ids"] == [ord("i"), ord("n")]
    assert (body["max_tokens"], body["temperature"]) == (1, 0.0)


async def test_a_server_without_vllms_fields_is_sent_text_and_its_labels_are_read_by_text() -> None:
    async def strict(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if body["logprobs"] > 5 or "return_tokens_as_token_ids" in body:
            return web.json_response({"error": {"message": "unknown field"}}, status=400)
        tops = {" ident": math.log(0.6), "not": math.log(0.2), "the": 0.0}
        return await completion(tops)(request, body)

    async with FakeServer({COMPLETIONS: strict}) as server, judge(server) as client:
        assert (await client.probe()).label_token_ids is None
        found = await score(client, "a")
        assert server.bodies(COMPLETIONS)[-1]["prompt"].endswith("B: a<judge>")
    assert found.probabilities == pytest.approx((0.75,))


async def test_chat_is_sent_the_user_message_without_markup() -> None:
    tops = {"identical": math.log(0.3), "not": math.log(0.1)}
    async with FakeServer({CHAT: chat(tops)}) as server, judge(server) as client:
        await client.probe()
        found = await score(client, "a")
        body = server.bodies(CHAT)[-1]
    assert found.probabilities == pytest.approx((0.75,))
    assert body["messages"] == [{"role": "user", "content": "Same answer? Q\nA: new\nB: a"}]
    assert body["top_logprobs"] == 20

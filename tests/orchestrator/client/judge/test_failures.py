"""Judges that fail: retried, unknown, or not asked for a while."""

import asyncio
import math
from typing import Any

import pytest
from aiohttp import web

from orchestrator.errors import (
    JudgeError,
    PairTooLong,
)
from tests.orchestrator.client.judge.fake_judge import (
    CHAT,
    COMPLETIONS,
    SCORING,
    SPEC,
    chat,
    completion,
    judge,
    never,
    score,
    scoring,
    vllm_like,
)
from tests.support.fake_server import Answer, answer_json


def failing_then(count: int, failure: Answer, success: Answer) -> Answer:
    left = [failure] * count

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await (left.pop() if left else success)(request, body)

    return answer


@pytest.mark.parametrize(
    "failure",
    [
        answer_json({}, 503, {"Retry-After": "0.01"}),
        answer_json({}, 429, {"Retry-After": "0"}),
        answer_json({}, 500),
    ],
)
async def test_a_failed_request_is_tried_again(failure: Answer) -> None:
    async with vllm_like() as server, judge(server, max_attempts=2) as client:
        await client.probe()
        server.answers[SCORING] = failing_then(1, failure, scoring(0.9))
        assert (await score(client, "a")).probabilities == (0.9,)


async def test_after_the_last_attempt_the_verdict_is_unknown() -> None:
    async with vllm_like() as server, judge(server, max_attempts=2) as client:
        await client.probe()
        before = len(server.bodies(SCORING))
        server.answers[SCORING] = answer_json({"error": "out of memory"}, 500)
        with pytest.raises(JudgeError, match="out of memory"):
            await score(client, "a")
        assert len(server.bodies(SCORING)) == before + 2


async def test_a_judge_that_does_not_answer_in_time_is_unknown() -> None:
    settings: dict[str, Any] = {"max_attempts": 1, "timeout_seconds": 1.0}
    async with vllm_like() as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[SCORING] = never
        with pytest.raises(JudgeError, match=r"\b1 seconds"):
            await score(client, "a")


@pytest.mark.parametrize(
    "answer",
    [
        answer_json({"data": [{"index": 0, "score": 1.5}]}),
        answer_json({"data": [{"index": 0, "score": -0.1}]}),
        answer_json({"data": [{"index": 0, "score": "high"}]}),
        answer_json({"data": [{"index": 0, "score": math.nan}]}),
        answer_json({"data": []}),
        answer_json({"data": [{"index": 1, "score": 0.5}]}),
        answer_json({"data": [{"index": 0, "score": 0.5}, {"index": 0, "score": 0.5}]}),
        answer_json({"verdict": "yes"}),
    ],
)
async def test_an_answer_that_is_no_score_is_unknown(answer: Answer) -> None:
    async with vllm_like() as server, judge(server, max_attempts=1) as client:
        await client.probe()
        server.answers[SCORING] = answer
        with pytest.raises(JudgeError):
            await score(client, "a")


@pytest.mark.parametrize("wrong", [-1, 10**19, 1e19, "9", None, [3]])
async def test_counts_that_cannot_be_are_not_on_the_bill(wrong: Any) -> None:
    usage = {"prompt_tokens": wrong, "completion_tokens": wrong, "prompt_tokens_details": wrong}
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        server.answers[SCORING] = answer_json(
            {"data": [{"index": 0, "score": 0.5}], "usage": usage}
        )
        found = await score(client, "a")
    query = SPEC.query.format(instruction=SPEC.instruction, question="Q", new="new")
    sent = len(SPEC.markup_before + query) + len("B: a<judge>")
    assert (found.prompt_tokens, found.completion_tokens) == (sent, 0)


@pytest.mark.parametrize("tops", [{}, {"the": -0.1}, {"token_id:7": -0.1}, {"identical not": 0.0}])
async def test_labels_that_are_not_among_the_likely_tokens_are_unknown(
    tops: dict[str, float],
) -> None:
    good = completion({"identical": -0.1})
    answers = {COMPLETIONS: good}
    async with vllm_like(**answers) as server, judge(server, dialect="completions") as client:
        await client.probe()
        server.answers[COMPLETIONS] = completion(tops)
        with pytest.raises(JudgeError, match="identical / not identical"):
            await score(client, "a")


@pytest.mark.parametrize("answer", [{}, [], {"choices": 3}, {"choices": []}, {"choices": [{}]}])
@pytest.mark.parametrize(("dialect", "path"), [("completions", COMPLETIONS), ("chat", CHAT)])
async def test_an_answer_of_another_form_is_unknown(dialect: str, path: str, answer: Any) -> None:
    good = {COMPLETIONS: completion({"identical": -0.1}), CHAT: chat({"identical": -0.1})}
    settings: dict[str, Any] = {"dialect": dialect, "max_attempts": 1}
    async with vllm_like(**good) as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[path] = answer_json(answer)
        with pytest.raises(JudgeError):
            await score(client, "a")


async def test_one_failed_batch_makes_the_whole_call_unknown() -> None:
    settings: dict[str, Any] = {"batch": 1, "max_attempts": 1}
    async with vllm_like() as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[SCORING] = failing_then(1, answer_json({}, 500), scoring(0.5))
        with pytest.raises(JudgeError):
            await score(client, "a", "b", "c")


async def test_a_pair_that_the_server_would_truncate_is_unknown_and_does_not_open_the_breaker() -> (
    None
):
    async with vllm_like() as server, judge(server, breaker_failures=1) as client:
        await client.probe()
        with pytest.raises(PairTooLong, match="max_segment_chars"):
            await score(client, "a" * 1000)
        assert (await score(client, "a")).probabilities == (0.5,)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        (400, "This model's maximum context length is 8 tokens. However, your prompt has 9."),
        (400, "The decoder prompt (length 9) is longer than the maximum model length of 8."),
        (400, "the request exceeds the available context size, try increasing it"),
        (422, "Input is too long for this model"),
        (413, "Payload"),
    ],
)
async def test_a_refusal_for_length_is_told_from_other_refusals(status: int, message: str) -> None:
    async with vllm_like() as server, judge(server, max_attempts=1) as client:
        await client.probe()
        server.answers[SCORING] = answer_json({"error": {"message": message}}, status)
        with pytest.raises(PairTooLong):
            await score(client, "a")
        server.answers[SCORING] = answer_json({"error": {"message": "bad label ids"}}, 400)
        with pytest.raises(JudgeError) as other:
            await score(client, "a")
    assert not isinstance(other.value, PairTooLong)


async def test_after_failures_in_a_row_the_judge_is_not_asked_for_a_while() -> None:
    settings: dict[str, Any] = {"max_attempts": 1, "breaker_failures": 2, "breaker_seconds": 1.0}
    async with vllm_like() as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[SCORING] = answer_json({}, 500)
        for _ in range(2):
            with pytest.raises(JudgeError):
                await score(client, "a")
        asked = len(server.bodies(SCORING))
        with pytest.raises(JudgeError, match="not asked"):
            await score(client, "a")
        assert len(server.bodies(SCORING)) == asked
        server.answers[SCORING] = scoring(0.7)
        await asyncio.sleep(1.1)
        assert (await score(client, "a")).probabilities == (0.7,)


async def test_a_cancelled_call_closes_its_connection_and_does_not_count_as_a_failure() -> None:
    async with vllm_like() as server, judge(server, breaker_failures=1) as client:
        await client.probe()
        server.answers[SCORING] = never
        call = asyncio.create_task(score(client, "a"))
        await server.until_live(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until_live(0)
        server.answers[SCORING] = scoring(0.7)
        assert (await score(client, "a")).probabilities == (0.7,)


async def test_requests_at_once_are_bounded_by_the_setting() -> None:
    most = 0

    async with vllm_like() as server, judge(server, batch=1, concurrency=3) as client:
        await client.probe()

        async def slow(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            nonlocal most
            most = max(most, server.live)
            await asyncio.sleep(0.02)
            return await scoring(0.5)(request, body)

        await score(client, *map(str, range(12)))  # all texts are tokenised from here on
        server.answers[SCORING] = slow
        await score(client, *map(str, range(12)))
    assert most == 3

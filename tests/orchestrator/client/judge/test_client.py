"""The judge's client against a server that answers, refuses and fails on order."""

import asyncio
import math
from collections.abc import Sequence
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.judge.client import JudgeClient, JudgeScores
from orchestrator.client.judge.logprobs import label_logprobs
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    JudgeError,
    StreamBroken,
)
from orchestrator.settings import JudgeSettings
from tests.support.fake_server import FakeServer, answer_json, answer_stream

SCORING = "/generative_scoring"
COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
CLASSIFY = "/classify"
LABELS = ("identical", "not identical")

SPEC = JudgeSpec(
    name="test",
    model="m",
    instruction="Same answer?",
    query="{instruction} {question}\nA: {new}\n",
    item="B: {member}",
    markup_before="<user>",
    markup_after="<judge>",
    labels=LABELS,
)


async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """One token a character."""
    assert body["add_special_tokens"] is False
    return web.json_response({"tokens": [ord(c) for c in body["prompt"]], "max_model_len": 1000})


def scoring(*scores: Any) -> Any:
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


def vllm_like(**answers: Any) -> FakeServer:
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


def completion(tops: dict[str, float]) -> Any:
    usage = {
        "prompt_tokens": 9,
        "completion_tokens": 1,
        "total_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 4},
    }
    choice = {"index": 0, "text": "x", "logprobs": {"top_logprobs": [tops]}}
    return answer_json({"id": "c", "model": "m", "choices": [choice], "usage": usage})


def chat(tops: dict[str, float]) -> Any:
    listed = [{"token": token, "logprob": p, "bytes": None} for token, p in tops.items()]
    content = [{"token": "x", "logprob": 0.0, "bytes": None, "top_logprobs": listed}]
    message = {"role": "assistant", "content": "x"}
    choice = {"index": 0, "message": message, "logprobs": {"content": content}}
    return answer_json({"id": "c", "model": "m", "choices": [choice]})


# --- probe ----------------------------------------------------------------------------------------


async def test_generative_scoring_is_taken_where_it_is_served() -> None:
    async with vllm_like() as server, judge(server) as client:
        found = await client.probe()
    assert found.dialect == "generative_scoring"
    assert found.label_token_ids == (ord("i"), ord("n"))
    assert found.model == "m"
    assert not found.metrics


async def test_completions_is_next_then_chat() -> None:
    tops = {"token_id:105": -0.1, "token_id:110": -2.3}
    missing = {SCORING: answer_json({}, 404)}
    async with vllm_like(**missing, **{COMPLETIONS: completion(tops)}) as server:
        async with judge(server) as client:
            assert (await client.probe()).dialect == "completions"
        del server.answers[COMPLETIONS]
        server.answers[CHAT] = chat({"ident": -0.1, "not": -2.3})
        async with judge(server) as client:
            assert (await client.probe()).dialect == "chat"


async def test_a_judge_that_thinks_first_is_told_not_to() -> None:
    async def thinks(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        quiet = body.get("chat_template_kwargs") == {"enable_thinking": False}
        tops = {"ident": -0.1, "not": -2.3} if quiet else {"<think>": 0.0}
        return await chat(tops)(request, body)

    async with FakeServer({CHAT: thinks}) as server, judge(server) as client:
        assert (await client.probe()).dialect == "chat"
        found = await score(client, "a")
    assert found.probabilities[0] == pytest.approx(0.9, abs=0.01)


async def test_a_judge_that_can_be_asked_in_no_way_says_why() -> None:
    async with FakeServer() as server, judge(server) as client:
        with pytest.raises(EndpointRejected, match=r"generative_scoring: .*completions: .*chat: "):
            await client.probe()


async def test_a_dialect_that_is_set_is_not_replaced() -> None:
    async with vllm_like() as server, judge(server, dialect="chat") as client:
        with pytest.raises(EndpointRejected, match="chat: "):
            await client.probe()
        assert not server.bodies(SCORING)


async def test_labels_with_the_same_first_token_are_refused() -> None:
    spec = SPEC.model_copy(update={"labels": ("same", "similar")})
    async with vllm_like() as server, judge(server, spec=spec) as client:
        with pytest.raises(ConfigError, match="same token"):
            await client.probe()


async def test_no_address_is_a_sentence_with_the_flag() -> None:
    with pytest.raises(ConfigError, match="--judge-endpoint"):
        JudgeClient(JudgeSettings(), SPEC, None)


async def test_nobody_at_the_address_is_unreachable(unused_tcp_port: int) -> None:
    settings = JudgeSettings(url=f"http://127.0.0.1:{unused_tcp_port}")
    async with JudgeClient(settings, SPEC, None) as client:
        with pytest.raises(EndpointUnreachable):
            await client.probe()


async def test_a_judge_that_hangs_up_is_broken() -> None:
    reset = answer_stream(end="reset")
    async with vllm_like(**{"/v1/models": reset}) as server, judge(server) as client:
        with pytest.raises(StreamBroken):
            await client.probe()


async def test_a_judge_that_never_answers_is_broken_after_the_timeout() -> None:
    hang = answer_stream(end="hang")
    answers = {"/v1/models": hang}
    async with vllm_like(**answers) as server, judge(server, timeout_seconds=0.3) as client:
        with pytest.raises(StreamBroken, match="in time"):
            await client.probe()


async def test_scores_need_a_probe_first() -> None:
    async with vllm_like() as server, judge(server) as client:
        with pytest.raises(RuntimeError, match="probe"):
            await score(client, "a")


async def test_a_busy_judge_is_told_at_once() -> None:
    async with vllm_like(**{SCORING: answer_json({}, 503)}) as server, judge(server) as client:
        with pytest.raises(EndpointBusy):
            await client.probe()


async def test_the_reasoners_key_is_never_shown_to_the_judge(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-reasoner")
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        await score(client, "a")
    assert not any("sk-reasoner" in str(seen.headers) for seen in server.seen)


async def test_a_refused_key_names_the_judges_variable() -> None:
    async with vllm_like(**{"/v1/models": answer_json({}, 401)}) as server, judge(server) as client:
        with pytest.raises(EndpointRejected, match="DEEPPRUNE_JUDGE_API_KEY"):
            await client.probe()


# --- scores ---------------------------------------------------------------------------------------


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


async def test_nobody_to_compare_with_asks_nothing() -> None:
    async with vllm_like() as server, judge(server) as client:
        await client.probe()
        before = len(server.seen)
        assert (await score(client)).probabilities == ()
        assert len(server.seen) == before


async def test_a_text_is_tokenised_once() -> None:
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


async def test_completions_without_vllms_fields_sends_text_and_reads_the_labels_by_text() -> None:
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


async def test_chat_gets_the_users_message_without_markup() -> None:
    tops = {"identical": math.log(0.3), "not": math.log(0.1)}
    async with FakeServer({CHAT: chat(tops)}) as server, judge(server) as client:
        await client.probe()
        found = await score(client, "a")
        body = server.bodies(CHAT)[-1]
    assert found.probabilities == pytest.approx((0.75,))
    assert body["messages"] == [{"role": "user", "content": "Same answer? Q\nA: new\nB: a"}]
    assert body["top_logprobs"] == 20


# --- classifiers ----------------------------------------------------------------------------------

CLASSIFIER = SPEC.model_copy(update={"kind": "classification"})


def classes(*probabilities: float, **fields: Any) -> Any:
    """Two-label answers, last pair first."""
    data = [
        {"index": index, "probs": [p, 1 - p], "label": LABELS[p < 0.5], **fields}
        for index, p in enumerate(probabilities)
    ]
    usage = {"prompt_tokens": 7 * len(data), "completion_tokens": 0}
    return answer_json({"data": data[::-1], "usage": usage})


async def test_a_classifier_is_asked_by_classify_and_tokenises_itself() -> None:
    async with FakeServer({CLASSIFY: classes(0.5)}) as server:
        async with judge(server, spec=CLASSIFIER) as client:
            found = await client.probe()
        assert not server.bodies("/tokenize")
    assert found.dialect == "classify"
    assert found.label_token_ids is None


async def test_a_classifier_reads_each_pair_as_one_text() -> None:
    async with FakeServer({CLASSIFY: classes(0.5)}) as server:
        async with judge(server, spec=CLASSIFIER) as client:
            await client.probe()
            server.answers[CLASSIFY] = classes(0.1, 0.9)
            found = await score(client, "a", "b")
        body = server.bodies(CLASSIFY)[-1]
    start = "<user>Same answer? Q\nA: new\nB: "
    assert body == {"model": "m", "input": [f"{start}a<judge>", f"{start}b<judge>"]}
    assert found.probabilities == (0.1, 0.9)
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (1, 14, 0)


async def test_a_dialect_for_the_other_kind_of_judge_is_refused() -> None:
    async with vllm_like() as server:
        async with judge(server, spec=CLASSIFIER, dialect="chat") as client:
            with pytest.raises(ConfigError, match="set it to auto or classify"):
                await client.probe()
        async with judge(server, dialect="classify") as client:
            with pytest.raises(
                ConfigError, match="auto or generative_scoring or completions or chat"
            ):
                await client.probe()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (classes(0.5, probs=[0.9]), "gives 1 probabilities"),
        (classes(0.5, probs=[0.2, 0.3, 0.5]), "gives 3 probabilities"),
        (classes(0.9, label="not identical"), "another order"),
        (classes(0.5, probs=[2.0, -1.0]), "no probability"),
        (classes(0.5, 0.5), "2 scores to 1 pairs"),
    ],
)
async def test_a_classifier_that_is_no_judge_is_refused(answer: Any, sentence: str) -> None:
    async with FakeServer({CLASSIFY: answer}) as server, judge(server, spec=CLASSIFIER) as client:
        with pytest.raises(EndpointRejected, match=sentence):
            await client.probe()


async def test_labels_of_other_names_are_taken_in_their_order() -> None:
    answer = classes(0.9, label="LABEL_0")
    async with FakeServer({CLASSIFY: answer}) as server, judge(server, spec=CLASSIFIER) as client:
        await client.probe()
        assert (await score(client, "a")).probabilities == (0.9,)


async def test_a_pair_that_is_too_long_for_a_classifier_is_unknown_with_the_remedy() -> None:
    refused = answer_json({"error": {"message": "maximum context length is 512 tokens."}}, 400)
    async with (
        FakeServer({CLASSIFY: classes(0.5)}) as server,
        judge(server, spec=CLASSIFIER) as client,
    ):
        await client.probe()
        server.answers[CLASSIFY] = refused
        with pytest.raises(
            JudgeError, match="512 tokens; if a pair is too long, lower max_segment"
        ):
            await score(client, "a")
        server.answers[CLASSIFY] = answer_json({}, 404)
        with pytest.raises(JudgeError, match="model name"):
            await score(client, "a")


# --- what can go wrong ----------------------------------------------------------------------------


def failing_then(count: int, failure: Any, success: Any) -> Any:
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
async def test_a_failed_request_is_tried_again(failure: Any) -> None:
    async with vllm_like() as server, judge(server, max_attempts=2) as client:
        await client.probe()
        server.answers[SCORING] = failing_then(1, failure, scoring(0.9))
        assert (await score(client, "a")).probabilities == (0.9,)


async def test_the_last_failed_attempt_is_unknown() -> None:
    async with vllm_like() as server, judge(server, max_attempts=2) as client:
        await client.probe()
        before = len(server.bodies(SCORING))
        server.answers[SCORING] = answer_json({"error": "out of memory"}, 500)
        with pytest.raises(JudgeError, match="out of memory"):
            await score(client, "a")
        assert len(server.bodies(SCORING)) == before + 2


async def test_a_judge_that_does_not_answer_in_time_is_unknown() -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    settings = {"max_attempts": 1, "timeout_seconds": 0.5}
    async with vllm_like() as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[SCORING] = silent
        with pytest.raises(JudgeError, match=r"0\.5 seconds"):
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
async def test_garbage_is_unknown(answer: Any) -> None:
    async with vllm_like() as server, judge(server, max_attempts=1) as client:
        await client.probe()
        server.answers[SCORING] = answer
        with pytest.raises(JudgeError):
            await score(client, "a")


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
    settings = {"dialect": dialect, "max_attempts": 1}
    async with vllm_like(**good) as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[path] = answer_json(answer)
        with pytest.raises(JudgeError):
            await score(client, "a")


async def test_one_failed_batch_makes_the_whole_call_unknown() -> None:
    settings = {"batch": 1, "max_attempts": 1}
    async with vllm_like() as server, judge(server, **settings) as client:
        await client.probe()
        server.answers[SCORING] = failing_then(1, answer_json({}, 500), scoring(0.5))
        with pytest.raises(JudgeError):
            await score(client, "a", "b", "c")


async def test_a_pair_that_the_server_would_cut_is_unknown_and_no_fault_of_the_server() -> None:
    async with vllm_like() as server, judge(server, breaker_failures=1) as client:
        await client.probe()
        with pytest.raises(JudgeError, match="max_segment_chars"):
            await score(client, "a" * 1000)
        assert (await score(client, "a")).probabilities == (0.5,)


async def test_after_failures_in_a_row_the_judge_is_left_alone_for_a_while() -> None:
    settings = {"max_attempts": 1, "breaker_failures": 2, "breaker_seconds": 0.3}
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
        await asyncio.sleep(0.35)
        assert (await score(client, "a")).probabilities == (0.7,)


async def test_a_cancelled_call_hangs_up_and_counts_as_no_failure() -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async with vllm_like() as server, judge(server, breaker_failures=1) as client:
        await client.probe()
        server.answers[SCORING] = silent
        call = asyncio.create_task(score(client, "a"))
        await server.until_live(1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await server.until_live(0)
        server.answers[SCORING] = scoring(0.7)
        assert (await score(client, "a")).probabilities == (0.7,)


async def test_no_more_requests_at_once_than_set() -> None:
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


# --- reading the labels ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tops", "expected"),
    [
        ({"ident": -1.0, " not": -2.0, "The": -0.1}, (-1.0, -2.0)),
        ({"i": -3.0, "identical": -1.0, "n": -2.0}, (-1.0, -2.0)),
        ({"identical": -1.0}, (-1.0, -math.inf)),
        ({"": -1.0, " ": -1.0, "Not": -1.0}, (-math.inf, -math.inf)),
        ({"not": -9999.0, "identical": -0.5}, (-0.5, -math.inf)),
    ],
)
def test_labels_are_found_by_the_text_of_their_first_token(
    tops: dict[str, float], expected: Sequence[float]
) -> None:
    assert label_logprobs(tops, LABELS, None) == expected


def test_ids_count_before_texts() -> None:
    tops = {"token_id:1": -1.0, "identical": -0.1}
    assert label_logprobs(tops, LABELS, (1, 2)) == (-1.0, -math.inf)

"""The protocol that the probe finds for a judge, and the judges that it refuses."""

from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.judge.client import JudgeClient
from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from orchestrator.settings import JudgeSettings
from tests.orchestrator.client.judge.fake_judge import (
    CHAT,
    COMPLETIONS,
    SCORING,
    SPEC,
    chat,
    completion,
    judge,
    score,
    scoring,
    vllm_like,
)
from tests.support.fake_server import FakeServer, answer_json, answer_stream


async def test_generative_scoring_is_used_where_it_is_served() -> None:
    async with vllm_like() as server, judge(server) as client:
        found = await client.probe()
    assert found.dialect == "generative_scoring"
    assert found.label_token_ids == (ord("i"), ord("n"))
    assert found.model == "m"
    assert not found.metrics


async def test_without_generative_scoring_completions_is_tried_and_then_chat() -> None:
    tops = {"token_id:105": -0.1, "token_id:110": -2.3}
    missing = {SCORING: answer_json({}, 404)}
    async with vllm_like(**missing, **{COMPLETIONS: completion(tops)}) as server:
        async with judge(server) as client:
            assert (await client.probe()).dialect == "completions"
        del server.answers[COMPLETIONS]
        server.answers[CHAT] = chat({"ident": -0.1, "not": -2.3})
        async with judge(server) as client:
            assert (await client.probe()).dialect == "chat"


async def test_a_tokenize_that_finds_no_tokens_is_not_believed() -> None:
    """llama.cpp reads other fields, and answers 200 with an empty list."""
    tops = {" ident": -0.1, " not": -2.3}
    empty = answer_json({"tokens": []})
    async with vllm_like(**{"/tokenize": empty, COMPLETIONS: completion(tops)}) as server:
        async with judge(server) as client:
            found = await client.probe()
            assert (await score(client, "a")).probabilities[0] == pytest.approx(0.9, abs=0.01)
        assert isinstance(server.bodies(COMPLETIONS)[-1]["prompt"], str)
    assert (found.dialect, found.label_token_ids) == ("completions", None)


async def test_a_judge_that_thinks_first_is_told_not_to() -> None:
    async def thinks(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        quiet = body.get("chat_template_kwargs") == {"enable_thinking": False}
        tops = {"ident": -0.1, "not": -2.3} if quiet else {"<think>": 0.0}
        return await chat(tops)(request, body)

    async with FakeServer({CHAT: thinks}) as server, judge(server) as client:
        assert (await client.probe()).dialect == "chat"
        found = await score(client, "a")
    assert found.probabilities[0] == pytest.approx(0.9, abs=0.01)


async def test_a_judge_that_no_protocol_can_ask_is_refused_with_every_reason() -> None:
    async with FakeServer() as server, judge(server) as client:
        with pytest.raises(EndpointRejected, match=r"generative_scoring: .*completions: .*chat: "):
            await client.probe()


async def test_a_dialect_that_is_set_is_the_only_one_tried() -> None:
    async with vllm_like() as server, judge(server, dialect="chat") as client:
        with pytest.raises(EndpointRejected, match="chat: "):
            await client.probe()
        assert not server.bodies(SCORING)


async def test_a_judge_without_a_chat_template_is_refused_with_what_to_do() -> None:
    said = "default chat template is no longer allowed, so you must provide a chat template"
    refusal = answer_json({"error": {"message": said}}, 400)
    async with vllm_like(**{CHAT: refusal}) as server, judge(server, dialect="chat") as client:
        with pytest.raises(EndpointRejected, match="to completions, or serve it with one"):
            await client.probe()


async def test_labels_with_the_same_first_token_are_refused() -> None:
    spec = SPEC.model_copy(update={"labels": ("same", "similar")})
    async with vllm_like() as server, judge(server, spec=spec) as client:
        with pytest.raises(ConfigError, match="same token"):
            await client.probe()


async def test_a_missing_address_is_an_error_that_names_the_flag() -> None:
    with pytest.raises(ConfigError, match="--judge-endpoint"):
        JudgeClient(JudgeSettings(), SPEC, None)


async def test_an_address_without_a_server_is_unreachable(unused_tcp_port: int) -> None:
    settings = JudgeSettings(url=f"http://127.0.0.1:{unused_tcp_port}")
    async with JudgeClient(settings, SPEC, None) as client:
        with pytest.raises(EndpointUnreachable):
            await client.probe()


async def test_a_judge_that_breaks_the_connection_is_a_broken_stream() -> None:
    reset = answer_stream(end="reset")
    async with vllm_like(**{"/v1/models": reset}) as server, judge(server) as client:
        with pytest.raises(StreamBroken):
            await client.probe()


async def test_a_judge_that_never_answers_is_a_broken_stream_after_the_timeout() -> None:
    hang = answer_stream(end="hang")
    answers = {"/v1/models": hang}
    async with vllm_like(**answers) as server, judge(server, timeout_seconds=0.3) as client:
        with pytest.raises(StreamBroken, match=r"did not answer within 0\.3 seconds"):
            await client.probe()


async def test_scores_need_a_probe_first() -> None:
    async with vllm_like() as server, judge(server) as client:
        with pytest.raises(RuntimeError, match="probe"):
            await score(client, "a")


async def test_a_busy_judge_is_reported_without_trying_other_protocols() -> None:
    async with vllm_like(**{SCORING: answer_json({}, 503)}) as server, judge(server) as client:
        with pytest.raises(EndpointBusy):
            await client.probe()


async def test_the_reasoners_key_is_never_sent_to_the_judge(
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


async def test_an_answer_that_breaks_off_once_is_no_dialect_that_is_lacking() -> None:
    whole = scoring(0.5)
    async with vllm_like() as server, judge(server) as client:

        async def breaks_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            if len(server.bodies(SCORING)) == 1 and request.transport is not None:
                request.transport.abort()
            return await whole(request, body)

        server.answers[SCORING] = breaks_once
        found = await client.probe()
    assert found.dialect == "generative_scoring"

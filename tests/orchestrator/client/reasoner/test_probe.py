"""What the probe finds out about a reasoner, and the reasoners that it refuses."""

import logging
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.errors import (
    ConfigError,
    EndpointRejected,
    EndpointUnreachable,
)
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.settings import EndpointSettings, SamplingSettings, Settings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    CHAT,
    COMPLETIONS,
    KEY,
    ONE_TOKEN,
    PROMPT,
    chunks,
    client,
    only_plain_fields,
    probe,
    vllm_like,
)
from tests.support.engine import Engine
from tests.support.fake_server import FakeServer, answer_json, answer_stream, event


async def test_vllms_capabilities_are_found() -> None:
    async with vllm_like() as server:
        found = await probe(server)
    assert found == ServerCapabilities(
        endpoint=server.url,
        model="m",
        server="unknown server 0.32.0",
        api="completions",
        token_ids=True,
        continuous_usage=True,
        final_usage=True,
        resumable=True,
        metrics=False,
        max_model_len=100,
    )


SURE = {"top_logprobs": [{"token_id:5": -0.5, "token_id:6": -1.5}]}


def with_logprobs(field: str = "logprobs") -> Any:
    """One token, with log-probabilities if the request asks for them."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        logprobs = SURE if field in body else None
        one = event("a", token_ids=[5], generated=1, finish_reason="length", logprobs=logprobs)
        return await answer_stream(one)(request, body)

    return answer


async def test_logprobs_are_asked_for_only_where_the_run_needs_them() -> None:
    async with vllm_like(**{COMPLETIONS: with_logprobs()}) as server, client(server) as reasoner:
        assert not (await reasoner.probe()).confidences
        assert "logprobs" not in server.bodies(COMPLETIONS)[-1]
        assert (await reasoner.probe(2)).confidences
        stream = reasoner.stream(PROMPT, generated_tokens=0, top_logprobs=2)
        async with aclosing(stream):
            assert [chunk.confidences async for chunk in stream] == [(1.0,)]
        body = server.bodies(COMPLETIONS)[-1]
        assert (body["logprobs"], body["return_tokens_as_token_ids"]) == (2, True)
        (chunk,) = await chunks(reasoner)
        assert chunk.confidences == ()


async def test_a_chat_is_asked_for_logprobs_in_openais_form() -> None:
    answers = {CHAT: with_logprobs()}
    async with vllm_like(**answers) as server:
        async with client(server, endpoint=EndpointSettings(api="chat")) as reasoner:
            assert (await reasoner.probe(7)).confidences
        body = server.bodies(CHAT)[-1]
        assert (body["logprobs"], body["top_logprobs"]) == (True, 7)
        assert "return_tokens_as_token_ids" not in body


async def test_a_server_that_refuses_or_ignores_logprobs_gives_no_confidences() -> None:
    for answer in (ONE_TOKEN, only_plain_fields(ONE_TOKEN, ('"logprobs"',))):
        async with vllm_like(**{COMPLETIONS: answer}) as server, client(server) as reasoner:
            assert not (await reasoner.probe(20)).confidences


async def test_a_run_that_needs_confidences_refuses_a_server_without() -> None:
    settings = {"policy": {"name": "consensus"}, "run": {"keep_confidences": True}}
    async with vllm_like() as server:
        wanted = Settings.model_validate({**settings, "endpoint": {"urls": server.url}})
        with pytest.raises(ConfigError, match=r"no 20 log-probabilities.*--max-logprobs 20"):
            async with open_endpoints(wanted, Keys()):
                pass


async def test_a_chat_server_without_vllms_fields_is_used_as_it_is() -> None:
    chat = answer_stream(
        b'data: {"choices":[{"delta":{"role":"assistant","content":""}}]}\n\n',
        b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"length"}]}\n\n',
    )
    refused = ("return_token_ids", "stream_options")
    async with FakeServer({CHAT: only_plain_fields(chat, refused)}) as server:
        found = await probe(server)
    assert (found.api, found.token_ids, found.continuous_usage) == ("chat", False, False)
    assert not found.resumable
    assert found.max_model_len is None


async def test_a_server_without_completions_is_asked_through_chat() -> None:
    answers = {COMPLETIONS: answer_json({"detail": "Not Found"}, 404), CHAT: ONE_TOKEN}
    async with vllm_like(**answers) as server:
        assert (await probe(server)).api == "chat"


async def test_usage_is_asked_for_where_only_vllms_fields_are_refused() -> None:
    answers = {COMPLETIONS: only_plain_fields(ONE_TOKEN, ("return_token_ids",))}
    async with vllm_like(**answers) as server:
        await probe(server)
        assert server.bodies(COMPLETIONS)[-1]["stream_options"] == {"include_usage": True}


async def test_completions_cannot_be_forced_on_a_server_that_cannot_render() -> None:
    async with FakeServer() as server:
        with pytest.raises(ConfigError, match=r"endpoint\.api"):
            await probe(server, endpoint=EndpointSettings(api="completions"))


async def test_a_refused_key_names_its_variable_and_is_never_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    refusal = answer_json({"error": {"message": f"Incorrect key {KEY}"}}, 401)
    async with vllm_like(**{"/v1/models": refusal}) as server:
        with pytest.raises(
            EndpointRejected, match=r"Incorrect key \*\*\*.*OPENAI_API_KEY"
        ) as caught:
            await probe(server, api_key=KEY)
        assert server.seen[0].headers["Authorization"] == f"Bearer {KEY}"
        assert KEY not in repr(client(server, api_key=KEY))
    assert KEY not in repr(caught.value)
    assert KEY not in caplog.text


async def test_a_stream_carries_the_key() -> None:
    async with vllm_like() as server:
        await probe(server, api_key=KEY)
    sent = [seen.headers.get("Authorization") for seen in server.seen if seen.path == COMPLETIONS]
    assert sent == [f"Bearer {KEY}"]


async def test_the_engine_behind_a_gateway_is_asked_for_its_counters() -> None:
    async with vllm_like() as gateway, FakeServer({"/metrics": Engine().page}) as engine:
        found = await probe(gateway, endpoint=EndpointSettings(metrics_url=(engine.url,)))
    assert found.metrics
    assert found.endpoint == gateway.url


async def test_an_engine_without_counters_is_refused_where_the_user_names_it() -> None:
    async with vllm_like() as gateway, FakeServer() as engine:
        named = EndpointSettings(metrics_url=(engine.url,))
        with pytest.raises(ConfigError, match=r"/metrics; correct endpoint\.metrics_url"):
            await probe(gateway, endpoint=named)


async def test_an_address_without_a_server_is_unreachable(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/v1"
    async with ReasonerClient(url, EndpointSettings(), SamplingSettings(), None) as reasoner:
        with pytest.raises(EndpointUnreachable, match="check the address"):
            await reasoner.probe()


async def test_a_chat_whose_rendering_breaks_off_once_is_still_sent_as_token_ids() -> None:
    async with vllm_like() as server:
        whole = server.answers["/tokenize"]

        async def breaks_once(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
            if len(server.bodies("/tokenize")) == 1 and request.transport is not None:
                request.transport.abort()
            return await whole(request, body)

        server.answers["/tokenize"] = breaks_once
        assert (await probe(server)).api == "completions"

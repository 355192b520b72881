"""The reasoner's client against a server that misbehaves on order."""

import asyncio
import json
import logging
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.reasoner.client import Chunk, Prompt, ReasonerClient
from orchestrator.errors import (
    ConfigError,
    EndpointBusy,
    EndpointRejected,
    EndpointUnreachable,
    StreamBroken,
)
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.settings import EndpointSettings, SamplingSettings, Settings
from tests.support.fake_server import FakeServer, answer_json, answer_stream, event

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
KEY = "sk-very-secret"
ONE_TOKEN = answer_stream(event("a", token_ids=[5], generated=1, finish_reason="length"))
TOKENIZE = answer_json({"tokens": [1, 2, 3], "count": 3, "max_model_len": 100})
PROMPT = Prompt((1, 2, 3), ({"role": "user", "content": "Hi"},))


def vllm_like(**answers: Any) -> FakeServer:
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


def only_plain_fields(path_answer: Any, refused: tuple[str, ...]) -> Any:
    """`path_answer`, unless the request has one of the `refused` fields."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        if unknown := [name for name in refused if name in json.dumps(body)]:
            return web.json_response({"error": {"message": f"unknown {unknown}"}}, status=400)
        return await path_answer(request, body)

    return answer


# --- probe ----------------------------------------------------------------------------------------


async def test_a_vllm_server_is_recognised_with_all_it_can_do() -> None:
    async with vllm_like() as server:
        found = await probe(server)
    assert found == ServerCapabilities(
        endpoint=server.url,
        model="m",
        server="unknown server 0.32.0",
        api="completions",
        token_ids=True,
        continuous_usage=True,
        resumable=True,
        metrics=False,
        max_model_len=100,
    )


SURE = {"top_logprobs": [{"token_id:5": -0.5, "token_id:6": -1.5}]}


def with_logprobs(field: str = "logprobs") -> Any:
    """One token, with log-probabilities if the request asks for them."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        told = SURE if field in body else None
        one = event("a", token_ids=[5], generated=1, finish_reason="length", logprobs=told)
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


async def test_a_chat_is_asked_for_logprobs_in_its_own_way() -> None:
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


async def test_a_plain_chat_server_is_used_as_it_is() -> None:
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


async def test_a_server_without_completions_is_asked_by_chat() -> None:
    answers = {COMPLETIONS: answer_json({"detail": "Not Found"}, 404), CHAT: ONE_TOKEN}
    async with vllm_like(**answers) as server:
        assert (await probe(server)).api == "chat"


async def test_usage_is_kept_where_only_vllms_fields_are_refused() -> None:
    answers = {COMPLETIONS: only_plain_fields(ONE_TOKEN, ("return_token_ids",))}
    async with vllm_like(**answers) as server:
        await probe(server)
        assert server.bodies(COMPLETIONS)[-1]["stream_options"] == {"include_usage": True}


async def test_completions_cannot_be_forced_on_a_server_that_cannot_render() -> None:
    async with FakeServer() as server:
        with pytest.raises(ConfigError, match=r"endpoint\.api"):
            await probe(server, endpoint=EndpointSettings(api="completions"))


async def test_a_model_that_is_not_served_is_named_with_those_that_are() -> None:
    async with vllm_like() as server:
        with pytest.raises(EndpointRejected, match=r"'other'.*serves: m"):
            await probe(server, endpoint=EndpointSettings(model="other"))


async def test_of_several_models_one_must_be_chosen() -> None:
    models = answer_json({"data": [{"id": "a"}, {"id": "b"}]})
    async with vllm_like(**{"/v1/models": models}) as server:
        with pytest.raises(ConfigError, match=r"a, b.*--model"):
            await probe(server)
        assert (await probe(server, endpoint=EndpointSettings(model="b"))).model == "b"


async def test_a_refused_key_is_told_with_the_remedy_and_never_shown(
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


async def test_nobody_at_the_address_is_unreachable(unused_tcp_port: int) -> None:
    url = f"http://127.0.0.1:{unused_tcp_port}/v1"
    async with ReasonerClient(url, EndpointSettings(), SamplingSettings(), None) as reasoner:
        with pytest.raises(EndpointUnreachable, match="check the address"):
            await reasoner.probe()


async def test_a_web_server_that_is_no_model_server_is_rejected() -> None:
    page = answer_json({"detail": "Not Found"}, 404)
    async with FakeServer({"/v1/models": page}) as server:
        with pytest.raises(EndpointRejected, match="/v1"):
            await probe(server)


async def test_a_web_page_is_no_list_of_models() -> None:
    async def page(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(text="<html>Welcome</html>", content_type="text/html")

    async with FakeServer({"/v1/models": page}) as server:
        with pytest.raises((EndpointRejected, StreamBroken)):
            await probe(server)


@pytest.mark.parametrize("body", [[], {"models": []}, {"data": None}, {"data": [{"name": "m"}]}])
async def test_a_list_in_another_form_names_no_model(body: Any) -> None:
    async with FakeServer({"/v1/models": answer_json(body)}) as server:
        with pytest.raises((EndpointRejected, StreamBroken)):
            await probe(server)


# --- requests -------------------------------------------------------------------------------------


async def test_sends_what_is_set_and_never_a_seed() -> None:
    sampling = SamplingSettings(temperature=0.6, top_k=20, max_tokens=50)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await chunks(reasoner, PROMPT, 7, 8)
        body = server.bodies(COMPLETIONS)[-1]
    assert body == {
        "model": "m",
        "prompt": [1, 2, 3, 7, 8],
        "max_tokens": 48,
        "temperature": 0.6,
        "top_k": 20,
        "stream": True,
        "return_token_ids": True,
        "stream_options": {"include_usage": True, "continuous_usage_stats": True},
    }


@pytest.mark.parametrize(("max_tokens", "sent"), [(None, 97), (1000, 97), (10, 10)])
async def test_a_trace_never_asks_for_more_than_the_context(
    max_tokens: int | None, sent: int
) -> None:
    sampling = SamplingSettings(max_tokens=max_tokens)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await chunks(reasoner)
        assert server.bodies(COMPLETIONS)[-1]["max_tokens"] == sent


async def test_a_trace_at_its_limit_ends_without_a_request() -> None:
    sampling = SamplingSettings(max_tokens=2)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        before = len(server.seen)
        assert await chunks(reasoner, PROMPT, 7, 8) == [Chunk("", (), 0, 5, 0, "length")]
        assert len(server.seen) == before


async def test_a_question_beyond_the_context_is_refused_before_anything_is_spent() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers["/tokenize"] = answer_json({"tokens": [1] * 100, "max_model_len": 100})
        with pytest.raises(EndpointRejected, match="100 tokens"):
            await reasoner.render("long")


async def test_a_question_becomes_the_ids_of_a_rendered_chat() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Why?")
        assert prompt == Prompt((1, 2, 3), ({"role": "user", "content": "Why?"},))
        assert server.bodies("/tokenize")[-1]["add_generation_prompt"] is True


async def test_chat_takes_the_question_as_a_message() -> None:
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Why?")
        assert prompt.token_ids is None
        await chunks(reasoner, prompt)
        body = server.bodies(CHAT)[-1]
        assert body["messages"] == [{"role": "user", "content": "Why?"}]
        assert "max_tokens" not in body


async def test_everything_needs_a_probe_first() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        with pytest.raises(RuntimeError, match="probe"):
            await reasoner.render("Why?")


async def test_a_chat_stream_cannot_be_resumed_by_ids() -> None:
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server) as reasoner:
        await reasoner.probe()
        with pytest.raises(ValueError, match="resumed"):
            await chunks(reasoner, await reasoner.render("Why?"), 7)


async def test_chat_can_be_chosen_where_completions_would_do() -> None:
    async with vllm_like(**{CHAT: ONE_TOKEN}) as server:
        assert (await probe(server, endpoint=EndpointSettings(api="chat"))).api == "chat"
        assert not server.bodies("/tokenize")


async def test_completions_can_be_forced() -> None:
    answers = {COMPLETIONS: answer_json({"error": "no"}, 400), CHAT: ONE_TOKEN}
    async with vllm_like(**answers) as server:
        with pytest.raises(EndpointRejected):
            await probe(server, endpoint=EndpointSettings(api="completions"))


# --- what can happen to a stream ------------------------------------------------------------------


async def broken(events: Any, **endpoint: Any) -> tuple[list[Chunk], StreamBroken]:
    """The chunks of a stream that breaks, and how it broke."""
    found: list[Chunk] = []
    async with (
        vllm_like() as server,
        client(server, endpoint=EndpointSettings(**endpoint)) as reasoner,
    ):
        await reasoner.probe()
        server.answers[COMPLETIONS] = events
        with pytest.raises(StreamBroken) as caught:
            await chunks(reasoner, into=found)
    return found, caught.value


async def test_the_last_chunk_carries_the_finish_reason_with_its_own_tokens() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(
            event("a", token_ids=[5], generated=1),
            event("b", token_ids=[6], generated=2, finish_reason="stop"),
            pause=0.05,
        )
        first, last = await chunks(reasoner)
    assert first == Chunk("a", (5,), 1, 3, 0, None)
    assert last == Chunk("b", (6,), 2, 3, 0, "stop")


@pytest.mark.parametrize("end", ["close", "reset"])
async def test_a_stream_cut_before_its_end_is_broken_after_what_came(end: str) -> None:
    found, error = await broken(answer_stream(event("a", generated=1), end=end))
    assert [chunk.text for chunk in found] == ["a"]
    assert error.boundary == "server"


async def test_a_silent_stream_is_broken_after_the_stall_time() -> None:
    stream = answer_stream(event("a", generated=1), end="hang")
    found, error = await broken(stream, stall_seconds=0.3)
    assert [chunk.text for chunk in found] == ["a"]
    assert "silent for 0.3 seconds" in str(error)


async def test_done_without_a_finish_reason_is_broken() -> None:
    _, error = await broken(answer_stream(event("a", generated=1)))
    assert "finish reason" in str(error)


async def test_nonsense_in_a_stream_is_broken_at_the_decode_boundary() -> None:
    found, error = await broken(answer_stream(event("a", generated=1) + b"data: {oops\n\n"))
    assert [chunk.text for chunk in found] == ["a"]
    assert error.boundary == "decode"


async def test_an_error_in_a_stream_is_told_in_the_servers_words() -> None:
    _, error = await broken(answer_stream(b'data: {"error": {"message": "engine died"}}\n\n'))
    assert "engine died" in str(error)


async def test_a_server_error_is_a_broken_stream() -> None:
    _, error = await broken(answer_json({"error": "boom"}, 500))
    assert "boom" in str(error)


async def test_what_follows_the_finish_reason_cannot_break_the_trace() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(
            event("a", generated=1, finish_reason="stop") + b"data: {oops\n\n"
        )
        assert (await chunks(reasoner))[-1].finish_reason == "stop"


async def test_a_server_that_forgets_to_hang_up_after_the_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.reasoner.client.DRAIN_SECONDS", 0.1)
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        end = event("a", generated=1, finish_reason="stop")
        server.answers[COMPLETIONS] = answer_stream(end, end="hang")
        assert (await chunks(reasoner))[-1].finish_reason == "stop"
        await server.until_live(0)


async def test_a_busy_server_tells_how_long_to_wait() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({}, 429, {"Retry-After": "7"})
        with pytest.raises(EndpointBusy) as caught:
            await chunks(reasoner)
    assert caught.value.retry_after == 7.0


async def test_a_server_that_speaks_no_tls_is_unreachable() -> None:
    async with vllm_like() as server:
        http = HttpClient(
            parse_address(server.url.replace("http:", "https:")),
            api_key=None,
            key_name="KEY",
            connect_seconds=5,
            read_seconds=5,
        )
        await http.open()
        try:
            with pytest.raises(EndpointUnreachable, match="TLS"):
                await http.text(f"{http.address.root}/metrics")
        finally:
            await http.close()


async def test_a_redirect_is_not_followed_but_told() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({}, 307, {"Location": "/elsewhere"})
        with pytest.raises(EndpointRejected, match="redirects"):
            await chunks(reasoner)


async def test_a_refusal_keeps_the_servers_words() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_json({"error": {"message": "no such model"}}, 404)
        with pytest.raises(EndpointRejected, match="no such model") as caught:
            await chunks(reasoner)
    assert caught.value.status == 404


async def test_closing_a_stream_hangs_up_on_the_server() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(event("a", generated=1), end="hang")
        stream = reasoner.stream(PROMPT, generated_tokens=0)
        assert (await anext(stream)).text == "a"
        assert server.live == 1
        await stream.aclose()
        await server.until_live(0)


async def test_cancelling_a_reader_hangs_up_on_the_server() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = answer_stream(event("a", generated=1), end="hang")
        stream = reasoner.stream(PROMPT, generated_tokens=0)
        await anext(stream)
        reading = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.until_live(0)


async def test_cancelling_before_the_first_byte_hangs_up_on_the_server() -> None:
    async def silent(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        server.answers[COMPLETIONS] = silent
        reading = asyncio.create_task(chunks(reasoner))
        await server.until_live(1)
        reading.cancel()
        with pytest.raises(asyncio.CancelledError):
            await reading
        await server.until_live(0)


async def test_many_streams_at_once_all_come_to_their_end() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        ends = await asyncio.gather(*(chunks(reasoner) for _ in range(200)))
    assert {found[-1].finish_reason for found in ends} == {"length"}


async def test_a_server_without_metrics_has_no_counters() -> None:
    async with vllm_like() as server, client(server) as reasoner:
        assert await reasoner.counters() is None

"""What a user adds to requests: fields, arguments of the chat template, headers."""

import pytest

from orchestrator.client.reasoner.probe import PROBE_TOKENS
from orchestrator.core.prompting import Message
from orchestrator.errors import EndpointRejected
from orchestrator.settings import EndpointSettings, SamplingSettings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    CHAT,
    COMPLETIONS,
    ONE_TOKEN,
    PROMPT,
    chunks,
    client,
    vllm_like,
)
from tests.support.fake_server import FakeServer, answer_json

EXTRA = {"repetition_penalty": 1.1, "logit_bias": {"5": -100}}


async def test_further_fields_are_sent_with_every_stream_and_with_the_probe() -> None:
    sampling = SamplingSettings(temperature=0.6, extra=EXTRA)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await chunks(reasoner)
        for body in server.bodies(COMPLETIONS):
            assert {name: body[name] for name in EXTRA} == EXTRA
            assert body["temperature"] == 0.6
            assert "extra" not in body
            assert "chat_template_kwargs" not in body


async def test_our_own_fields_come_before_those_of_the_user() -> None:
    sampling = SamplingSettings.model_construct(extra={"return_token_ids": False})
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        assert server.bodies(COMPLETIONS)[-1]["return_token_ids"] is True


async def test_arguments_of_the_template_go_to_where_the_chat_is_rendered() -> None:
    arguments = {"enable_thinking": False}
    sampling = SamplingSettings(chat_template_kwargs=arguments)
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        await reasoner.render("Why?")
        rendered = [body for body in server.bodies("/tokenize") if "messages" in body]
        assert [body["chat_template_kwargs"] for body in rendered] == [arguments, arguments]
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server, sampling=sampling) as chat:
        await chat.probe()
        assert server.bodies(CHAT)[-1]["chat_template_kwargs"] == arguments


async def test_a_chat_is_rendered_with_all_its_messages() -> None:
    messages = (Message("system", "Be brief."), Message("user", "Why?"))
    async with vllm_like() as server, client(server) as reasoner:
        await reasoner.probe()
        assert (await reasoner.render(messages)).messages == messages
        assert server.bodies("/tokenize")[-1]["messages"] == [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "Why?"},
        ]


@pytest.mark.parametrize(("generated", "least"), [(0, 20), (8, 12), (30, 0)])
async def test_the_least_number_of_tokens_counts_those_that_a_trace_has(
    generated: int, least: int
) -> None:
    sampling = SamplingSettings(extra={"min_tokens": 20})
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        assert (
            server.bodies(COMPLETIONS)[-1]["min_tokens"] == PROBE_TOKENS
        )  # no more than the probe may write
        await chunks(reasoner, PROMPT, *range(generated))
        assert server.bodies(COMPLETIONS)[-1]["min_tokens"] == least


async def test_stop_texts_are_part_of_the_output_so_that_no_text_is_held_back() -> None:
    sampling = SamplingSettings(extra={"stop": ["END"]})
    async with vllm_like() as server, client(server, sampling=sampling) as reasoner:
        await reasoner.probe()
        assert server.bodies(COMPLETIONS)[-1]["include_stop_str_in_output"] is True
    async with FakeServer({CHAT: ONE_TOKEN}) as server, client(server, sampling=sampling) as chat:
        server.answers[CHAT] = ONE_TOKEN
        await chat.probe()
        assert server.bodies(CHAT)[-1]["stop"] == ["END"]


async def test_headers_are_sent_with_every_request_and_may_replace_the_key() -> None:
    endpoint = EndpointSettings(headers={"X-Team": "blue", "authorization": "Basic abc"})
    async with vllm_like() as server:
        async with client(server, endpoint=endpoint, api_key="sk-1") as reasoner:
            await reasoner.probe()
        for seen in server.seen:
            assert seen.headers["X-Team"] == "blue"
            sent = [
                value for name, value in seen.headers.items() if name.lower() == "authorization"
            ]
            assert sent == ["Basic abc"]
            assert "sk-1" not in str(seen.headers)


async def test_no_message_shows_the_words_of_a_header() -> None:
    secret = "gateway-key-12345"
    endpoint = EndpointSettings(headers={"X-Auth": f"Token {secret}", "X-Team": "blue"})
    refusal = answer_json({"error": {"message": f"bad {secret} of team blue"}}, 403)
    async with (
        vllm_like(**{COMPLETIONS: refusal}) as server,
        client(server, endpoint=endpoint) as reasoner,
    ):
        with pytest.raises(EndpointRejected, match=r"bad \*\*\* of team blue"):
            await reasoner.probe()

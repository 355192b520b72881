"""Fields of vLLM's and OpenAI's requests: they reach every trace, or are refused with the reason."""

import json
from typing import Any

import openai
import pytest

from orchestrator.serve.errors import ApiError
from orchestrator.serve.further_fields import further_fields
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.fake_server import answer_json, answer_stream
from tests.support.paced_servers import PacedServers

SENT_ON: dict[str, Any] = {
    "repetition_penalty": 1.1,
    "min_tokens": 2,
    "stop_token_ids": [7],
    "bad_words": ["no"],
    "allowed_token_ids": [1, 2, 3],
    "thinking_token_budget": 512,
    "skip_special_tokens": False,
    "priority": 3,
    "vllm_xargs": {"a": 1},
    "top_n_sigma": 1.5,
    "verbosity": "low",
}
"""Of vLLM, llama.cpp and OpenAI."""


def test_what_is_not_known_is_sent_on_as_it_is() -> None:
    assert further_fields(SENT_ON, api="completions") == ({}, SENT_ON)


def test_what_is_about_the_caller_or_left_out_by_value_is_dropped() -> None:
    idle = {
        "user": "me",
        "metadata": {"a": 1},
        "service_tier": "auto",
        "store": False,
        "tool_choice": "none",
        "parallel_tool_calls": True,
        "echo": False,
        "best_of": 1,
        "top_logprobs": 0,
        "use_beam_search": False,
        "return_token_ids": None,
        "ignore_eos": False,
        "add_generation_prompt": True,
        "modalities": ["text"],
        "chat_template": None,
        "documents": None,
        "reasoning_effort": None,
        "bad_words": None,
    }
    for api in ("chat", "completions"):
        assert further_fields(idle, api=api) == ({}, {})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("best_of", 2),
        ("echo", True),
        ("use_beam_search", True),
        ("prompt_logprobs", 1),
        ("top_logprobs", 5),
        ("return_token_ids", True),
        ("ignore_eos", True),
        ("continue_final_message", True),
        ("add_generation_prompt", False),
        ("include_stop_str_in_output", True),
        ("truncate_prompt_tokens", 100),
        ("chat_template", "{{ messages }}"),
        ("modalities", ["text", "audio"]),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(name: str, value: Any) -> None:
    with pytest.raises(ApiError) as refused:
        further_fields({name: value}, api="chat")
    assert refused.value.status == 400
    assert refused.value.param == name
    assert refused.value.message.startswith(f"{name} cannot hold for a voted answer: ")


def test_effort_is_an_argument_of_the_template_where_the_prompt_is_token_ids() -> None:
    assert further_fields({"reasoning_effort": "high"}, api="completions").template == {
        "reasoning_effort": "high",
        "enable_thinking": True,
    }
    given = {"reasoning_effort": "none", "chat_template_kwargs": {"enable_thinking": True}}
    assert further_fields(given, api="completions").template["enable_thinking"] is True
    assert further_fields(given, api="chat") == (
        {"enable_thinking": True},
        {"reasoning_effort": "none"},
    )


@pytest.mark.parametrize("name", ["documents", "enable_thinking", "reasoning", "thinking"])
def test_a_field_that_only_a_rendering_server_reads_goes_to_such_a_one_alone(name: str) -> None:
    assert further_fields({name: False}, api="chat").extra == {name: False}
    with pytest.raises(ApiError, match="chat_template_kwargs"):
        further_fields({name: False}, api="completions")


async def test_the_fields_of_a_request_reach_its_traces_and_the_rendering_of_its_chat() -> None:
    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        before = len(servers.reasoner.bodies("/v1/completions"))
        for fields in ({**SENT_ON, "chat_template_kwargs": {"enable_thinking": False}}, {}):
            await ai.chat.completions.create(
                model="paced:cons@2",
                messages=QUESTION,
                reasoning_effort="low" if fields else openai.omit,
                extra_body=fields,
            )
    first, _, second, _ = servers.reasoner.bodies("/v1/completions")[before:]
    assert {name: first[name] for name in SENT_ON} == SENT_ON
    assert not any(name in second for name in SENT_ON)
    assert "reasoning_effort" not in first  # the rendered prompt has it
    rendered = [body.get("chat_template_kwargs") for body in _chats(servers)[-2:]]
    assert rendered == [{"reasoning_effort": "low", "enable_thinking": False}, None]


async def test_a_chat_server_gets_the_fields_as_its_own_clients_send_them() -> None:
    servers = PacedServers(words=2)
    said = {"index": 0, "delta": {"content": "\\boxed{7}"}, "finish_reason": "stop"}
    event = b"data: " + json.dumps({"choices": [said]}).encode() + b"\n\n"
    servers.reasoner.answers["/tokenize"] = answer_json({"detail": "Not Found"}, 404)
    servers.reasoner.answers["/v1/chat/completions"] = answer_stream(event)
    async with serving(servers) as url, client(url) as ai:
        reply = await ai.chat.completions.create(
            model="paced:cons@2",
            messages=QUESTION,
            reasoning_effort="high",
            extra_body={"chat_template_kwargs": {"thinking": True}, "min_p": 0.1, "top_k": 20},
        )
    assert reply.choices[0].message.content == "\\boxed{7}"
    for sent in servers.reasoner.bodies("/v1/chat/completions")[-2:]:
        assert sent["reasoning_effort"] == "high"
        assert sent["chat_template_kwargs"] == {"thinking": True}
        assert (sent["min_p"], sent["top_k"]) == (0.1, 20)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"prompt_logprobs": 1}, "prompt_logprobs cannot hold"),
        ({"chat_template_kwargs": "enable_thinking"}, "chat_template_kwargs must be an object"),
        ({"enable_thinking": False}, "put it into chat_template_kwargs"),
        ({"prompt": "x"}, "must not hold prompt"),
    ],
)
async def test_a_refusal_is_the_packages_exception(fields: dict[str, Any], sentence: str) -> None:
    async with serving(PacedServers(words=2)) as url, client(url) as ai:
        with pytest.raises(openai.BadRequestError, match=sentence) as refused:
            await ai.chat.completions.create(model="paced", messages=QUESTION, extra_body=fields)
    assert refused.value.type == "invalid_request_error"


async def test_a_prompt_without_a_chat_takes_the_same_fields() -> None:
    servers = PacedServers(words=2)
    async with serving(servers) as url, client(url) as ai:
        await ai.completions.create(
            model="paced:cons@1",
            prompt="How many?",
            extra_body={"bad_words": ["no"], "chat_template_kwargs": {"enable_thinking": False}},
        )
    assert servers.reasoner.bodies("/v1/completions")[-1]["bad_words"] == ["no"]
    assert _chats(servers)[-1]["chat_template_kwargs"] == {"enable_thinking": False}


def _chats(servers: PacedServers) -> list[dict[str, Any]]:
    """The chats that were rendered."""
    return [body for body in servers.reasoner.bodies("/tokenize") if "messages" in body]

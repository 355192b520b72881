"""The bodies of requests: what is taken, and what is refused in one sentence."""

import json
from typing import Any

import pytest

from orchestrator.serve.errors import ApiError
from orchestrator.serve.request import (
    ChatRequest,
    CompletionRequest,
    parse,
    pass_through_reason,
)

USER = {"role": "user", "content": "How many?"}
PART = {"type": "text", "text": "How many?"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:,"}}


def chat(**fields: Any) -> ChatRequest:
    body = {"model": "m", "messages": [USER], **fields}
    return parse(json.dumps(body).encode(), ChatRequest)


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"{", "The body is no JSON"),
        (b"\xff", "The body is no JSON"),
        (b"[" * 10_000, "The body is no JSON"),
        (b"[]", "The body: Input should be an object"),
        (b'{"model": "m"}', "messages: Field required"),
        (b'{"model": "m", "messages": []}', "messages: List should have at least 1 item"),
        (b'{"model": 1, "messages": [{"role": "user"}]}', "model: Input should be a valid string"),
        (
            b'{"model": "m", "messages": [{"role": "user"}], "n": 0}',
            "n: Input should be greater than or equal to 1",
        ),
        (
            b'{"model": "m", "messages": [{"role": "user"}], "deepprune": {"polcy": "auto"}}',
            "deepprune.polcy: there is no such key; there are policy, traces",
        ),
    ],
)
def test_a_wrong_body_is_refused_in_one_sentence(body: bytes, sentence: str) -> None:
    with pytest.raises(ApiError) as refused:
        parse(body, ChatRequest)
    assert refused.value.status == 400
    assert sentence in refused.value.message
    assert "\n" not in refused.value.message
    assert refused.value.body()["error"]["type"] == "invalid_request_error"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({}, None),
        ({"messages": [{"role": "user", "content": [PART, PART]}]}, None),
        ({"messages": [{"role": "system", "content": "Be brief."}, USER]}, None),
        ({"tools": []}, None),
        ({"response_format": {"type": "text"}}, None),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"functions": [{"name": "f"}]}, "tools"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [{}]}, USER]}, "tools"),
        ({"messages": [USER, {"role": "tool", "content": "3"}]}, "tools"),
        ({"messages": [{"role": "user", "content": [PART, IMAGE]}]}, "content that is not text"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "structured output"),
        ({"guided_json": {"type": "object"}}, "structured output"),
        ({"guided_json": None, "grammar": ""}, None),
        ({"web_search_options": {}}, "tools"),
        ({"tool_choice": "auto", "parallel_tool_calls": True}, None),
        ({"messages": [{"role": "user", "content": "### Task:\nGive a title."}]}, "helper prompt"),
    ],
)
def test_what_cannot_be_voted_on_passes_through(fields: dict[str, Any], reason: str | None) -> None:
    assert pass_through_reason(chat(**fields)) == reason


def test_the_limit_is_the_newer_field_s() -> None:
    assert chat(max_tokens=5).limit == 5
    assert chat(max_tokens=5, max_completion_tokens=7).limit == 7
    assert chat().limit is None


def test_stop_texts_are_one_or_several() -> None:
    assert chat(stop="\n").stops == ("\n",)
    assert chat(stop=["a", "", "b"]).stops == ("a", "b")
    assert chat().stops == ()


def completion(**fields: Any) -> CompletionRequest:
    return parse(
        json.dumps({"model": "m", "prompt": "How many?", **fields}).encode(), CompletionRequest
    )


def test_a_prompt_is_a_question() -> None:
    assert completion().question == "How many?"
    assert completion(prompt=["How many?"]).question == "How many?"


@pytest.mark.parametrize("fields", [{"prompt": ["a", "b"]}, {"echo": True}, {"suffix": "end"}])
def test_fields_of_a_continuation_are_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ApiError):
        _ = completion(**fields).question

from typing import Any

import pytest

from orchestrator.core.prompting import Message, build_chat, parse_messages, user_message

PLAIN = "{question}"
ANSWERED = (Message("user", "1+1?"), Message("assistant", "2"), Message("user", "And 2+2?"))


def test_a_question_is_asked_as_one_message() -> None:
    assert build_chat(user_message("1+1?"), template=PLAIN, system=None) == (
        Message("user", "1+1?"),
    )


def test_the_template_stands_around_the_last_message_only() -> None:
    *before, last = build_chat(ANSWERED, template="{question}\n\nBox it.\n", system=None)
    assert tuple(before) == ANSWERED[:2]
    assert last == Message("user", "And 2+2?\n\nBox it.")


def test_braces_in_a_question_stay_as_they_are() -> None:
    (asked,) = build_chat(user_message("What is {x} in {question}?"), template=PLAIN, system=None)
    assert asked.content == "What is {x} in {question}?"


@pytest.mark.parametrize("system", [None, ""])
def test_without_a_system_text_there_is_no_system_message(system: str | None) -> None:
    assert build_chat(ANSWERED, template=PLAIN, system=system) == ANSWERED


def test_a_system_message_comes_first() -> None:
    assert build_chat(ANSWERED, template=PLAIN, system="Be brief.") == (
        Message("system", "Be brief."),
        *ANSWERED,
    )


@pytest.mark.parametrize("role", ["system", "developer"])
def test_a_chat_keeps_a_system_message_of_its_own(role: str) -> None:
    own = (Message(role, "Be long."), *ANSWERED)
    assert build_chat(own, template=PLAIN, system="Be brief.") == own


def test_messages_are_read_as_the_openai_api_has_them() -> None:
    parts = [{"type": "text", "text": "What is"}, {"type": "text", "text": "this?"}]
    given: list[Any] = [Message("system", "Be brief."), {"role": "user", "content": parts}]
    assert parse_messages(given) == (
        Message("system", "Be brief."),
        Message("user", "What is\nthis?"),
    )


IMAGE = [{"type": "image_url", "image_url": {"url": "http://a/b.png"}}]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ("1+1?", "must be a list"),
        ([], "not empty"),
        (["1+1?"], "an object with role and content"),
        ([{"role": "tool", "content": "x"}], "must be one of system, developer, user, assistant"),
        ([{"content": "x"}], "the role"),
        ([{"role": "user"}], "must be text"),
        ([{"role": "user", "content": IMAGE}], "must be text"),
        ([{"role": "user", "content": ["x"]}], "must be text"),
        ([{"role": "user", "content": " "}], "a text of the user"),
        ([{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}], "of the user"),
    ],
)
def test_what_is_no_chat_is_refused(value: Any, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_messages(value)

"""What is sent for a question: its prompt, a system message, a chat of its own."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import deepprune
from orchestrator.journal.journal import read_journal
from tests.support.paced_servers import PacedServers

QUESTION = "How many?"
BOXED = f"{QUESTION}\n\nPlease reason step by step, and put your final answer within \\boxed{{}}."


@pytest.fixture
async def servers() -> AsyncIterator[PacedServers]:
    async with PacedServers(words=8).serving() as running:
        yield running


async def asked(servers: PacedServers, question: Any, out: Path, **arguments: Any) -> list[Any]:
    """The chat that the server was asked to render last; the journal has the same."""
    url = servers.reasoner.url
    async with deepprune.Client(url, policy="pass1", out=out, **arguments) as client:
        result = await client.ask(question)
    assert result.run_dir is not None
    started = next(iter(read_journal(result.run_dir)))
    assert isinstance(started, deepprune.RunStarted)
    rendered = [
        body["messages"] for body in servers.reasoner.bodies("/tokenize") if "messages" in body
    ]
    assert rendered[-1] == [{"role": m.role, "content": m.content} for m in started.messages]
    return list(rendered[-1])


async def test_a_plain_question_gets_an_instruction_that_makes_its_answer_readable(
    servers: PacedServers, tmp_path: Path
) -> None:
    assert await asked(servers, QUESTION, tmp_path) == [{"role": "user", "content": BOXED}]


async def test_plain_sends_the_question_as_it_is(servers: PacedServers, tmp_path: Path) -> None:
    sent = await asked(servers, QUESTION, tmp_path, prompt="plain", system="Be brief.")
    assert sent == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": QUESTION},
    ]


async def test_a_chat_is_sent_as_it_is(servers: PacedServers, tmp_path: Path) -> None:
    chat = [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "1+1?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": QUESTION},
    ]
    assert await asked(servers, chat, tmp_path, system="Be long.") == chat


async def test_a_chat_that_cannot_be_sent_is_one_sentence(servers: PacedServers) -> None:
    async with deepprune.Client(servers.reasoner.url, policy="pass1") as client:
        with pytest.raises(deepprune.ConfigError, match="the last message must be a text of the"):
            await client.ask(
                [{"role": "user", "content": "1"}, {"role": "assistant", "content": "2"}]
            )


async def test_fields_and_template_arguments_are_recorded_and_headers_are_not(
    servers: PacedServers, tmp_path: Path
) -> None:
    secret = "gateway-key-12345"
    settings = {
        "endpoint.headers": {"X-Auth": secret},
        "sampling": {"extra": {"top_a": 0.2}, "chat_template_kwargs": {"enable_thinking": False}},
    }
    await asked(servers, QUESTION, tmp_path, settings=settings)
    assert all(seen.headers["X-Auth"] == secret for seen in servers.reasoner.seen)
    assert servers.reasoner.bodies("/v1/completions")[-1]["top_a"] == 0.2
    written = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert any("top_a" in text and "enable_thinking" in text for text in written)
    assert not any(secret in text for text in written)

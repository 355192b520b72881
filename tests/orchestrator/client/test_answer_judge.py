"""Answers compared by a chat model that says yes, no or neither."""

from typing import Any

import pytest
from aiohttp import web

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.client.answer_judge import AnswerJudgeClient, JudgedEquality
from orchestrator.errors import ConfigError, EndpointRejected
from orchestrator.runtime.endpoints import Keys, open_endpoints
from orchestrator.settings import AnswerSettings, Settings
from tests.support.fake_server import Answer, FakeServer, answer_json

CHAT = "/v1/chat/completions"
QUESTION = "What did the key do?"


def says(text: str | None) -> Answer:
    usage = {"prompt_tokens": 50, "completion_tokens": 2}
    return answer_json({"choices": [{"message": {"content": text}}], "usage": usage})


def model(*same: tuple[str, str]) -> Answer:
    """Says yes for these pairs, in this order only, and no for all others."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        prompt = body["messages"][0]["content"]
        found = any(f"First answer:\n{a}\n\nSecond answer:\n{b}\n" in prompt for a, b in same)
        return await says("Yes." if found else "No.")(request, body)

    return answer


def client(server: FakeServer) -> AnswerJudgeClient:
    return AnswerJudgeClient(AnswerSettings(equality="llm"), server.url, None)


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "orchestrator.client.retry.wait_random_exponential", lambda **bounds: lambda state: 0.0
    )


async def test_answers_are_the_same_only_if_the_model_says_so_in_both_orders() -> None:
    pairs = [("it opened", "opened"), ("opened", "it opened"), ("opened", "it broke")]
    async with FakeServer({CHAT: model(*pairs)}) as server, client(server) as asked:
        answers = JudgedEquality(asked, QUESTION)
        assert await answers.equal("it opened", "opened")
        assert not await answers.equal("opened", "it broke")
        assert QUESTION in server.bodies(CHAT)[0]["messages"][0]["content"]
    assert (asked.requests, asked.tokens, asked.unknown) == (4, 208, 0)


async def test_a_pair_is_asked_about_once_and_equal_spellings_never() -> None:
    pairs = [("a", "b"), ("b", "a")]
    async with FakeServer({CHAT: model(*pairs)}) as server, client(server) as asked:
        answers = JudgedEquality(asked, QUESTION)
        assert await answers.equal("a", "b")
        assert await answers.equal("b", "a")
        assert await answers.equal("A", " a. ")
        assert not await answers.equal("a", "")
        assert asked.requests == 2


@pytest.mark.parametrize(
    ("text", "same", "unknown"),
    [
        ("yes", True, 0),
        ("**Yes**, both do", True, 0),
        ("<think>No, wait.</think>\nyes", True, 0),
        ("no", False, 0),
        ("yesterday", False, 1),
        ("perhaps", False, 1),
        ("", False, 1),
        (None, False, 1),
    ],
)
async def test_without_a_clear_yes_answers_are_different(
    text: str | None, same: bool, unknown: int
) -> None:
    async with FakeServer({CHAT: says(text)}) as server, client(server) as asked:
        assert await JudgedEquality(asked, QUESTION).equal("a", "b") is same
        assert asked.unknown == unknown


@pytest.mark.parametrize("status", [400, 500, 503])
async def test_a_model_that_fails_leaves_the_pair_unknown_and_different(status: int) -> None:
    async with FakeServer({CHAT: answer_json({}, status)}) as server, client(server) as asked:
        assert not await JudgedEquality(asked, QUESTION).equal("a", "b")
        assert asked.unknown == 1


async def test_answers_are_classified_by_meaning() -> None:
    pairs = [("opened", "it opened"), ("it opened", "opened")]
    async with FakeServer({CHAT: model(*pairs)}) as server, client(server) as asked:
        book = AnswerBook(JudgedEquality(asked, QUESTION))
        found = [await book.classify(answer) for answer in ("opened", "broke", "it opened")]
        assert found == ["opened", "broke", "opened"]
        assert await book.correct_classes("it opened") == ("opened",)


async def test_a_server_that_is_no_chat_model_is_refused_at_the_start() -> None:
    async with FakeServer() as server, client(server) as asked:
        with pytest.raises(EndpointRejected, match="404"):
            await asked.probe()


async def test_without_a_chat_model_the_run_is_refused() -> None:
    event = b'data: {"choices":[{"delta":{"content":"a"},"finish_reason":"length"}]}\n\n'

    async def chat(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return web.Response(body=event, content_type="text/event-stream")

    async with FakeServer({CHAT: chat}) as server:
        tree = {
            "endpoint": {"urls": server.url, "api": "chat"},
            "policy": {"name": "consensus"},
            "answers": {"equality": "llm"},
        }
        with pytest.raises(ConfigError, match=r"answers\.llm_url"):
            async with open_endpoints(Settings.model_validate(tree), Keys()):
                pass

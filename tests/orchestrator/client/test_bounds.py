"""Servers whose answers have no end, or unfold into one: every client reads so much and no more."""

import gzip
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client import http
from orchestrator.client.answer_judge import AnswerJudgeClient
from orchestrator.client.judge.client import JudgeClient
from orchestrator.client.reward import RewardClient
from orchestrator.errors import DeepPruneError, EndpointError
from orchestrator.settings import AnswerSettings, JudgeSettings, RewardSettings
from tests.orchestrator.client.judge import fake_judge
from tests.orchestrator.client.reasoner.fake_reasoner import TOKENIZE, probe, vllm_like
from tests.orchestrator.client.reasoner.fake_reasoner import client as reasoner
from tests.support.fake_server import Answer, FakeServer, answer_json

BLOCK = b"0" * 2**16
BOMB = gzip.compress(b"0" * 2**26)
HEADERS = {"Content-Type": "application/json"}


class Endless:
    """Answers without end, and counts what it got rid of."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.sent = 0

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(status=self.status, headers=HEADERS)
        await response.prepare(request)
        while True:
            await response.write(BLOCK)
            self.sent += len(BLOCK)


async def bomb(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """64 MiB in 64 KiB."""
    return web.Response(body=BOMB, headers={**HEADERS, "Content-Encoding": "gzip"})


@pytest.fixture(autouse=True)
def _small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "MAX_JSON_BYTES", 2**20)
    monkeypatch.setattr(http, "MAX_TEXT_BYTES", 2**20)


async def ask_judge(server: FakeServer) -> None:
    settings = JudgeSettings(url=server.url, max_attempts=1)
    async with JudgeClient(settings, fake_judge.SPEC, None) as client:
        await client.probe()


async def ask_reward(server: FakeServer) -> None:
    async with RewardClient(RewardSettings(url=server.url), None) as client:
        await client.probe()


async def ask_comparison(server: FakeServer) -> None:
    async with AnswerJudgeClient(AnswerSettings(equality="llm"), server.url, None) as client:
        await client.probe()


async def ask_reasoner(server: FakeServer) -> None:
    server.answers["/tokenize"] = TOKENIZE
    await probe(server)


ASKED: list[tuple[str, Callable[[FakeServer], Awaitable[None]]]] = [
    ("/v1/models", ask_reasoner),
    ("/v1/completions", ask_reasoner),
    ("/v1/models", ask_judge),
    ("/generative_scoring", ask_judge),
    ("/classify", ask_reward),
    ("/v1/chat/completions", ask_comparison),
]


@pytest.mark.parametrize(("path", "ask"), ASKED)
async def test_an_error_without_end_is_an_error(
    path: str, ask: Callable[[FakeServer], Awaitable[None]]
) -> None:
    endless = Endless(status=418)
    async with fake_judge.vllm_like(**{path: endless}) as server:
        with pytest.raises(DeepPruneError, match="418"):
            await ask(server)
    assert endless.sent < 2**24


@pytest.mark.parametrize(("path", "ask"), [each for each in ASKED if each[0] != "/v1/completions"])
@pytest.mark.parametrize("form", ["endless", "bomb"])
async def test_an_answer_without_end_is_an_error(
    path: str, ask: Callable[[FakeServer], Awaitable[None]], form: str
) -> None:
    answer: Answer = Endless() if form == "endless" else bomb
    async with fake_judge.vllm_like(**{path: answer}) as server:
        with pytest.raises(EndpointError, match="MiB"):
            await ask(server)
    assert not isinstance(answer, Endless) or answer.sent < 2**25


@pytest.mark.parametrize("form", ["endless", "bomb"])
async def test_pages_that_a_run_can_do_without_are_given_up(form: str) -> None:
    answer: Answer = Endless() if form == "endless" else bomb
    async with vllm_like(**{"/metrics": answer, "/version": answer}) as server:
        found = await probe(server)
        assert (found.metrics, found.server) == (False, "unknown server")
        async with reasoner(server) as client:
            assert await client.counters() is None


async def test_headers_without_end_are_an_error() -> None:
    many = {f"X-{n}": "x" * 4000 for n in range(100)}
    long = {"X": "x" * 100_000}
    for headers in (many, long):
        refusal = answer_json({}, 418, headers)
        async with FakeServer({"/v1/models": refusal}) as server:
            with pytest.raises(EndpointError):
                await probe(server)

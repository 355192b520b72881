"""Reward models asked for the reward of a trace, and servers that give none."""

import asyncio
import math
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.reward import RewardClient
from orchestrator.errors import ConfigError, EndpointRejected, EndpointUnreachable, StreamBroken
from orchestrator.settings import RewardSettings
from tests.support.fake_server import Answer, FakeServer, answer_json

CLASSIFY, POOLING = "/classify", "/pooling"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "orchestrator.client.retry.wait_random_exponential", lambda **bounds: lambda state: 0.0
    )


def classes(*probabilities: float) -> Answer:
    data = [{"index": 0, "label": "LABEL_0", "probs": probabilities, "num_classes": 1}]
    return answer_json({"data": data, "usage": {"prompt_tokens": 12}})


def pooled(data: Any) -> Answer:
    return answer_json({"data": [{"index": 0, "data": data}], "usage": {"prompt_tokens": 12}})


def client(server: FakeServer, api_key: str | None = None, **settings: Any) -> RewardClient:
    return RewardClient(RewardSettings(url=server.url, **settings), api_key)


async def reward_of(server: FakeServer, **settings: Any) -> float:
    async with server, client(server, **settings) as asked:
        await asked.probe()
        reward = await asked.score(question="Q?", trace="It is 4.")
        assert reward.prompt_tokens == 12
        return reward.value


@pytest.mark.parametrize(
    ("answer", "label", "value"),
    [
        (classes(0.75), -1, 0.75),
        (classes(0.25, 0.75), -1, 0.75),
        (classes(0.25, 0.75), 0, 0.25),
        (classes(1), -1, 1.0),
    ],
)
async def test_the_reward_is_the_probability_of_its_label(
    answer: Answer, label: int, value: float
) -> None:
    assert await reward_of(FakeServer({CLASSIFY: answer}), label=label) == value


@pytest.mark.parametrize("data", [[0.5], [0.1, 0.5], [[0.9], [0.5]], [[0.2, 0.8], [0.5, 0.5]]])
async def test_pooling_gives_the_value_at_the_last_token_or_step(data: Any) -> None:
    assert await reward_of(FakeServer({POOLING: pooled(data)}), dialect="pooling") == 0.5


@pytest.mark.parametrize("logit", [-800.0, -2.0, 0.0, 3.0, 800.0])
async def test_a_logit_becomes_a_probability(logit: float) -> None:
    server = FakeServer({POOLING: pooled([logit])})
    value = await reward_of(server, dialect="pooling", scale="logit")
    assert value == pytest.approx(1 / (1 + math.exp(min(700.0, -logit))))


async def test_question_and_trace_are_sent_as_a_chat_or_in_the_template() -> None:
    server = FakeServer({CLASSIFY: classes(0.5)})
    await reward_of(server, max_chars=2)
    assert server.bodies(CLASSIFY)[-1]["messages"] == [
        {"role": "user", "content": "Q?"},
        {"role": "assistant", "content": "4."},
    ]
    server = FakeServer({CLASSIFY: classes(0.5)})
    await reward_of(server, template="{question} [SEP] {trace} {braces}")
    assert server.bodies(CLASSIFY)[-1]["input"] == "Q? [SEP] It is 4. {braces}"


@pytest.mark.parametrize(
    ("answer", "settings", "words"),
    [
        (classes(1.5), {}, "reward.scale"),
        (classes(0.5), {"label": 1}, "reward.label cannot be 1"),
        (classes(), {}, "gives 0 values"),
        (answer_json({"data": []}), {}, "0 rewards"),
        (answer_json({"detail": "too long"}, 400), {}, "reward.max_chars"),
        (answer_json({"detail": "Not Found"}, 404), {}, "reward.dialect"),
        (answer_json({}, 401), {}, "DEEPPRUNE_REWARD_API_KEY"),
    ],
)
async def test_a_server_that_gives_no_reward_is_refused_without_a_retry(
    answer: Answer, settings: dict[str, Any], words: str
) -> None:
    async with FakeServer({CLASSIFY: answer}) as server, client(server, **settings) as asked:
        with pytest.raises(EndpointRejected, match=words) as caught:
            await asked.probe()
        assert caught.value.exit_code == 2


async def test_a_missing_address_and_a_missing_server_are_errors_of_their_own() -> None:
    with pytest.raises(ConfigError, match="--reward-endpoint"):
        RewardClient(RewardSettings(), None)
    async with RewardClient(RewardSettings(url="http://127.0.0.1:9/v1"), None) as asked:
        with pytest.raises(EndpointUnreachable):
            await asked.probe()


async def test_the_key_is_sent_and_a_failed_request_is_retried() -> None:
    replies = [classes(0.5), answer_json({}, 500), answer_json({}, 503), classes(0.5)]

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        return await replies.pop(0)(request, body)

    async with FakeServer({CLASSIFY: answer}) as server, client(server, "secret") as asked:
        await asked.probe()
        assert (await asked.score(question="q", trace="t")).value == 0.5
        assert server.seen[-1].headers["Authorization"] == "Bearer secret"
    assert replies == []


async def test_a_silent_server_is_not_asked_for_a_while_after_its_timeouts() -> None:
    async def hang(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        await asyncio.sleep(3600)
        raise AssertionError

    async with FakeServer({CLASSIFY: hang}) as server:
        async with client(server, timeout_seconds=0.05, concurrency=3) as asked:
            failures = await asyncio.gather(
                *(asked.score(question="q", trace="t") for _ in range(9)), return_exceptions=True
            )
        assert all(isinstance(failure, StreamBroken) for failure in failures)
        assert "not asked for a while" in str(failures[-1])
        assert len(server.bodies(CLASSIFY)) <= 9  # three at once, each tried at most three times
        await server.until_live(0)

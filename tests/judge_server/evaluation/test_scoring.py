"""The scores of a served judge, from a server that answers or fails as the test says."""

import asyncio
import math
from typing import Any

import pytest
from aiohttp import web

from judge_server.data.pairs import Pair
from judge_server.evaluation.scoring import EndpointJudge
from orchestrator.core.judging import JudgeSpec, Temperature
from orchestrator.errors import JudgeError
from tests.support.fake_server import FakeServer, answer_json

SCORING = "/generative_scoring"
SPEC = JudgeSpec(
    name="test", model="m", instruction="Same?", query="{question}|{new}|", item="{member}"
)
PAIRS = [
    Pair(f"q{n % 2}", f"How many {n % 2}?", f"new {n % 3}", f"member 0.{n + 1}", n % 2 > 0)
    for n in range(9)
]


async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"tokens": [ord(c) for c in body["prompt"]], "max_model_len": 1000})


async def by_member(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """The score is the number that the member ends with."""
    items = ["".join(chr(code) for code in item) for item in body["items"]]
    data = [{"index": n, "score": float(item.split()[-1])} for n, item in enumerate(items)]
    return web.json_response({"data": data, "usage": {"prompt_tokens": 9, "completion_tokens": 1}})


async def by_member_up_to_900_tokens(
    request: web.Request, body: dict[str, Any]
) -> web.StreamResponse:
    """Refuses a request with a longer item, as vLLM does."""
    if max(len(item) for item in body["items"]) <= 900:
        return await by_member(request, body)
    message = "The decoder prompt is longer than the maximum model length of 900."
    return web.json_response({"error": {"message": message}}, status=400)


async def probe_only(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    """Answers the tiny pair of the probe, and fails on every other."""
    if "".join(chr(code) for code in body["query"]).startswith("1 + 1"):
        return await answer_json({"data": [{"index": 0, "score": 0.5}], "usage": {}})(request, body)
    return web.json_response({"error": {"message": "no"}}, status=400)


def judge(server: FakeServer, spec: JudgeSpec = SPEC, key: str | None = None) -> EndpointJudge:
    return EndpointJudge(server.url, spec, key, concurrency=2)


async def scores(asked: EndpointJudge, done: list[float]) -> list[float]:
    return await asyncio.to_thread(asked.scores, PAIRS, done.append)


def serving(answer: Any) -> FakeServer:
    async def probe_too(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        is_probe = "".join(chr(code) for code in body["query"]).startswith("1 + 1")
        answers = probe_only if is_probe else answer
        return await answers(request, body)

    return FakeServer({SCORING: probe_too, "/tokenize": tokenize})


async def test_pairs_keep_their_order_and_members_of_one_trace_are_asked_together() -> None:
    done: list[float] = []
    async with serving(by_member) as server:
        found = await scores(judge(server), done)
        asked = server.bodies(SCORING)[1:]  # the first is the probe
    assert found == pytest.approx([(n + 1) / 10 for n in range(9)])
    assert len(asked) == len({(pair.question, pair.new) for pair in PAIRS})
    assert done[-1] == 1.0


async def test_scores_are_raw_whatever_the_spec_calibrates() -> None:
    spec = SPEC.model_copy(update={"calibration": Temperature(temperature=3.0)})
    async with serving(by_member) as server:
        found = await scores(judge(server, spec), [])
    assert found == pytest.approx([(n + 1) / 10 for n in range(9)])


async def test_the_key_is_sent() -> None:
    async with serving(by_member) as server:
        found = await asyncio.to_thread(judge(server, key="sk-judge").probe)
        assert all(seen.headers["Authorization"] == "Bearer sk-judge" for seen in server.seen)
    assert found.dialect == "generative_scoring"


async def test_a_pair_without_a_verdict_ends_the_evaluation() -> None:
    async with serving(probe_only) as server:
        with pytest.raises(JudgeError):
            await scores(judge(server), [])


async def test_a_pair_that_is_too_long_has_no_score_and_the_others_of_its_trace_have() -> None:
    long = Pair("q0", "How many 0?", "new 0", "member " + "x" * 1000 + " 0.9", same=True)
    done: list[float] = []
    async with serving(by_member_up_to_900_tokens) as server:
        found = await asyncio.to_thread(judge(server).scores, [*PAIRS, long], done.append)
    assert found[:9] == pytest.approx([(n + 1) / 10 for n in range(9)])
    assert math.isnan(found[9])
    assert done[-1] == 1.0

"""Several servers of the same judge: which is asked, and what happens when one fails."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.judge.client import JudgeScores
from orchestrator.errors import ConfigError, EndpointUnreachable, JudgeError
from orchestrator.runtime.judges import JudgeFleet
from tests.orchestrator.client.judge.fake_judge import SCORING, judge, scoring, vllm_like
from tests.support.fake_server import Answer, FakeServer, answer_json
from tests.support.proxy import Proxy

GONE = "http://127.0.0.1:9/v1"


@contextlib.asynccontextmanager
async def fleet(
    *servers: FakeServer | str, leave_out: bool = False, **settings: Any
) -> AsyncIterator[JudgeFleet]:
    """The judge's servers, probed; a text is the address of one that runs already or not at all."""
    async with contextlib.AsyncExitStack() as stack:
        clients = []
        for server in servers:
            if isinstance(server, str):
                address, server = server, FakeServer()
                server.url = address
            else:
                await stack.enter_async_context(server)
            clients.append(
                await stack.enter_async_context(judge(server, max_attempts=1, **settings))
            )
        judges = JudgeFleet(clients, leave_out=leave_out, again_seconds=0.02)
        await stack.enter_async_context(judges)
        await judges.probe()
        yield judges


async def score(judges: JudgeFleet, *members: str) -> JudgeScores:
    return await judges.score(question="Q", new="new", members=members)


def asked(server: FakeServer) -> list[int]:
    """How many pairs each request had, without the probe's."""
    return [len(body["items"]) for body in server.bodies(SCORING)[1:]]


def broken() -> FakeServer:
    """Answers the probe, and nothing after it."""
    answers = [scoring(0.5), answer_json({"error": "broken"}, 500)]

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        give = answers.pop(0) if len(answers) > 1 else answers[0]
        return await give(request, body)

    return vllm_like(**{SCORING: answer})


async def test_the_server_with_the_fewest_pairs_before_it_is_asked() -> None:
    held = asyncio.Event()
    first, second = vllm_like(), vllm_like()
    async with fleet(first, second) as judges:
        for server in (first, second):
            answer = server.answers[SCORING]

            async def later(
                request: web.Request, body: dict[str, Any], answer: Answer = answer
            ) -> web.StreamResponse:
                await held.wait()
                return await answer(request, body)

            server.answers[SCORING] = later
        calls = []
        for members in ("abcde", "a", "ab", "a"):
            calls.append(asyncio.create_task(score(judges, *members)))
            await asyncio.sleep(0)
        held.set()
        await asyncio.gather(*calls)
    assert asked(first) == [5]
    assert sorted(asked(second)) == [1, 1, 2]


async def test_one_call_after_the_other_takes_turns() -> None:
    first, second = vllm_like(), vllm_like()
    async with fleet(first, second) as judges:
        for _ in range(4):
            await score(judges, "a")
    assert (asked(first), asked(second)) == ([1, 1], [1, 1])


async def test_a_call_that_fails_is_made_on_another_server() -> None:
    works = vllm_like(**{SCORING: scoring(0.7)})
    async with fleet(broken(), works) as judges:
        for _ in range(3):
            assert (await score(judges, "a")).probabilities == (0.7,)


async def test_there_is_no_verdict_when_every_server_fails() -> None:
    async with fleet(broken(), broken()) as judges:
        with pytest.raises(JudgeError, match="broken"):
            await score(judges, "a")


async def test_a_server_that_answers_late_is_asked_from_then_on() -> None:
    late, works = vllm_like(**{SCORING: scoring(0.9)}), vllm_like(**{SCORING: scoring(0.1)})
    async with late, Proxy(late.url).running() as proxy:
        proxy.refuse()
        async with fleet(proxy.url, works) as judges:
            assert proxy.url in judges.notes[0]
            proxy.accept()
            async with asyncio.timeout(60):
                while (await score(judges, "a")).probabilities != (0.9,):
                    pass


async def test_no_server_at_all_is_an_error() -> None:
    with pytest.raises(EndpointUnreachable):
        async with fleet(GONE, GONE):
            pass


def other() -> FakeServer:
    """Another judge."""
    return vllm_like(**{"/v1/models": answer_json({"data": [{"id": "n"}]})})


async def test_another_judge_is_refused_by_name() -> None:
    with pytest.raises(ConfigError, match=r"The judge at http://.* is n .*endpoint\.on_mismatch"):
        async with fleet(vllm_like(), other()):
            pass


async def test_another_judge_is_left_out_on_request() -> None:
    stranger = other()
    async with fleet(vllm_like(), stranger, leave_out=True) as judges:
        for _ in range(2):
            await score(judges, "a")
        assert asked(stranger) == []
        assert judges.notes[-1].endswith("It is left out.")

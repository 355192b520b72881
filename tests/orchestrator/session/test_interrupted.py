"""Ctrl-C at a moment when something takes long: a server that does not answer, or mathematics that never ends."""

import asyncio
import json
import signal
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from tests.support.command import Ended, end, start, until_tokens
from tests.support.fake_server import Answer
from tests.support.paced_servers import PacedServers

HANGING = [f"9^{{9^{{9^{n}}}}}" for n in range(3, 60)]
FOREVER = "3000"  # seconds: a test that waits so long fails by its own limit


class Hangs:
    """Answers so many requests as before, and none after them."""

    def __init__(self, answer: Answer, answered: int) -> None:
        self.reached = asyncio.Event()
        self._answer = answer
        self._left = answered

    async def __call__(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        self._left -= 1
        if self._left >= 0:
            return await self._answer(request, body)
        self.reached.set()
        await asyncio.Event().wait()
        raise AssertionError


async def begun(tmp_path: Path, servers: PacedServers, *flags: str) -> asyncio.subprocess.Process:
    endpoint = ("--endpoint", servers.reasoner.url, "--policy", "consensus", "--traces", "12")
    return await start(*endpoint, "--no-tui", "--json", *flags, "What?", cwd=tmp_path)


async def interrupted(process: asyncio.subprocess.Process) -> Ended:
    process.send_signal(signal.SIGINT)
    ended = await end(process)
    assert ended.code == 130
    assert "Traceback" not in ended.err
    return ended


@pytest.mark.slow  # starts a program
@pytest.mark.parametrize("answered", [0, 1, 2])
async def test_a_server_that_does_not_answer_at_the_start_is_left(
    tmp_path: Path, answered: int
) -> None:
    """The first requests come from the probe of the server, the last one from the question."""
    async with PacedServers().serving() as servers:
        hangs = Hangs(servers.reasoner.answers["/tokenize"], answered)
        servers.reasoner.answers["/tokenize"] = hangs
        process = await begun(tmp_path, servers)
        await hangs.reached.wait()
        await interrupted(process)


@pytest.mark.slow  # starts a program
async def test_answers_that_are_still_compared_vote_at_once(tmp_path: Path) -> None:
    async with PacedServers(answers=HANGING, words=8).serving() as servers:
        process = await begun(tmp_path, servers, "--set", f"answers.timeout_seconds={FOREVER}")
        await until_tokens(tmp_path, process, 12 * 9)
        report = json.loads((await interrupted(process)).out)
    assert report["traces"]["finished"] == 12
    assert len(report["votes"]) == 12
    assert report["undecided_comparisons"] > 0
    assert "the run was interrupted" in report["warnings"][0]["message"]

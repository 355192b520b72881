"""The call without asyncio, in a program and inside a running event loop."""

import inspect
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import deepprune
from orchestrator.api import ClientArguments
from orchestrator.config.keywords import KEYWORDS, SettingKeywords
from tests.support.background import in_background
from tests.support.paced_servers import PacedServers


@pytest.fixture
def servers() -> Iterator[PacedServers]:
    with in_background(PacedServers(words=8)) as paced:
        yield paced


def test_a_program_without_asyncio_gets_its_answer(servers: PacedServers) -> None:
    result = deepprune.ask("How many?", servers.reasoner.url, gold="26", policy="pass1")
    assert (result.answer, result.correct) == ("26", True)


async def test_a_notebook_with_a_running_loop_gets_its_answer(servers: PacedServers) -> None:
    result = deepprune.ask("How many?", servers.reasoner.url, policy="pass1")
    assert result.answer == "26"


async def test_an_error_comes_out_of_the_thread_as_it_was() -> None:
    with pytest.raises(deepprune.ConfigError, match="No reasoner is given"):
        deepprune.ask("How many?")
    with pytest.raises(deepprune.EndpointUnreachable):
        deepprune.ask("How many?", "http://127.0.0.1:9/v1")


def test_every_argument_of_the_client_is_taken() -> None:
    parameters = inspect.signature(deepprune.Client).parameters.values()
    own = {each.name for each in parameters if each.kind is inspect.Parameter.KEYWORD_ONLY}
    assert set(ClientArguments.__annotations__) == own | set(KEYWORDS)
    assert set(SettingKeywords.__annotations__) == set(KEYWORDS)


SCRIPT = """
import asyncio, sys, deepprune
def asked():
    deepprune.ask("How many?", sys.argv[1], policy="consensus", traces=2)
async def notebook():
    asked()
asked() if sys.argv[2] == "program" else asyncio.new_event_loop().run_until_complete(notebook())
"""


@pytest.mark.slow  # starts a program
@pytest.mark.parametrize("kind", ["program", "notebook"])
def test_ctrl_c_stops_the_traces_on_the_server(kind: str, tmp_path: Path) -> None:
    with in_background(PacedServers(words=1000, pause=0.05)) as slow:
        command = [sys.executable, "-c", SCRIPT, slow.reasoner.url, kind]
        with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
            try:
                while slow.reasoner.live < 2:
                    assert process.poll() is None
                    time.sleep(0.02)
                process.send_signal(signal.SIGINT)
                _, error = process.communicate(timeout=30)
            finally:
                process.kill()
        while slow.reasoner.live:
            time.sleep(0.02)
    assert error.rstrip().endswith("KeyboardInterrupt")

"""What the first question imports while it runs: an import holds all streams of the process up, on a slow disk for seconds."""

import subprocess
import sys
from pathlib import Path

import pytest

FIRST_QUESTION = """
import asyncio, sys
from tests.support.paced_servers import PacedServers
import deepprune

async def main():
    async with PacedServers(answers={answers!r}, words=60, pause=0.001).serving() as servers:
        client = deepprune.Client(
            servers.reasoner.url, judge=servers.judge.url, policy="deepprune", traces=8,
            settings={{"policy.survivors": 2, "checkpoint.words": 4}}, out={out!r},
        )
        async with client:
            before = set(sys.modules)
            await client.ask("How many?")
        print(*sorted(set(sys.modules) - before))

asyncio.run(main())
"""


@pytest.mark.slow  # starts programs
@pytest.mark.parametrize(
    "answers", [("26", "26", "38"), (r"\frac{1}{2}", r"\sqrt{2}", r"\sqrt[3]{2}")]
)
def test_a_question_that_runs_imports_no_package(answers: tuple[str, ...], tmp_path: Path) -> None:
    code = FIRST_QUESTION.format(answers=answers, out=str(tmp_path))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    packages = {name.partition(".")[0] for name in done.stdout.split()}
    assert packages <= set(sys.stdlib_module_names)

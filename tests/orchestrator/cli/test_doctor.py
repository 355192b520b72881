"""`deepprune-doctor` as a program: its exit code and what it writes where."""

import asyncio
import json
import os
import sys

import pytest

from orchestrator.cli.doctor import main
from tests.support.capable_server import CapableServer


async def doctor(*arguments: str) -> tuple[int | None, str, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "orchestrator.cli.doctor", *arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"COLUMNS": "100"},
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


@pytest.mark.slow  # starts programs
async def test_the_table_goes_to_stdout_and_announcements_go_to_stderr() -> None:
    async with CapableServer().serving() as url:
        code, out, err = await doctor("--endpoint", url, "--ramp", "2", "--level-seconds", "0.2")
    assert code == 0, out + err
    assert "cancellation" in out
    assert "concurrency:" in out
    assert "up to 2 streams for 1 seconds at most" in err


@pytest.mark.slow  # starts programs
async def test_the_json_has_what_the_table_has() -> None:
    async with CapableServer(stops=False).serving() as url:
        code, out, _ = await doctor("--endpoint", url, "--ramp", "0", "--json")
    assert code == 3
    diagnosis = json.loads(out)
    assert (diagnosis["schema"], diagnosis["verdict"]) == (1, "limited")
    (server,) = diagnosis["servers"]
    bad = [check for check in server["checks"] if check["verdict"] != "well"]
    assert [check["name"] for check in bad] == ["cancellation"]
    assert bad[0]["remedy"]


def test_without_a_server_it_says_what_to_give(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "--endpoint" in capsys.readouterr().err


def test_nothing_listens_at_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--endpoint", "http://127.0.0.1:9/v1"]) == 1
    assert "unusable" in capsys.readouterr().out

"""`deepprune-doctor` on real vLLM servers."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command import Ended, end, until_idle


async def doctor(*arguments: str, cwd: Path) -> Ended:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "orchestrator.cli.doctor", *arguments),
        cwd=cwd,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env=os.environ,
    )
    return await end(process)


def not_well(diagnosis: dict[str, Any]) -> dict[str, str]:
    return {
        check["name"]: check["evidence"]
        for server in diagnosis["servers"]
        for check in server["checks"]
        if check["verdict"] != "well"
    }


@pytest.mark.slow
@pytest.mark.vllm
async def test_plain_vllm_is_well_and_idle_afterwards(
    tmp_path: Path, reasoner_url: str, judge_url: str
) -> None:
    await until_idle(reasoner_url)
    ended = await doctor(
        *("--endpoint", reasoner_url, "--judge-endpoint", judge_url, "--preset", "nano"),
        *("--ramp", "4", "--level-seconds", "1", "--json"),
        cwd=tmp_path,
    )
    (diagnosis,) = [json.loads(line) for line in ended.out.splitlines()]
    assert not_well(diagnosis) == {}
    assert ended.code == 0
    assert diagnosis["settings"].keys() == {
        "run.concurrency",
        "prices.prompt_token",
        "prices.judge_prompt_token",
    }
    await until_idle(reasoner_url)

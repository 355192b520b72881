"""The life of `deepprune-judge serve`; a small stand-in takes vLLM's place, test_served.py has the real one."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from judge_server.cli.main import main
from judge_server.serving import serve as serving
from judge_server.serving.serve import _warnings
from orchestrator.local_vllm import server as local
from orchestrator.local_vllm.command import LocalModel
from orchestrator.local_vllm.hardware import Hardware

ROOT = Path(__file__).parents[3]
SPEC = """
name: tiny
kind: classification
model: tiny
instruction: ""
query: "{new}"
item: "{member}"
"""
STAND_IN = """
import http.server, json, os, sys
port, pid_file = sys.argv[1:]

class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *words):
        pass

    def answer(self, content):
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"data": [{"id": "tiny"}]})

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer({"data": [{"index": 0, "probs": [0.75, 0.25], "label": "identical"}]})

with open(pid_file, "w") as file:
    file.write(str(os.getpid()))
http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), Handler).serve_forever()
"""
COMMAND = """
import sys
from judge_server.cli.main import main
from orchestrator.local_vllm import server as local

stand_in, pid_file, folder = sys.argv[1:]
local.vllm_missing = lambda: None
local.vllm_command = lambda model, port, hardware: [sys.executable, stand_in, str(port), pid_file]
sys.exit(main(["serve", folder]))
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A judge's folder."""
    folder = tmp_path / "judge"
    folder.mkdir()
    (folder / "judge.yaml").write_text(SPEC)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    return folder


def runs(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not collected does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_the_server_and_leaves_nothing(
    folder: Path, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "stand_in.py").write_text(STAND_IN)
    (tmp_path / "serve.py").write_text(COMMAND)
    files = [tmp_path / name for name in ("serve.py", "stand_in.py", "pid")]
    with subprocess.Popen(
        [sys.executable, *map(str, files), str(folder)],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        url = process.stdout.readline().strip()
        server = int((tmp_path / "pid").read_text())
        assert runs(server)
        process.send_signal(number)
        rest, said = process.communicate()
    assert process.returncode == 130
    assert rest == ""
    assert url.startswith("http://127.0.0.1:")
    assert url.endswith("/v1")
    assert f"--judge-endpoint {url} --set judge.spec={folder / 'judge.yaml'}\n" in said
    assert "asked by classify: p(identical) = 0.750" in said
    assert f"{tmp_path / 'stand_in.py'}" in said  # the exact command
    assert not runs(server)


def test_a_server_that_dies_at_the_start_is_one_sentence(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    tmp_path: Path,
) -> None:
    script = "print('INFO loading'); raise ValueError('the weights are torn')"
    monkeypatch.setattr(local, "vllm_missing", lambda: None)
    monkeypatch.setattr(local, "vllm_command", lambda *_: [sys.executable, "-c", script])
    log = tmp_path / "log"
    assert main(["serve", str(folder), "--log", str(log)]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines()[-1].startswith("deepprune-judge serve: ")
    assert "ended while starting: ValueError: the weights are torn; check that" in err
    assert "INFO loading" in log.read_text()


def test_flags_after_two_dashes_go_to_vllm(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setattr(local, "vllm_missing", lambda: None)
    seen = []

    def command(model: LocalModel, port: int, hardware: Hardware) -> list[str]:
        seen.append(model)
        return [sys.executable, "-c", "pass"]

    monkeypatch.setattr(local, "vllm_command", command)
    assert main(["serve", str(folder), "--port", "0", "--", "--max-num-seqs", "5"]) == 1
    assert seen[0].flags[-2:] == ("--max-num-seqs", "5")
    capsys.readouterr()


def test_no_other_command_takes_flags_after_two_dashes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["evaluate", "--traces", "t", "--judge", "j", "--", "--seed"]
    with pytest.raises(SystemExit):
        main(words)
    assert "evaluate takes no flags after --" in capsys.readouterr().err


@pytest.mark.parametrize(
    "words",
    [
        ["--port", "65536"],
        ["--gpu-memory-utilization", "0"],
        ["--threads", "0"],
        ["--start-seconds", "nan"],
    ],
)
def test_impossible_numbers_are_refused(
    capsys: pytest.CaptureFixture[str], folder: Path, words: list[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["serve", str(folder), *words])
    assert ended.value.code == 2
    assert "is not a" in capsys.readouterr().err


def test_a_judge_that_is_not_there_is_wrong_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["serve", "no-such-judge"]) == 2
    assert "choose one of" in capsys.readouterr().err


def test_who_listens_to_others_is_warned() -> None:
    gpus = Hardware(gpus=1)
    assert _warnings("127.0.0.1", gpus) == []
    (warning,) = _warnings("0.0.0.0", gpus)
    assert "/generative_scoring" in warning


def test_idle_gpus_are_pointed_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "count_gpus", lambda: 2)
    (warning,) = _warnings("127.0.0.1", Hardware(gpus=0))
    assert "CPU build" in warning

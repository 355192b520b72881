"""Questions in Ray tasks, replayed and live; such a command is a process of its own, because Ray leaves threads and warnings behind."""

import asyncio
import contextlib
import json
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Never

import pytest

from bench.cli.main import main
from bench.data.recorded import RecordedQuestion, RecordedTrace
from bench.distributed import ray_tasks as rays
from bench.live.plan import LivePlan
from bench.mock_server.server import ReplayServer, serve_recording
from bench.replay.server import ServerModel
from bench.results.outcomes import read_outcomes
from orchestrator.errors import ConfigError
from orchestrator.runtime.endpoints import Keys
from tests.support.recordings import probe_matrix

pytestmark = pytest.mark.slow

FAST = ServerModel(first_token_seconds=0.0, step_seconds=1e-4, step_seconds_per_stream=0.0)

POLICIES = ("--policy", "auto", "--policy", "deepprune@6", "--policy", "cons@3")


@pytest.fixture
def matrix(tmp_path: Path):
    branches = [(["1"], 3000 + 40 * i, "1" if i % 4 else "2") for i in range(8)]
    return probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches), ("1", branches))


@pytest.mark.timeout(400)  # Ray starts half a dozen processes
def test_ray_tasks_give_the_same_lines_and_outcomes(
    matrix, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = ["run", "--replay", str(matrix), *POLICIES, "--resamples", "2", "--json", "--out"]
    assert main([*run, str(tmp_path / "alone.jsonl")]) == 0
    alone = capsys.readouterr().out
    spread = subprocess.run(
        [sys.executable, "-m", "bench.cli.main", *run, tmp_path / "spread.jsonl", "--ray", "local"],
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
    )
    assert spread.returncode == 0, spread.stderr
    assert spread.stdout == alone != ""
    assert (tmp_path / "spread.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()


def test_without_ray_the_remedy_is_named(
    matrix, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", "local"]) == 2
    assert "pip install 'deepprune[ray]'" in capsys.readouterr().err


@pytest.fixture
def served():
    """A server of recorded traces, in a thread of its own because the commands block."""
    questions = [
        RecordedQuestion(
            id=f"q{number}",
            question=f"Question {number}?",
            correct=frozenset({"1"}),
            traces=tuple(RecordedTrace(tokens=20 + trace, answer="1") for trace in range(6)),
        )
        for number in range(3)
    ]
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(_in_a_thread(ReplayServer(questions, model=FAST)))


@contextlib.contextmanager
def _in_a_thread(server):
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    context = serve_recording(server)
    try:
        yield server, asyncio.run_coroutine_threadsafe(context.__aenter__(), loop).result()
    finally:
        asyncio.run_coroutine_threadsafe(context.__aexit__(None, None, None), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def told(folder):
    """What must not depend on who ran it."""
    return [
        (each.policy, each.question_id, each.answer, each.tokens, each.traces)
        for each in read_outcomes(folder / "outcomes.jsonl")
    ]


@pytest.mark.timeout(600)
def test_a_live_run_in_ray_tasks_gives_the_same_outcomes_and_goes_on(
    served, tmp_path: Path
) -> None:
    questions = tmp_path / "questions.jsonl"
    rows = [{"id": f"q{n}", "question": f"Question {n}?", "answer": "1"} for n in range(3)]
    questions.write_text("".join(json.dumps(row) + "\n" for row in rows))

    def command(url, out, *flags):
        policies = ["--policy", "cons@2", "--policy", "cons@3", "--at-once"]
        named = ["run", "--endpoint", url, "--questions", str(questions), "--out", str(out)]
        return [*named, *policies, *flags]

    _, url = served()
    assert main(command(url, tmp_path / "alone", "1")) == 0
    server, url = served()
    spread = [sys.executable, "-m", "bench.cli.main", *command(url, tmp_path / "spread", "2")]
    for _ in range(2):
        ended = subprocess.run(
            [*spread, "--ray", "local"], capture_output=True, text=True, timeout=270, check=False
        )
        assert ended.returncode == 0, ended.stderr
        assert told(tmp_path / "spread") == told(tmp_path / "alone") != []
        probes = 3  # one for each task
        assert server.generated_tokens - probes == sum(row[3] for row in told(tmp_path / "spread"))


def test_local_servers_are_not_for_other_machines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    command = ["run", "--local", "--questions", "q.jsonl", "--policy", "auto", "--ray", "local"]
    assert main([*command, "--out", str(tmp_path)]) == 2
    assert "--local serves this machine alone" in capsys.readouterr().err


def test_an_error_in_a_task_is_told_as_it_would_be_here() -> None:
    class RayTaskError(Exception):
        cause = ConfigError("mend this")

    def get(task) -> Never:
        raise RayTaskError("a traceback of many lines")

    ray = SimpleNamespace(get=get, exceptions=SimpleNamespace(RayTaskError=RayTaskError))
    with pytest.raises(ConfigError, match=r"^mend this$"):
        rays.RayCluster(ray)._result("task")


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    plan = LivePlan(
        questions=[],
        specs=[],
        out=tmp_path / "elsewhere",
        traces=1,
        at_once=1,
        streams=1,
        local=False,
        keys=Keys(),
    )
    with pytest.raises(ConfigError, match="storage that all machines share"):
        rays._run_question(plan)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"), ("b:x", "write HOST:PORT")],
)
def test_a_cluster_that_is_not_there_is_found_at_once(
    matrix, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], address, sentence
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # it is not asked
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", address]) == 2
    assert sentence in capsys.readouterr().err

"""Benchmarks in Ray tasks.

A command with Ray is a process of its own, because Ray leaves threads and warnings behind.
"""

import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Never

import pytest

from bench.cli.main import main
from bench.distributed import ray_tasks
from bench.live.plan import LivePlan
from bench.mock_server.server import ReplayServer
from bench.replay.replay import ReplayPlan
from bench.results.outcomes import read_outcomes
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import ConfigError
from orchestrator.extras import install_command
from tests.support.command import console_script
from tests.support.recorded_server import (
    FAST,
    PROBE_TOKENS,
    live_plan,
    recording,
    served_in_thread,
    write_questions,
)
from tests.support.recordings import probe_matrix


@pytest.fixture
def matrix(tmp_path: Path) -> Path:
    branches = [(["1"], 3000 + 40 * i, "1" if i % 4 else "2") for i in range(8)]
    return probe_matrix(tmp_path / "m.json", ("1", branches), ("2", branches), ("1", branches))


def with_ray(command: list[str]) -> str:
    """What the command prints when it runs in the tasks of a new cluster.

    Ray's workers step back behind other programs by default; on a machine that is busy with tests they would hardly ever run.
    """
    ended = subprocess.run(
        [console_script("deepprune-bench"), *command, "--ray", "local"],
        capture_output=True,
        text=True,
        timeout=360,
        check=False,
        env={**os.environ, "RAY_worker_niceness": "0"},
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@pytest.mark.slow  # Ray starts half a dozen processes
@pytest.mark.timeout(400)
def test_a_replay_in_ray_tasks_gives_the_same_lines_and_outcomes(
    matrix: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    policies = ["--policy", "auto", "--policy", "deepprune@6", "--policy", "cons@3"]
    run = ["run", "--replay", str(matrix), *policies, "--resamples", "2", "--json", "--out"]
    assert main([*run, str(tmp_path / "alone.jsonl")]) == 0
    assert with_ray([*run, str(tmp_path / "spread.jsonl")]) == capsys.readouterr().out
    assert (tmp_path / "spread.jsonl").read_bytes() == (tmp_path / "alone.jsonl").read_bytes()


@pytest.mark.slow  # Ray starts half a dozen processes
@pytest.mark.timeout(400)
def test_a_live_run_in_ray_tasks_continues_and_gives_the_same_outcomes(tmp_path: Path) -> None:
    questions = write_questions(tmp_path / "questions.jsonl")
    server = ReplayServer(recording(), model=FAST)

    def command(url: str, out: str, *policies: str) -> list[str]:
        named = ["run", "--endpoint", url, "--questions", str(questions), "--at-once", "2"]
        flags = [flag for policy in policies for flag in ("--policy", policy)]
        exact = ["--set", "endpoint.check_cancellation=false"]  # a test stream's length varies
        return [*named, "--out", str(tmp_path / out), *flags, *exact]

    def outcomes(out: str) -> list[tuple[object, ...]]:
        """What must not depend on where the benchmark ran."""
        return [
            (each.policy, each.question_id, each.answer, each.traces)
            for each in read_outcomes(tmp_path / out / "outcomes.jsonl")
        ]

    with served_in_thread(ReplayServer(recording(), model=FAST)) as url:
        assert main(command(url, "alone", "cons@2", "cons@3")) == 0
    with served_in_thread(server) as url:
        assert main(command(url, "spread", "cons@2")) == 0
        finished = {path: path.read_bytes() for path in tmp_path.glob("spread/cons@2/*/*.json*")}
        before = server.generated_tokens
        with_ray(command(url, "spread", "cons@2", "cons@3"))
    assert outcomes("spread") == outcomes("alone")
    assert {path: path.read_bytes() for path in finished} == finished
    new = [o.tokens for o in read_outcomes(tmp_path / "spread") if o.policy == "cons@3"]
    tasks = 3  # one per question, each with a client of its own
    assert server.generated_tokens - before == sum(new) + tasks * PROBE_TOKENS


def test_without_ray_the_remedy_is_named(
    matrix: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", "local"]) == 2
    assert install_command("ray") in capsys.readouterr().err


def test_an_error_in_a_task_is_raised_as_it_was_there() -> None:
    class RayTaskError(Exception):
        cause = ConfigError("correct this")

    def get(task: str) -> Never:
        raise RayTaskError("a traceback of many lines")

    ray = SimpleNamespace(get=get, exceptions=SimpleNamespace(RayTaskError=RayTaskError))
    with pytest.raises(ConfigError, match=r"^correct this$"):
        ray_tasks.RayCluster(ray)._result("task")


def test_only_tasks_that_still_run_are_cancelled() -> None:
    """Ray may crash when a task that has ended is cancelled."""
    cancelled: list[tuple[str, bool]] = []

    def wait(tasks: list[str], *, num_returns: int, timeout: float) -> tuple[list[str], list[str]]:
        assert (num_returns, timeout) == (len(tasks), 0)
        return tasks[:1], tasks[1:]

    def cancel(task: str, *, force: bool) -> None:
        cancelled.append((task, force))

    cluster = ray_tasks.RayCluster(SimpleNamespace(wait=wait, cancel=cancel))
    cluster._cancel(["ended", "running"], force=True)
    cluster._cancel([], force=True)
    assert cancelled == [("running", True)]


def test_a_machine_that_does_not_see_the_folder_says_so(tmp_path: Path) -> None:
    plan: LivePlan = live_plan("http://gpu:1/v1", tmp_path / "elsewhere")
    with pytest.raises(ConfigError, match="storage that all machines share"):
        ray_tasks._run_question(plan)


@pytest.mark.parametrize(
    ("address", "sentence"),
    [("127.0.0.1:1", "No Ray cluster answers at 127.0.0.1:1"), ("b:x", "write HOST:PORT")],
)
def test_a_missing_cluster_is_found_at_once(
    matrix: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    address: str,
    sentence: str,
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())  # it is never called
    assert main(["run", "--replay", str(matrix), "--policy", "auto", "--ray", address]) == 2
    assert sentence in capsys.readouterr().err


def test_a_budget_over_all_questions_is_refused_because_tasks_do_not_share_it() -> None:
    (spec,) = parse_policies(["auto:budget=1000"])
    cluster = ray_tasks.RayCluster(SimpleNamespace())
    with pytest.raises(ConfigError, match="leave out --ray"):
        next(cluster.replay(spec, [], ReplayPlan(), file="f"))

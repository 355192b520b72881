"""Live benchmarks on a server of recorded traces."""

import json
from pathlib import Path

import pytest

from bench.live.run import run_live
from bench.mock_server.server import Faults, ReplayServer, serve_recording
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import ConfigError, DatasetError, DeepPruneError
from orchestrator.interrupts import Interrupts
from orchestrator.questions import Question
from tests.support.recorded_server import (
    FAST,
    PROBE_TOKENS,
    QUESTIONS,
    live_plan,
    recording,
    run_plan,
)


async def test_every_question_runs_under_every_policy(tmp_path: Path) -> None:
    finished: list[int] = []
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        plan = live_plan(url, tmp_path, "auto", "cons@3")
        outcomes = await run_live(plan, Interrupts(lambda text: None), lambda: finished.append(1))
    assert len(finished) == 6
    assert {(o.policy, o.question_id) for o in outcomes} == {
        (policy, f"q{n}") for policy in ("auto", "cons@3") for n in range(3)
    }
    assert [outcome.correct for outcome in outcomes] == [True] * 6
    votes = [outcome for outcome in outcomes if outcome.policy == "cons@3"]
    assert [(vote.traces, vote.cut_tokens) for vote in votes] == [(3, 0)] * 3


async def test_the_counters_of_a_shared_server_are_in_no_report(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await run_plan(live_plan(url, tmp_path, "cons@2"))
    reports = list(tmp_path.glob("cons@2/*/report.json"))
    assert len(reports) == 3
    for report in reports:
        bill = json.loads(report.read_text())["ledger"]["reasoner"]
        assert bill["server_generated_tokens"] is None
        assert bill["generated_tokens"] > 0


async def test_traces_continue_after_resets_and_refusals(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST, faults=Faults(reset=0.3, busy=0.2), seed=3)
    async with serve_recording(server) as url:
        outcomes = await run_plan(live_plan(url, tmp_path, "cons@3", at_once=1))
    assert [outcome.correct for outcome in outcomes] == [True] * 3
    assert [outcome.traces for outcome in outcomes] == [3] * 3


async def test_a_run_whose_traces_all_failed_counts_as_not_started(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST, faults=Faults(stall=1.0))
    flags = {"endpoint.stall_seconds": 0.1, "endpoint.max_attempts": 1}
    async with serve_recording(server) as url:
        specs = parse_policies(["cons@1"], flags={"endpoint.urls": (url,), **flags})
        with pytest.raises(DeepPruneError, match="All 1 traces failed"):
            await run_plan(live_plan(url, tmp_path, questions=QUESTIONS[:1], specs=specs))
    assert list(tmp_path.glob("cons@1/*/journal.jsonl"))
    assert not list(tmp_path.glob("cons@1/*/report.json"))


@pytest.mark.parametrize(
    ("policy", "sentence"),
    [
        ("parallel-probe", "only in replays"),
        ("launch-vote@4", "only in replays"),
        ("deepprune", "--judge-endpoint"),
        ("pass@4", "only be measured in a replay"),
        ("cons@2:vote=reward", "reward"),
        ("auto:budget=1000", "deepprune-orchestrate --budget"),
    ],
)
async def test_a_policy_that_cannot_run_live_is_refused_before_any_request(
    tmp_path: Path, policy: str, sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        await run_plan(live_plan("http://gpu:1/v1", tmp_path, policy))


async def test_a_question_without_an_answer_is_refused_before_any_request(tmp_path: Path) -> None:
    ungraded = [Question(id="a", question="?")]
    with pytest.raises(DatasetError, match="has no answer"):
        await run_plan(live_plan("http://gpu:1/v1", tmp_path, "auto", questions=ungraded))


# --- the folder -----------------------------------------------------------------------------------


async def test_a_folder_takes_no_benchmark_with_other_settings(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await run_plan(live_plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
        with pytest.raises(ConfigError, match="give another --out"):
            await run_plan(live_plan(url, tmp_path, "cons@1", traces=9))


async def test_a_finished_run_is_not_taken_for_another_question_or_setting(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await run_plan(live_plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
        other = [Question(id="q0", question="Question 1?", gold="1")]
        with pytest.raises(ConfigError, match="was run with another question"):
            await run_plan(live_plan(url, tmp_path, "cons@1", questions=other))
        specs = parse_policies(
            ["cons@1"], ["policy.min_ballots=2"], flags={"endpoint.urls": (url,)}
        )
        with pytest.raises(ConfigError, match="was run with another question"):
            await run_plan(live_plan(url, tmp_path, questions=QUESTIONS[:1], specs=specs))


async def rerun_with(setting: str, out: Path) -> None:
    """Runs a question without a judge, and again with one setting more."""
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        first = live_plan(url, out, "cons@1", questions=QUESTIONS[:1])
        outcomes = await run_plan(first)
        specs = parse_policies(["cons@1"], [setting], flags={"endpoint.urls": (url,)})
        assert await run_plan(first._replace(specs=specs)) == outcomes


@pytest.mark.parametrize("setting", ["endpoint.model=replay", "judge.model=any"])
async def test_a_finished_run_is_kept_if_the_models_named_now_served_it(
    tmp_path: Path, setting: str
) -> None:
    await rerun_with(setting, tmp_path)


async def test_a_finished_run_of_another_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="another question, prompt, model"):
        await rerun_with("endpoint.model=other", tmp_path)


async def test_a_server_may_move_between_two_runs(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        first = await run_plan(live_plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
    moved = ReplayServer(recording(), model=FAST)
    async with serve_recording(moved) as url:
        again = await run_plan(live_plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
    assert again == first
    assert moved.generated_tokens <= PROBE_TOKENS

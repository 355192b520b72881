"""A bounded part of the fault campaign: every policy once with one server and once with two, and a run for each signal."""

import signal
from pathlib import Path

import pytest

from orchestrator.client.reasoner.forced_answer import MAX_TOKENS
from orchestrator.core.commands import Command, ProbeTrace, ResumeTrace, StartTrace
from orchestrator.core.events import Event, TracePaused, TraceStopped
from tests.faults.campaign import campaign, tables
from tests.faults.chaos import FAULTS
from tests.faults.invariants import under_way_on_vllm, unexplained
from tests.faults.kills import SIGNALS, kill
from tests.faults.lost_replica import Loss, losses_table
from tests.faults.runs import POLICIES, Outcome


@pytest.mark.slow  # half a minute, most of it waiting for servers that say so
@pytest.mark.timeout(400)
async def test_everything_holds_after_runs_of_every_policy_in_which_streams_broke() -> None:
    outcomes = await campaign(seeds=range(2))
    found = {(each.policy, each.seed): each.violations for each in outcomes if each.violations}
    assert found == {}
    assert {outcome.policy for outcome in outcomes} == set(POLICIES)
    assert sum(outcome.faults.total() for outcome in outcomes) > 100


@pytest.mark.slow  # starts programs
@pytest.mark.parametrize("number", SIGNALS)
async def test_everything_holds_after_a_signal_and_a_resume(
    number: signal.Signals, tmp_path: Path
) -> None:
    outcome = await kill(number, 0, tmp_path)
    assert outcome.violations == []
    assert outcome.faults[number.name] == 1


def test_the_tables_have_every_policy_and_every_fault() -> None:
    outcome = Outcome(policy="esc", seed=0, tokens=200, unseen=3, lost=1)
    outcome.faults["stall"] += 2
    shown = tables([outcome])
    assert "| esc | 1 | 2 | 0 | 0 | 0 | 0 | 200 | 1 | 2 (1.00%) | 0 |" in shown
    for fault in FAULTS:
        assert f"| {fault} |" in shown


def test_a_bill_that_lacks_more_than_one_in_a_hundred_is_found() -> None:
    assert not list(unexplained(1000, unseen=30, known=20, under_way=0))
    assert list(unexplained(1000, unseen=31, known=20, under_way=0))
    assert not list(unexplained(1000, unseen=31, known=20, under_way=1))
    assert list(unexplained(1000, unseen=9, known=20, under_way=0))


def test_a_bill_with_a_token_that_no_server_wrote_is_found() -> None:
    assert list(unexplained(1000, unseen=-1, known=0, under_way=0))


def test_only_streams_that_were_open_and_probes_without_an_answer_can_hide_tokens() -> None:
    paused = TracePaused(at=1.0, trace=0, tokens=9)
    stopped = TraceStopped(at=2.0, trace=0, reason="pruned", tokens=9)
    entries: list[Event | Command] = [StartTrace(trace=0), paused]
    once = under_way_on_vllm(entries)
    assert once == under_way_on_vllm([*entries, stopped]) > 0
    assert under_way_on_vllm([*entries, ResumeTrace(trace=0), stopped]) == 2 * once
    assert under_way_on_vllm([*entries, ProbeTrace(trace=1)]) == once + MAX_TOKENS


def test_the_table_of_lost_replicas_has_what_was_billed() -> None:
    loss = Loss(Outcome(policy="auto", seed=0, moved=7), billed_there=1210)
    loss.traces_back = [[5, 1, 5], [4, 4, 3]]
    assert "| auto | 7 | 0 | 1,210 | 0 | 0 | 0.0 | 5 + 1 + 5; 4 + 4 + 3 |" in losses_table([loss])

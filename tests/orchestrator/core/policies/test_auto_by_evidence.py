"""`auto` that asks: traces end, probes and verdicts come when the test says so."""

from typing import Any, Self

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.commands import AskJudge, ProbeTrace, StartTrace, StopTrace
from orchestrator.core.confidence import Confidences
from orchestrator.core.engine import Engine, Outcome
from orchestrator.core.events import (
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    RunInterrupted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceProbed,
    TraceStopped,
    VoteCast,
    VoteWeighed,
)
from orchestrator.core.policies import make_policy
from orchestrator.core.policies.auto import Auto
from orchestrator.core.policies.auto_by_evidence import AutoByEvidence
from orchestrator.settings import Settings
from tests.support.capabilities import JUDGE, capabilities
from tests.support.world import Script, World, opened, run_started


def settings(prices: dict[str, float] | None = None, **policy: Any) -> Settings:
    chosen = {"name": "auto", "traces": 16, **policy}
    return Settings.model_validate({"policy": chosen, "prices": prices or {}})


class Asked:
    """A run under `auto`; every trace writes 100 tokens before the test begins."""

    def __init__(self, *, probes: bool = True, judge: bool = False, **policy: Any) -> None:
        servers = capabilities(judge=JUDGE if judge else None, probes=probes)
        started = run_started(settings(use_judge=judge, **policy), servers=servers)
        self._engine = Engine(started)
        self.started: list[int] = []
        self.stopped: list[int] = []
        self.probes: list[int] = []
        self.questions: list[AskJudge] = []
        self.weighed: list[VoteWeighed] = []
        self.vote: VoteCast | None = None
        self._follow(self._engine.feed(started))

    def feed(self, kind: Any, trace: int, **fields: Any) -> Self:
        self._follow(self._engine.feed(kind(at=1.0, trace=trace, **fields)))
        return self

    def write(self, trace: int, tokens: int, text: str = "") -> Self:
        return self.feed(TokensArrived, trace, text=text, tokens=tokens)

    def finish(self, trace: int, answer: str | None, tokens: int = 100) -> Self:
        return self.feed(
            TraceFinished,
            trace,
            answer=answer,
            raw_answer=answer,
            finish_reason="stop",
            tokens=tokens,
        )

    def say(self, trace: int, answer: str | None, asked_at: int = 100) -> Self:
        """A trace that was asked answers."""
        self.probes.remove(trace)
        return self.feed(
            TraceProbed,
            trace,
            answer=answer,
            raw_answer=answer,
            asked_at=asked_at,
            tokens=10,
            prompt_tokens=asked_at,
            cached_prompt_tokens=asked_at,
            seconds=0.1,
        )

    def judge(self, trace: int, probability: float) -> Self:
        """The judge answers the question about a trace."""
        question = next(each for each in self.questions if each.trace == trace)
        self.questions.remove(question)
        return self.feed(
            PairsJudged,
            trace,
            members=question.members,
            probabilities=(probability,) * len(question.members),
            prompt_tokens=1,
            cached_prompt_tokens=0,
            completion_tokens=0,
            seconds=0.1,
        )

    def stop_all(self, reason: str = "settled") -> Self:
        for trace in list(self.stopped):
            self.stopped.remove(trace)
            self.feed(TraceStopped, trace, reason=reason, tokens=100)
        return self

    def _follow(self, outcome: Outcome) -> None:
        for event in outcome.events:
            if isinstance(event, VoteWeighed):
                self.weighed.append(event)
            if isinstance(event, VoteCast):
                self.vote = event
        for command in outcome.commands:
            match command:
                case StartTrace(trace=trace):
                    self.started.append(trace)
                    self._follow(self._engine.feed(opened(trace)))
                    self.write(trace, 100)
                case StopTrace(trace=trace):
                    self.stopped.append(trace)
                case ProbeTrace(trace=trace):
                    self.probes.append(trace)
                case AskJudge():
                    self.questions.append(command)
                case _:
                    pass


@pytest.mark.parametrize(("effort", "started"), [("low", 3), ("medium", 4), ("high", 6)])
def test_starts_a_few_more_than_would_settle_the_vote(effort: str, started: int) -> None:
    assert len(Asked(effort=effort).started) == started


def test_starts_what_the_floor_of_ballots_needs() -> None:
    assert len(Asked(min_ballots=5).started) == 7


def test_asks_every_running_trace_when_one_has_finished_and_nobody_before() -> None:
    run = Asked()
    assert run.probes == []
    assert run.finish(1, "7").probes == [0, 2, 3]
    assert run.stopped == []


def test_a_probe_that_agrees_settles_the_vote_and_weighs_in_it() -> None:
    run = Asked().finish(1, "7").say(0, "7")
    assert run.stopped == [0, 2, 3]
    last = run.weighed[-1]
    assert (last.action, last.leader) == ("stop", "7")
    assert 0 < last.worth < last.price  # of what came nearest
    assert [(each.trace, each.answer) for each in last.likely] == [(0, "7")]
    assert 0.9 < last.likely[0].probability < 0.95
    vote = run.stop_all().vote
    assert vote is not None
    assert (vote.answer, vote.votes[0].count) == ("7", 1)
    assert vote.votes[0].weight == pytest.approx(1 + last.likely[0].probability, abs=1e-5)


def test_waits_for_running_traces_that_say_something_else() -> None:
    run = Asked().finish(1, "7").say(0, "8").say(2, None)
    assert run.weighed == []  # an answer is still awaited
    run.say(3, "9")
    assert run.stopped == []
    assert (run.weighed[-1].action, run.weighed[-1].traces) == ("wait", 3)
    assert len(run.started) == 4


def test_a_probe_that_failed_is_awaited_no_longer() -> None:
    run = Asked().finish(1, "7").say(0, "8").say(2, "8")
    run.probes.remove(3)
    run.feed(ProbeFailed, 3, message="down")
    assert run.weighed[-1].action == "wait"


def test_asks_again_when_a_trace_has_written_an_eighth_of_a_finished_one() -> None:
    run = Asked().finish(1, "7").say(0, "8").say(2, "8").say(3, "8")
    run.write(0, 112)
    assert run.probes == []
    run.write(0, 113)
    assert run.probes == [0]
    run.write(0, 150)
    assert run.probes == [0]  # one probe at a time
    run.say(0, "7", asked_at=150)
    assert run.stopped == [0, 2, 3]
    assert run.write(2, 200).probes == []  # what is settled is not asked


def test_does_not_ask_where_the_answer_is_not_worth_its_price() -> None:
    run = Asked(trace_price=0.9, min_ballots=3).finish(1, "7")
    assert run.probes == []
    assert run.write(0, 1000).probes == []
    assert run.stopped == []  # the votes that must be there are waited for


def test_does_not_ask_where_probes_cost_more_than_they_can_tell() -> None:
    assert Asked(trace_price=0.9).finish(1, "7").probes == []
    run = Asked(trace_price=0.015).finish(1, "7", tokens=10)
    assert run.probes == []
    assert run.write(0, 200).probes == []


def test_a_trace_without_an_answer_gives_nothing_to_compare_with() -> None:
    run = Asked().finish(1, None)
    assert run.probes == []
    assert run.write(0, 200).probes == []
    assert run.finish(0, "7").probes == [2, 3]


def test_counts_an_answer_of_a_trace_that_ended_meanwhile_and_forgets_a_failed_one() -> None:
    run = Asked(effort="high").finish(1, "7")
    run.finish(0, "8").say(0, "8")
    run.feed(TraceFailed, 2, boundary="server", message="reset", tokens=100)
    for trace in (2, 3, 4, 5):
        if trace in run.probes:
            run.say(trace, "7")
    vote = run.stop_all().vote
    assert vote is not None
    assert vote.answer == "7"
    (seven, eight) = vote.votes
    assert (seven.count, eight.count) == (1, 1)
    assert 3.5 < seven.weight < 4.0  # three that still ran; not the failed one
    assert 1.0 <= eight.weight < 1.2


def test_launches_only_when_every_answer_is_in() -> None:
    run = Asked(trace_price=0.0005).finish(0, "1")
    first = list(run.started)
    for trace in first[1:]:
        assert run.started == first
        run.say(trace, None)
    assert run.weighed[-1].action == "launch"
    assert len(run.started) == len(first) + run.weighed[-1].traces


def test_an_interrupted_run_counts_what_was_believed() -> None:
    run = Asked(effort="high").finish(1, "7").say(0, "8").say(2, "7")
    run._follow(run._engine.feed(RunInterrupted(at=2.0)))
    vote = run.stop_all("interrupted").vote
    assert vote is not None
    assert (vote.answer, vote.votes[0].count) == ("7", 1)
    assert vote.votes[0].weight > 1.8


def test_other_weights_than_one_ballot_each_are_not_mixed_with_beliefs() -> None:
    run = Asked(vote="confidence").finish(1, "7").say(0, "7").stop_all()
    assert run.vote is not None
    assert run.vote.votes[0].count == 1
    assert run.vote.votes[0].weight == 0.0  # the confidence of a trace without confidences


# --- the judge ------------------------------------------------------------------------------------

WORDS = "wait " * 25


def judged(**policy: Any) -> Asked:
    """All traces have reached their checkpoint at 100 tokens."""
    run = Asked(probes=False, judge=True, **policy)
    for trace in run.started:
        run.write(trace, 100, WORDS)
    return run


def test_asks_the_judge_about_running_traces_and_a_finished_one() -> None:
    run = judged().finish(1, "7", tokens=10_000)
    assert run.questions == [AskJudge(trace=t, members=(1,)) for t in run.started if t != 1]
    before = len(run.started)
    for trace in [each.trace for each in run.questions]:
        run.judge(trace, 0.99)
    assert run.stopped
    assert len(run.started) == before


def test_asks_each_pair_once_whatever_the_judge_says() -> None:
    run = judged().finish(1, "7", tokens=10_000)
    first = run.questions.pop(0)
    run.feed(JudgeFailed, first.trace, members=first.members, message="down")
    for trace in [each.trace for each in run.questions]:
        run.judge(trace, 0.5)
    assert run.questions == []
    run.finish(first.trace, "8", tokens=10_000)
    assert all(each.members == (first.trace,) for each in run.questions)


def test_does_not_ask_a_judge_that_reads_more_than_its_verdicts_can_be_worth() -> None:
    as_dear_as_written = {"judge_prompt_token": 1.0}
    run = judged(trace_price=0.02, prices=as_dear_as_written).finish(1, "7", tokens=101)
    assert run.questions == []
    assert judged(trace_price=0.02).finish(1, "7", tokens=101).questions != []


def test_a_trace_that_ends_before_its_checkpoint_is_read_whole() -> None:
    run = Asked(probes=False, judge=True)
    for trace in run.started[1:]:
        run.write(trace, 100, WORDS)
    run.write(0, 5_000, "so it is 7")
    run.finish(0, "7", tokens=5_000)
    assert [each.members for each in run.questions] == [(0,)] * (len(run.started) - 1)


def test_probes_come_first_and_the_judge_is_asked_about_those_that_say_nothing() -> None:
    run = Asked(judge=True, effort="high")
    for trace in run.started:
        run.write(trace, 100, WORDS)
    run.finish(1, "7", tokens=10_000)
    assert run.questions == []
    for trace in list(run.probes):
        run.say(trace, "7" if trace == 0 else None)
    assert {each.trace for each in run.questions} == {2, 3, 4, 5}


# --- which auto ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("probes", "judge", "policy", "kind"),
    [
        (False, False, {}, Auto),
        (True, False, {}, AutoByEvidence),
        (True, False, {"probes": False}, Auto),
        (False, True, {}, Auto),
        (False, True, {"use_judge": True}, AutoByEvidence),
        (False, False, {"use_judge": True}, Auto),
    ],
)
def test_does_without_what_the_servers_or_the_user_do_not_give(
    probes: bool, judge: bool, policy: dict[str, Any], kind: type
) -> None:
    chosen = settings(**policy)
    made = make_policy(
        chosen,
        resumable=True,
        confidences=Confidences(chosen.policy),
        probes=probes,
        judge=judge,
    )
    assert type(made) is kind


# --- whatever happens -------------------------------------------------------------------------------

ANSWERS = st.sampled_from(["1", "2", None])
SCRIPTS = st.lists(
    st.builds(
        Script,
        chunks=st.lists(st.sampled_from(["wait ", "so "]), min_size=1, max_size=6),
        answer=ANSWERS,
        fails_after=st.one_of(st.none(), st.integers(0, 4)),
    ),
    min_size=16,
    max_size=16,
)


@given(
    SCRIPTS,
    st.data(),
    st.sampled_from(["low", "high"]),
    st.booleans(),
    st.booleans(),
    st.one_of(st.none(), st.integers(2, 40)),
)
def test_every_started_trace_ends_once_whatever_comes_in_whatever_order(
    scripts: list[Script],
    data: st.DataObject,
    effort: str,
    probes: bool,
    judge: bool,
    interrupt_after: int | None,
) -> None:
    def played() -> World:
        return World(
            Settings.model_validate(
                {
                    "policy": {
                        "name": "auto",
                        "traces": 16,
                        "effort": effort,
                        "use_judge": True,
                        "probe_every": 0.5,
                    },
                    "checkpoint": {"words": 2},
                    "prices": {"judge_token": 0.0},
                }
            ),
            scripts,
            judge=lambda one, other: None if (one + other) % 5 == 0 else 0.8,
            choose=lambda n: data.draw(st.integers(0, n - 1)),
            servers=capabilities(judge=JUDGE if judge else None, probes=probes),
            probe=lambda trace, tokens: None if tokens == 3 else scripts[trace].answer or "9",
            interrupt_after=interrupt_after,
        ).play()

    world = played()
    started = {command.trace for command in world.of(StartTrace)}
    assert all(len(world.terminal_events(trace)) == 1 for trace in started)
    vote = world.of(VoteCast)[-1]
    finished = [e.answer for e in world.of(TraceFinished) if e.answer is not None]
    assert (vote.answer is None) == (not finished)
    assert sum(line.count for line in vote.votes) == len(finished)
    assert sum(line.weight for line in vote.votes) <= len(started) + 1e-9
    events: list[Event] = world.events
    assert len(events) > len(started)

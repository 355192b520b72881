"""Who is asked, once, and what asking costs."""

import pytest

from orchestrator.core.commands import AskJudge, ProbeTrace
from orchestrator.core.events import JudgeFailed, PairsJudged, ProbeFailed, TraceProbed
from orchestrator.core.policies.asking import JudgeQuestions, Probes
from orchestrator.settings import PriceSettings


def probed(trace: int, asked_at: int = 100, *, tokens: int = 10, cached: int = 90) -> TraceProbed:
    return TraceProbed(
        at=1.0,
        trace=trace,
        answer="1",
        raw_answer="1",
        asked_at=asked_at,
        tokens=tokens,
        prompt_tokens=asked_at,
        cached_prompt_tokens=cached,
        seconds=0.1,
    )


def test_a_trace_is_not_asked_again_before_it_has_answered() -> None:
    probes = Probes(PriceSettings())
    assert probes.ask([0, 1]) == [ProbeTrace(trace=0), ProbeTrace(trace=1)]
    assert probes.ask([1, 2]) == [ProbeTrace(trace=2)]
    for answer in (probed(0), ProbeFailed(at=1.0, trace=1, message="down")):
        assert probes.out
        probes.take(answer)
    assert probes.ask([0, 1, 2]) == [ProbeTrace(trace=0), ProbeTrace(trace=1)]


def test_a_trace_is_due_when_it_has_written_enough_since_it_was_asked() -> None:
    probes = Probes(PriceSettings())
    assert not probes.is_due(0, 49, 50.0)
    assert probes.is_due(0, 50, 50.0)
    probes.ask([0])
    assert not probes.is_due(0, 500, 50.0)  # a probe is out
    probes.take(probed(0, 100))
    assert not probes.is_due(0, 149, 50.0)
    assert probes.is_due(0, 150, 50.0)


def test_a_probe_costs_what_it_writes_and_what_it_reads_at_its_price() -> None:
    probes = Probes(PriceSettings(prompt_token=0.1, cached_prompt_token=0.01))
    assert probes.cost == 20.0  # before anything is known
    probes.ask([0, 1])
    probes.take(probed(0, tokens=10))
    assert probes.cost == pytest.approx(10 + 10 * 0.1 + 90 * 0.01)
    probes.take(probed(1, tokens=20, cached=100))
    assert probes.cost == pytest.approx((11.9 + 20 + 1.0) / 2)


def test_the_judge_is_asked_about_a_pair_once_and_only_what_it_can_read() -> None:
    judge = JudgeQuestions(PriceSettings(judge_prompt_token=0.5))
    for trace, tokens in ((0, 10), (2, 30), (3, 40)):
        judge.add_segment(trace, tokens)
    assert judge.can_read(0)
    assert not judge.can_read(1)
    questions = judge.open(running=[0, 1], finished=[1, 2, 3])
    assert questions == [AskJudge(trace=0, members=(2, 3))]
    assert judge.cost(questions) == (10 + 30 + 40) * 0.5
    waiting = [judge.out]
    assert judge.ask(questions) == questions
    assert [*waiting, judge.out] == [False, True]
    assert judge.open(running=[0], finished=[2, 3]) == []
    judge.add_segment(4, 5)
    assert judge.open(running=[0], finished=[2, 3, 4]) == [AskJudge(trace=0, members=(4,))]


def test_a_judge_that_failed_is_not_asked_the_same_again() -> None:
    judge = JudgeQuestions(PriceSettings())
    judge.add_segment(0, 1)
    judge.add_segment(1, 1)
    judge.ask([AskJudge(trace=0, members=(1,))])
    judge.take(JudgeFailed(at=1.0, trace=0, members=(1,), message="down"))
    assert not judge.out
    assert judge.open(running=[0], finished=[1]) == []
    verdict = PairsJudged(
        at=1.0,
        trace=0,
        members=(1,),
        probabilities=(0.5,),
        prompt_tokens=1,
        cached_prompt_tokens=0,
        completion_tokens=0,
        seconds=0.1,
    )
    judge.take(verdict)
    assert not judge.out

from orchestrator.core.commands import StartTrace, StopTrace
from orchestrator.core.events import RunInterrupted, TraceFailed, TraceFinished, TraceStopped
from orchestrator.core.policies.base import Tally


def finished(trace: int, answer: str | None) -> TraceFinished:
    return TraceFinished(
        at=1.0, trace=trace, answer=answer, raw_answer=answer, finish_reason="stop", tokens=5
    )


def test_no_more_traces_start_than_were_planned() -> None:
    tally = Tally(3)
    assert tally.launch(2) == [StartTrace(trace=0), StartTrace(trace=1)]
    assert tally.launch(-1) == []
    assert tally.launch(5) == [StartTrace(trace=2)]
    assert tally.launch(1) == []
    assert (tally.running, tally.left) == (3, 0)


def test_every_end_counts_once_and_without_an_answer_as_a_blank() -> None:
    tally = Tally(5)
    tally.launch(5)
    for trace, answer in enumerate(["1", "2", "2", None]):
        assert tally.ended(finished(trace, answer))
    failed = TraceFailed(at=1.0, trace=4, boundary="server", message="reset", tokens=0)
    assert tally.ended(failed)
    assert (tally.vote_counts, tally.blanks, tally.running) == ((2, 1), 2, 0)


def test_a_trace_stopped_by_order_is_no_blank() -> None:
    tally = Tally(2)
    tally.launch(2)
    assert tally.stop_all("settled") == [StopTrace(trace=t, reason="settled") for t in (0, 1)]
    assert tally.ended(TraceStopped(at=1.0, trace=0, reason="settled", tokens=3))
    assert (tally.blanks, tally.running) == (0, 1)


def test_other_facts_end_no_trace() -> None:
    assert not Tally(1).ended(RunInterrupted(at=1.0))

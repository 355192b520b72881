"""Running traces that are asked for their answers in a replay."""

import functools

import pytest

from bench.data.recorded import RecordedQuestion
from bench.replay.server import ServerModel
from orchestrator.core.events import Event, TraceProbed, TraceStopped
from orchestrator.report.view import RunView
from tests.support.recordings import INSTANT, played, probed

QUICK = ServerModel(
    first_token_seconds=0.0,
    step_seconds=1.0,
    step_seconds_per_stream=0.0,
    judge_seconds=0.0,
    probe_tokens=1,
)

question = functools.partial(probed, probe_tokens=100)

STRAGGLERS = question(
    (300, "1", ("5", "1", "1")),
    (900, "2", ("5", "5", "2")),
    (900, "1", ("5", "1", "1")),
    (900, "3", ("5", "ERR", "ERR")),
)


def test_stragglers_that_would_say_the_same_are_cut() -> None:
    events: list[Event] = []
    end = played(STRAGGLERS, server=QUICK, sink=events.append, name="auto", report_every=100)
    probes = [event for event in events if isinstance(event, TraceProbed)]
    assert [(p.trace, p.asked_at, p.answer) for p in probes] == [
        (1, 300, "2"),
        (2, 300, "1"),
    ]
    assert end.answer == "1"
    assert end.probe_tokens == 3  # the third was on its way
    assert end.tokens == 300 + sum(e.tokens for e in events if isinstance(e, TraceStopped)) + 3
    assert end.sequential_tokens == pytest.approx(301)
    view = RunView.of(events)
    assert (view.probes.tokens, view.generated_tokens) == (2, end.tokens - 1)


def test_a_probe_gives_the_answer_recorded_at_that_length_or_before() -> None:
    late = question((150, "1", ("7",)), *[(900, "2", ("8", "9"))] * 3)
    events: list[Event] = []
    played(late, server=QUICK, sink=events.append, name="auto", report_every=100)
    asked = {event.asked_at: event.answer for event in events if isinstance(event, TraceProbed)}
    assert asked[150] == "8"
    assert {answer for at, answer in asked.items() if at >= 200} == {"9"}  # the last one stays


def test_before_its_first_recorded_probe_a_trace_says_nothing() -> None:
    early = question((50, "1", ()), *[(900, "1", ("1",))] * 3)
    events: list[Event] = []
    played(early, server=QUICK, sink=events.append, name="auto", report_every=10)
    first = next(event for event in events if isinstance(event, TraceProbed))
    assert (first.asked_at, first.answer) == (50, None)


def test_without_recorded_probes_or_by_setting_nobody_is_asked() -> None:
    unasked = RecordedQuestion(
        id="q", question="?", correct=frozenset({"1"}), traces=STRAGGLERS.traces
    )
    for end in (
        played(unasked, server=INSTANT, name="auto"),
        played(STRAGGLERS, server=INSTANT, name="auto", probes=False),
    ):
        assert (end.probe_tokens, end.sequential_tokens) == (0, 900)

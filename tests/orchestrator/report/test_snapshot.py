"""Events that give a view again."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.journal.journal import read_journal
from orchestrator.report.report import build_report
from orchestrator.report.snapshot import snapshot
from orchestrator.report.view import RunView
from tests.support.story import Story

DEMO = list(read_journal(Path(__file__).parents[3] / "nano" / "demo-run"))


@pytest.mark.parametrize("part", [0.01, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0])
def test_the_view_of_a_snapshot_is_the_view(part: float) -> None:
    entries: Sequence[Event | Command] = DEMO[: int(part * len(DEMO))]
    view = RunView.of(entries)
    again = RunView.of(snapshot(view))
    assert build_report(again, run_dir=None) == build_report(view, run_dir=None)
    for trace in view.traces.values():
        other = again.traces[trace.trace]
        assert (other.text, other.segment) == (trace.text, trace.segment)
        assert (other.state, other.tokens, other.cluster) == (
            trace.state if trace.state != "checkpoint" else other.state,
            trace.tokens,
            trace.cluster,
        )


def test_before_its_start_a_run_has_no_events() -> None:
    assert list(snapshot(RunView())) == []


def test_a_text_comes_in_as_few_pieces_as_the_checkpoints_allow() -> None:
    told = Story(1).start(0)
    for number in range(10):
        told.tokens(0, number + 1)
    told.checkpoint(0, 10, chars=3).tokens(0, 11)
    pieces = [event.text for event in snapshot(told.view()) if hasattr(event, "text")]
    assert pieces == ["so ", "so " * 10]

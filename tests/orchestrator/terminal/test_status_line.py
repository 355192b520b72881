"""The state of a live run, printed now and then."""

from io import StringIO
from typing import Any

import pytest

from orchestrator.core.events import RunInterrupted
from orchestrator.terminal.status_line import StatusPrinter, status_line
from tests.support.story import Story


class Clock:
    """Seconds that only pass when a test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_a_line_has_the_state_of_the_run(pruned_story: Any) -> None:
    assert status_line(pruned_story.view(), 1234.5) == (
        f"{pruned_story.view().elapsed:.1f} s · 0 running, 0 paused, 1 pruned, 1 finished, 1 stopped, "
        "1 failed · 200 tokens, 1,234/s · 2 clusters · 2 judge calls · saved 34%"
    )


def test_a_line_before_anything_has_finished(story: type[Story]) -> None:
    told = story(3).start(0, 1).tokens(0, 10).checkpoint(0, 10).open_cluster(0, 0).checkpoint(1, 9)
    assert status_line(told.judge_failed(1).view()) == (
        "0.7 s · 1 running, 1 at checkpoint, 0 paused, 0 pruned, 0 finished · 10 tokens · 1 cluster"
        " · 0 judge calls · pruning off from t=0.7 s · saved –"
    )


def test_at_most_one_line_a_second_is_printed(story: type[Story], clock: Clock) -> None:
    out, told = StringIO(), story(1)
    progress, view = StatusPrinter(out, clock), told.view()
    for step in range(25):
        clock.now = 100.0 + step / 10
        view.apply(RunInterrupted(at=step / 10))
        progress.show(view)
    assert [line.split(" · ")[0] for line in out.getvalue().splitlines()] == [
        "0.0 s",
        "1.0 s",
        "2.0 s",
    ]


def test_nothing_is_printed_while_nothing_changes(story: type[Story], clock: Clock) -> None:
    out = StringIO()
    progress, view = StatusPrinter(out, clock), story(1).view()
    for _ in range(5):
        progress.show(view)
        clock.now += 2
    assert out.getvalue().count("\n") == 1


def test_a_line_has_the_number_of_the_question(story: type[Story], clock: Clock) -> None:
    out = StringIO()
    StatusPrinter(out, clock).show(story(1).view(), question=7, questions=50)
    assert out.getvalue().startswith("question 7/50 · 0.0 s · ")


def test_several_questions_that_run_are_added_up(story: type[Story], clock: Clock) -> None:
    out = StringIO()
    views = [
        story(3).start(0, 1).tokens(0, 60).view(),
        story(2).start(0).finish(0, 40).view(),
    ]
    printer = StatusPrinter(out, clock)
    printer.show_all(views, done=3, questions=9, tokens=900)
    printer.show_all(views, done=3, questions=9, tokens=900)
    assert out.getvalue() == (
        "3 of 9 questions done, 2 running · traces: 2 running, 0 paused, 0 pruned, 1 finished"
        " · 1,000 tokens\n"
    )


def test_the_rate_is_that_since_the_last_line(story: type[Story], clock: Clock) -> None:
    out, told = StringIO(), story(1).start(0).tokens(0, 100)
    view, progress = told.view(), StatusPrinter(out, clock)
    progress.show(view)
    for event in told.tokens(0, 160).events[-1:]:
        view.apply(event)
    clock.now += 1
    progress.show(view)
    other = story(1).start(0).tokens(0, 10).view()
    clock.now += 1
    progress.show(other)
    rates = [line.split("tokens, ")[1].split("/s")[0] for line in out.getvalue().splitlines()]
    assert rates == ["500", "600", "50"]


def test_a_quiet_printer_prints_nothing(story: type[Story], clock: Clock) -> None:
    out = Terminal()
    progress = StatusPrinter(out, clock, quiet=True)
    progress.show(story(1).view())
    progress.close()
    assert out.getvalue() == ""


def test_a_terminal_has_one_line_that_is_erased_at_the_end(
    story: type[Story], clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "30")
    out = Terminal()
    progress = StatusPrinter(out, clock)
    progress.show(story(1).view())
    progress.close()
    progress.close()
    line = status_line(story(1).view())
    assert out.getvalue() == f"\r\x1b[K{line[:29]}\r\x1b[K"


@pytest.mark.parametrize("name", ["dumb", ""])
def test_a_terminal_that_cannot_rewrite_gets_lines(
    story: type[Story], clock: Clock, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv("TERM", name)
    out = Terminal()
    StatusPrinter(out, clock).show(story(1).view())
    assert "\x1b" not in out.getvalue()
    assert out.getvalue().endswith("\n")


def test_no_colour_is_printed(pruned_story: Any, clock: Clock, monkeypatch: Any) -> None:
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    out = Terminal()
    StatusPrinter(out, clock).show(pruned_story.view())
    assert out.getvalue().count("\x1b[") == out.getvalue().count("\x1b[K")


def test_a_broken_stderr_does_not_end_the_run(story: type[Story], clock: Clock) -> None:
    class Broken(StringIO):
        def write(self, _text: str) -> int:
            raise BrokenPipeError

    progress = StatusPrinter(Broken(), clock)
    progress.show(story(1).view())
    clock.now += 2
    progress.show(story(2).view())
    progress.close()


def test_the_line_says_how_many_servers_work_while_one_is_out(story: type[Story]) -> None:
    told = story(2, replicas=("http://a:1/v1", "http://b:1/v1")).start(0, endpoint="http://a:1/v1")
    assert "servers" not in status_line(told.view())
    assert "1 of 2 servers up" in status_line(told.down("http://b:1/v1").view())
    assert "servers" not in status_line(told.up("http://b:1/v1").view())

"""Progress of a long job: lines for a log, a bar on a terminal, and nothing where neither helps."""

import io

import pytest

from orchestrator.terminal.progress import Progress


class Clock:
    """Seconds that only pass when a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    return Terminal()


def work(progress: Progress, clock: Clock, units: int, **fields: str) -> None:
    """`units` units of one second each."""
    for _ in range(units):
        clock.now += 1.0
        progress.advance(**fields)


def test_a_log_gets_a_line_now_and_then_with_the_time_to_go(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("questions", 3_000, stream=log, clock=clock, interval=60.0) as progress:
        work(progress, clock, 240)
    lines = log.getvalue().splitlines()
    assert len(lines) == 4
    assert lines[-1] == "240 of 3,000 questions, 8 %, 0:46:00 to go"


def test_the_last_count_is_printed_when_the_job_ends_between_two_lines(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("questions", 70, stream=log, clock=clock, interval=60.0) as progress:
        work(progress, clock, 70)
    assert log.getvalue().splitlines()[1:] == ["70 of 70 questions, 100 %"]


def test_a_short_job_prints_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with Progress("runs", 5) as progress:
        for _ in range(5):
            progress.advance()
    assert capsys.readouterr() == ("", "")


def test_units_finished_before_do_not_count_towards_the_speed(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("steps", 3_000, done=2_000, stream=log, clock=clock, interval=60.0) as progress:
        work(progress, clock, 60)
    assert log.getvalue() == "2,060 of 3,000 steps, 69 %, 0:15:40 to go\n"


def test_a_line_has_a_title_and_the_last_values(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("steps", 90, title="training", stream=log, clock=clock) as progress:
        work(progress, clock, 29, loss="0.50", rate="0.1")
        work(progress, clock, 1)
    assert log.getvalue() == "training: 30 of 90 steps, 33 %, 0:01:00 to go, loss 0.50, rate 0.1\n"


def test_without_a_known_total_a_line_has_the_count_alone(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("traces read", stream=log, clock=clock) as progress:
        work(progress, clock, 30)
    assert log.getvalue() == "30 traces read\n"


def test_the_count_can_be_set(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("pairs", 200, stream=log, clock=clock) as progress:
        clock.now += 30.0
        progress.update(50)
    assert log.getvalue() == "50 of 200 pairs, 25 %\n"


def test_a_terminal_gets_a_bar_and_no_lines(terminal: Terminal) -> None:
    with Progress("pairs", 4, title="[words]", stream=terminal, interval=0.0) as progress:
        progress.advance(loss="0.25")
        progress.say("epoch 1: done")
    shown = terminal.getvalue()
    assert "[words]: pairs" in shown
    assert "1/4" in shown
    assert "loss 0.25" in shown
    assert "epoch 1: done" in shown
    assert "1 of 4" not in shown


def test_a_terminal_shows_the_count_where_the_total_is_unknown(terminal: Terminal) -> None:
    with Progress("traces read", stream=terminal) as progress:
        progress.advance()
    assert "1/?" in terminal.getvalue()


def test_a_quiet_job_writes_nothing(clock: Clock) -> None:
    log = io.StringIO()
    with Progress("steps", 2, quiet=True, stream=log, clock=clock, interval=0.0) as progress:
        progress.advance()
        progress.say("not shown")
    assert log.getvalue() == ""

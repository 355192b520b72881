"""What is seen of a training while it goes on."""

import io
import math

import pytest

from judge_server.training.progress import TrainingProgress


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def run(
    losses: list[float], *, seconds: float = 1.0, **options: object
) -> tuple[str, TrainingProgress]:
    clock, stream = Clock(), io.StringIO()
    progress = TrainingProgress(stream, clock=clock, **options)
    with progress:
        for loss in losses:
            clock.now += seconds
            progress.step(loss)
    return stream.getvalue(), progress


def test_without_a_terminal_there_is_a_line_now_and_then_and_at_the_end() -> None:
    text, _ = run([1.0] * 25, steps=25, interval=10.0)
    steps = [line.split()[1] for line in text.splitlines()]
    assert steps == ["1/25", "11/25", "21/25", "25/25"]


def test_the_time_left_follows_from_the_steps_so_far() -> None:
    text, _ = run([0.5], seconds=60.0, steps=11)
    assert text == "step 1/11 loss 0.50000 ETA 10.0 min\n"


def test_a_resumed_training_reckons_with_its_own_speed() -> None:
    text, _ = run([0.5], seconds=60.0, steps=20, done=9, loss=0.5)
    assert text == "step 10/20 loss 0.50000 ETA 10.0 min\n"


def test_the_loss_is_smoothed_and_begins_with_the_first() -> None:
    _, progress = run([1.0, 0.0], steps=9)
    assert progress.loss == pytest.approx(0.98)
    _, nothing = run([], steps=9)
    assert math.isnan(nothing.loss)


def test_a_quiet_process_writes_nothing() -> None:
    text, progress = run([1.0, 1.0], steps=2, quiet=True)
    progress.say("not heard")
    assert text == ""


def test_on_a_terminal_a_bar_shows_loss_and_time_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with TrainingProgress(stream, steps=4) as progress:
        progress.step(0.25)
        progress.say("epoch 1: done")
    assert "1/4" in stream.getvalue()
    assert "loss 0.25000" in stream.getvalue()
    assert "ETA" in stream.getvalue()
    assert "epoch 1: done" in stream.getvalue()
    assert "step 1/4" not in stream.getvalue()

"""The state of a training."""

import math

import pytest

from judge_server.training.state import TrainingState

pytestmark = pytest.mark.slow  # imports torch


def test_the_loss_is_smoothed_and_begins_with_the_first() -> None:
    state = TrainingState()
    assert math.isnan(state.loss)
    state.count(1.0, seconds=2.0)
    assert state.loss == 1.0
    state.count(0.0, seconds=2.0)
    assert state.loss == pytest.approx(0.98)
    assert (state.steps, state.seconds) == (2, 4.0)

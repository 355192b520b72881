"""Best-of-infinity on examples worked by hand."""

import math

import numpy as np
import pytest

from orchestrator.core.commands import StartTrace
from orchestrator.core.engine import Engine
from orchestrator.core.events import TraceFinished, VoteCast
from orchestrator.core.policies.best_of_infinity import bayes_factor, mode_probability
from orchestrator.settings import Settings
from tests.support.world import opened, run_started


def test_of_two_equal_answers_each_is_the_mode_half_of_the_time() -> None:
    assert mode_probability((3, 3)) == pytest.approx(0.5, abs=1e-4)
    assert mode_probability((2, 2, 2)) == pytest.approx(1 / 3, abs=1e-4)


def test_two_answers_by_hand() -> None:
    # Beta(3, 1): the chance that the first frequency is above a half is 1 - (1/2)^3
    assert mode_probability((2, 0)) == pytest.approx(1 - 1 / 8, abs=1e-4)
    # Beta(4, 2): 1 - (1 + 5)/2^5
    assert mode_probability((3, 1)) == pytest.approx(1 - 6 / 32, abs=1e-4)


@pytest.mark.parametrize("counts", [(1, 0.3), (4, 2, 0.3), (30, 5, 5, 0.3), (128, 0.3)])
def test_the_integral_is_what_many_draws_would_say(counts: tuple[float, ...]) -> None:
    drawn = np.random.default_rng(0).dirichlet(np.array(counts) + 1.0, 40_000)
    share = float((drawn.argmax(axis=1) == 0).mean())
    assert mode_probability(counts) == pytest.approx(share, abs=0.012)


def test_the_bayes_factor_counts_the_unseen_answer_as_a_kind() -> None:
    probability = mode_probability((3, 1, 0.3))
    by_hand = 3 * probability / (1 - probability)
    assert bayes_factor((3, 1), 0.3) == pytest.approx(by_hand)
    assert bayes_factor((5000,), 0.3) == math.inf


def run(*answers: str | None, **policy: object) -> tuple[int, VoteCast | None]:
    """The traces started, and the vote, after traces have ended with these answers."""
    chosen = {"name": "best-of-infinity", "traces": 6, **policy}
    started = run_started(Settings.model_validate({"policy": chosen}))
    engine = Engine(started)
    outcomes = [engine.feed(started)]
    for trace, answer in enumerate(answers):
        engine.feed(opened(trace))
        outcomes.append(
            engine.feed(
                TraceFinished(
                    at=1.0,
                    trace=trace,
                    answer=answer,
                    raw_answer=answer,
                    finish_reason="stop",
                    tokens=5,
                )
            )
        )
    starts = [c for outcome in outcomes for c in outcome.commands if isinstance(c, StartTrace)]
    votes = [e for outcome in outcomes for e in outcome.events if isinstance(e, VoteCast)]
    return len(starts), votes[0] if votes else None


def test_goes_on_while_the_factor_is_small_and_ends_when_votes_agree() -> None:
    assert [round(bayes_factor((votes,), 0.3)) for votes in (1, 2, 3)] == [4, 9, 19]
    assert run("7") == (2, None)
    started, vote = run("7", "7", "7")
    assert (started, vote is not None) == (3, True)


def test_a_rival_asks_for_more_and_n_traces_are_the_most() -> None:
    assert run("7", "8", "7") == (4, None)
    started, vote = run("7", "8", "7", "8", "7", "8")
    assert started == 6
    assert vote is not None
    assert vote.answer == "7"


def test_traces_without_an_answer_have_no_vote() -> None:
    assert run(None, "7") == (3, None)
    assert run("7", "7", "7", min_ballots=4) == (4, None)

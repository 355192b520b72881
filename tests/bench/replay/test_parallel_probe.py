"""The parallel-probe policy on recorded probes."""

import functools

import pytest

from bench.data.recorded import RecordedQuestion
from bench.replay.parallel_probe import play_parallel_probe
from bench.replay.player import ReplayResult
from orchestrator.errors import DatasetError
from tests.support.recordings import INSTANT, probed

question = functools.partial(probed, probe_tokens=10)


def play(each: RecordedQuestion) -> ReplayResult:
    return play_parallel_probe(each, each.traces, INSTANT)


def test_a_majority_that_is_stable_for_eighteen_probes_ends_the_run() -> None:
    end = play(question(*[(1000, "2", ["1"] * 99)] * 3))
    assert (end.answer, end.sequential_tokens, end.tokens) == ("1", 180, 540)
    assert end.seconds == 180


def test_the_count_of_stable_probes_restarts_with_another_majority() -> None:
    end = play(question(*[(1000, "2", ["2"] * 5 + ["1"] * 94)] * 3))
    assert (end.answer, end.sequential_tokens) == ("1", 230)


def test_finished_traces_vote_with_their_own_answer() -> None:
    end = play(question((25, "1", ["2", "2"]), (30, "1", ["2", "2", "2"]), (12, None, ["2"])))
    assert (end.answer, end.tokens, end.sequential_tokens) == ("1", 67, 30)
    assert end.finished == ("1", "1", None)


def test_a_trace_that_disagrees_at_three_probes_after_the_warm_up_is_pruned() -> None:
    agreeing = [(1000, "1", ["1"] * 99)] * 3
    end = play(question(*agreeing, (1000, "2", ["2"] * 99)))
    assert end.tokens == 3 * 180 + 130  # probes 11, 12 and 13


def test_three_traces_are_never_pruned() -> None:
    end = play(question(*[(1000, "1", ["1"] * 99)] * 2, (1000, "2", ["2"] * 99)))
    assert end.tokens == 3 * 180


def test_agreement_in_between_restarts_the_count() -> None:
    probes = ["2"] * 12 + ["1"] + ["2"] * 86
    end = play(question(*[(1000, "1", ["1"] * 99)] * 3, (1000, "2", probes)))
    assert end.tokens == 3 * 180 + 160


def test_traces_recorded_without_probes_are_refused() -> None:
    with pytest.raises(DatasetError, match="without probes"):
        play(question((10, "1", []), probe_tokens=None))

"""Side by side until the lead, probes counted, is large enough; and the vote whose ties go by launch."""

import functools

import pytest

from bench.data.recorded import RecordedQuestion
from bench.replay.launch_vote import play_launch_vote
from bench.replay.player import ReplayResult
from bench.replay.probe_lead import play_probe_lead
from bench.replay.replay import ReplayPlan, replay_policy
from bench.replay.server import ServerModel
from bench.specs.policy_spec import parse_policies
from orchestrator.errors import ConfigError, DatasetError
from tests.support.recordings import INSTANT, probed

ONE_TOKEN_PROBES = ServerModel(
    first_token_seconds=0.0, step_seconds=1.0, step_seconds_per_stream=0.0, probe_tokens=1
)


question = functools.partial(probed, probe_tokens=500)


def play(each: RecordedQuestion, lead: float = 1.5) -> ReplayResult:
    return play_probe_lead(each, each.traces, ONE_TOKEN_PROBES, lead)


def test_a_probe_that_agrees_with_the_first_to_finish_settles_the_question() -> None:
    end = play(question((600, "1", ["2"]), (5000, "2", ["1", "2"]), (4000, "3", ["3", "3"])))
    assert (end.answer, end.sequential_tokens, end.seconds) == ("1", 600, 600)
    assert (end.tokens, end.probe_tokens, end.finished) == (3 * 600 + 2, 2, ("1",))
    assert end.lengths == {"finished": (600,), "stopped": (600, 600)}


def test_a_trace_that_does_not_agree_yet_is_asked_again_after_a_thousand_tokens() -> None:
    probes = ["2", "2", "1", "1", "1"]
    end = play(question((600, "1", []), (5000, "1", probes)))
    assert (end.answer, end.sequential_tokens, end.tokens) == ("1", 1600, 600 + 1600 + 2)


def test_what_no_finished_trace_said_counts_nothing() -> None:
    end = play(question((600, "1", []), (2000, "2", ["2"] * 3), (2500, "2", ["2"] * 4)))
    assert (end.answer, end.finished, end.sequential_tokens) == ("2", ("1", "2", "2"), 2500)


def test_traces_without_an_answer_have_no_vote() -> None:
    assert play(question((10, None, []), (20, None, []))).answer is None
    end = play(question((10, None, []), (20, "1", [])))
    assert (end.answer, end.tokens) == ("1", 30 + 1)


def test_a_smaller_lead_stops_at_the_first_to_finish() -> None:
    assert play(question((600, "1", []), (5000, "2", ["2"])), lead=1.0).sequential_tokens == 600


def test_recordings_without_probes_are_refused() -> None:
    with pytest.raises(DatasetError, match="without probes"):
        play(question((10, "1", []), probe_tokens=None))
    (spec,) = parse_policies(["probe-lead@2"])
    with pytest.raises(DatasetError, match="has no probes"):
        [*replay_policy(spec, [question((9, "1", []), probe_tokens=None)], ReplayPlan(), file="f")]


def test_a_tie_goes_to_the_trace_that_was_launched_first() -> None:
    traces = question((30, "2", []), (10, "1", []), (20, None, [])).traces
    end = play_launch_vote(traces, INSTANT)
    assert (end.answer, end.tokens, end.sequential_tokens) == ("2", 60, 30)
    assert play_launch_vote(traces[2:], INSTANT).answer is None


def test_both_are_policies_of_the_bench() -> None:
    each = question((600, "1", []), (5000, "1", ["1"] * 9), (700, "2", ["2"]))
    plan = ReplayPlan(resamples=3, server=INSTANT)
    sooner, later, vote, plain = (
        {outcome.sequential_tokens for outcome in replay_policy(spec, [each], plan, file="f")}
        for spec in parse_policies(
            ["probe-lead@3", "probe-lead@3:lead=9", "launch-vote@3", "cons@3"]
        )
    )
    assert (sooner, later, vote, plain) == ({600.0}, {5000.0}, {5000.0}, {5000.0})


@pytest.mark.parametrize("lead", ["0", "-1", "inf", "nan", "far"])
def test_a_lead_that_is_no_number_of_votes_is_refused(lead: str) -> None:
    with pytest.raises(ConfigError, match="votes above 0"):
        parse_policies([f"probe-lead@3:lead={lead}"])

"""Votes by recorded rewards in a replay, and recordings without them."""

from dataclasses import replace
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.readers import read_recorded
from bench.data.recorded import RecordedQuestion
from bench.replay.replay import ReplayPlan, replay_policy
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import parse_policies
from orchestrator.core.events import RewardFailed, TraceRewarded
from orchestrator.errors import DatasetError
from orchestrator.journal.journal import JournalWriter
from tests.support.recordings import recorded
from tests.support.story import Story


def rewarded(*traces: tuple[int, str | None, float | None]) -> RecordedQuestion:
    """A question of `(tokens, answer, reward)`; the right answer is 1."""
    question = recorded(*[(tokens, answer) for tokens, answer, _ in traces])
    given = [
        replace(trace, reward=reward)
        for trace, (_, _, reward) in zip(question.traces, traces, strict=True)
    ]
    return replace(question, traces=tuple(given))


QUESTION = rewarded((10, "2", 0.25), (20, "1", 0.75), (30, "2", 0.375), (40, None, None))


def outcome(policy: str, question: RecordedQuestion = QUESTION) -> Outcome:
    (found,) = replay_policy(
        parse_policies([policy])[0], [question], ReplayPlan(resamples=1), file="f"
    )
    return found


def test_recorded_rewards_decide_the_vote_and_their_tokens_are_counted() -> None:
    assert outcome("cons").answer == "2"
    best = outcome("cons:vote=best-of-n")
    assert (best.answer, best.correct) == ("1", True)
    assert best.reward_tokens == 10 + 20 + 30  # no answer, no reward
    assert outcome("cons").reward_tokens == 0
    assert outcome("cons:vote=reward").answer == "1"


def test_a_trace_whose_reward_failed_in_the_recording_fails_again() -> None:
    question = rewarded((10, "2", None), (20, "1", 0.5), (30, "2", 0.25))  # 2: mean 0.375 + 0.25
    assert outcome("cons:vote=reward", question).answer == "2"
    assert outcome("cons:vote=reward", question).reward_tokens == 50
    assert outcome("cons:vote=best-of-n", question).answer == "1"


def test_a_recording_without_rewards_is_refused() -> None:
    with pytest.raises(DatasetError, match=r"f has no rewards \(question 'q'\), which") as caught:
        outcome("cons:vote=best-of-n", recorded((10, "1"), (20, "2")))
    assert "--reward-endpoint URL" in str(caught.value)
    assert caught.value.exit_code == 2
    with pytest.raises(DatasetError, match="no rewards"):
        outcome("cons:vote=reward", rewarded((10, "1", None), (20, "2", None)))


def test_a_run_keeps_its_rewards_for_replay(
    tmp_path: Path, story: type[Story], capsys: pytest.CaptureFixture[str]
) -> None:
    told = story(3, gold="42", settings={"policy": {"name": "consensus"}})
    told.start(0, 1, 2)
    for trace in range(3):
        told.tokens(trace, 30).finish(trace, 30, "42" if trace == 1 else "7")
    for trace, reward in ((0, 0.25), (1, 0.75)):
        told.events.append(
            TraceRewarded(at=9.0, trace=trace, reward=reward, prompt_tokens=40, seconds=0.5)
        )
    told.events.append(RewardFailed(at=9.0, trace=2, message="down"))
    told.end("42")
    with JournalWriter.create(tmp_path / "run") as journal:
        for event in told.events:
            journal.write(event)
    (question,) = read_recorded(tmp_path / "run")
    assert [trace.reward for trace in question.traces] == [0.25, 0.75, None]
    flags = ["--policy", "cons@3:vote=best-of-n", "--resamples", "2", "--json"]
    assert main(["run", "--replay", str(tmp_path / "run"), *flags]) == 0
    printed = capsys.readouterr()
    assert '"accuracy": 1.0' in printed.out
    assert "cons@3:vote=best-of-n: the reward model read 60.0 tokens per question" in printed.err

"""Prefixes of recorded traces that end at their checkpoints."""

from bench.data.recorded import RecordedTrace
from bench.replay.prefixes import Prefix, checkpoint_prefix
from orchestrator.settings import CheckpointSettings


def test_a_prefix_ends_at_its_reasoning_word() -> None:
    settings = CheckpointSettings(words=2)
    trace = RecordedTrace(tokens=10, answer="1", text="so it is. wait, no: so " + "." * 27)
    assert checkpoint_prefix(trace, settings) == Prefix("so it is. wait,", 3)
    short = RecordedTrace(tokens=10, answer="1", text="so it is")
    assert checkpoint_prefix(short, settings) is None


def test_a_prefix_of_tokens_needs_no_text() -> None:
    settings = CheckpointSettings(unit="tokens", tokens=4)
    assert checkpoint_prefix(RecordedTrace(tokens=10, answer="1"), settings) == Prefix("", 4)
    assert checkpoint_prefix(RecordedTrace(tokens=4, answer="1"), settings) is None
    text = RecordedTrace(tokens=8, answer="1", text="abcdefgh")
    assert checkpoint_prefix(text, settings) == Prefix("abcd", 4)

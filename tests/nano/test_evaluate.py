"""The behaviour table, on traces made by hand; and the shipped weights' folder."""

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
from tokenizers import Tokenizer

from nano.evaluate import (
    WEIGHTS,
    SampledTrace,
    checkpoint_prefix,
    kept_traces,
    measure_behaviour,
    read_sampled_traces,
    same_answer_fraction,
    to_trace,
    vote,
)
from orchestrator.questions import Question

TRACE = SampledTrace("q1", "2+2?", "4", "m", "r", 0, "<think>\nSo 4.", "4", "stop", 10)
TOKENIZER = Tokenizer.from_file(str(WEIGHTS / "tokenizer.json"))


def answered(*answers: str | None) -> list[SampledTrace]:
    return [replace(TRACE, answer=answer, trace=n) for n, answer in enumerate(answers)]


def test_pairs_count_only_traces_with_an_answer() -> None:
    assert same_answer_fraction(answered("4", "4", "5", None)) == pytest.approx(1 / 3)
    assert same_answer_fraction(answered("4", None)) is None


def test_the_vote_ignores_traces_without_an_answer() -> None:
    assert vote(answered(None, None, "5")) == "5"
    assert vote(answered(None, None)) is None


def test_the_checkpoint_is_the_twenty_fifth_reasoning_word() -> None:
    text = "So wait. " * 13
    assert checkpoint_prefix(text) == "So wait. " * 12 + "So"
    assert checkpoint_prefix("So wait. " * 12) is None


def test_the_table_of_a_few_traces() -> None:
    long = replace(TRACE, text="so " * 30, tokens=100, answer=None, finish_reason="length")
    behaviour = measure_behaviour([*answered("4", "4", "5"), long], TOKENIZER)
    assert behaviour.pass_at_1 == 0.5
    assert behaviour.cons == 1
    assert behaviour.never_finished == behaviour.without_answer == 0.25
    assert behaviour.finished_before_checkpoint == 0.75
    assert behaviour.median_tokens == 10


def test_a_reply_becomes_a_line_that_is_read_back(tmp_path: Path) -> None:
    reply: dict[str, object] = {
        "choices": [
            {"message": {"content": "<think>\n</think>\n\\boxed{4}"}, "finish_reason": "stop"}
        ],
        "usage": {"completion_tokens": 7},
    }
    trace = to_trace(reply, Question(id="q1", question="2+2?", gold="4"), "fixed", 3)
    assert (trace.answer, trace.tokens, trace.trace) == ("4", 7, 3)
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(asdict(trace)))
    assert read_sampled_traces(file) == [trace]


def test_the_weights_folder_is_complete_and_small() -> None:
    names = {path.name for path in WEIGHTS.iterdir()}
    assert names >= {
        "README.md", "config.json", "generation_config.json", "model.safetensors", "tokenizer.json",
        "tokenizer_config.json", "training.json",
    }  # fmt: skip
    assert (WEIGHTS / "model.safetensors").stat().st_size < 10_000_000
    assert json.loads((WEIGHTS / "config.json").read_text())["architectures"] == [
        "Qwen3ForCausalLM"
    ]
    assert "chat_template" in json.loads((WEIGHTS / "tokenizer_config.json").read_text())


def test_an_interrupted_sampling_continues_after_its_last_complete_line(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    line = json.dumps(asdict(TRACE)) + "\n"
    file.write_text(line + line[:20])
    assert kept_traces(file) == [TRACE]
    assert file.read_text() == line
    assert kept_traces(tmp_path / "absent.jsonl") == []
    assert kept_traces(None) == []

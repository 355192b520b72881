"""Pairs to measure on: from traces, or as they stand in a file."""

import json
from functools import partial
from pathlib import Path

import pytest

from judge_server.data.alpaca import record_of
from judge_server.data.labels import AnswerEquality
from judge_server.data.pairs import Pair
from judge_server.data.truncation import Truncation
from judge_server.evaluation.pair_source import FilePairSource, SamplingOptions, TracePairSource
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, DatasetError

import msgspec  # isort: skip

CUT = Truncation(3)


def trace(question: str, number: int, **more: object) -> dict[str, object]:
    return {
        "question_id": question,
        "question": f"How many {question}?",
        "text": f"so {number}. so {number}. so {number}. so, 7.",
        "answer": str(number % 2),
        **more,
    }


def write(file: Path, rows: list[dict[str, object]]) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return write(tmp_path / "t.jsonl", [trace(f"q{n // 6}", n % 6) for n in range(30)])


def test_the_pairs_of_a_question_do_not_depend_on_the_other_questions(file: Path) -> None:
    source = TracePairSource([file], SamplingOptions(pairs_per_question=5, seed=3))
    all_of_them, counts = source.pairs(source.questions, CUT)
    some, _ = source.pairs(["q3", "q1"], CUT)
    assert (counts.pairs, counts.capped) == (25, 50)
    assert some == [
        pair for name in ("q3", "q1") for pair in all_of_them if pair.question_id == name
    ]


def test_another_seed_draws_other_pairs(file: Path) -> None:
    one, two = (
        TracePairSource([file], SamplingOptions(pairs_per_question=5, seed=seed)).pairs(["q0"], CUT)
        for seed in (0, 1)
    )
    assert one != two


def test_equal_answers_are_those_of_a_class_or_of_equal_value(tmp_path: Path) -> None:
    rows = [
        trace("q", 0, answer="0.5"),
        trace("q", 1, answer=r"\frac{1}{2}"),
        trace("q", 2, answer="2"),
    ]
    by_value, _ = TracePairSource([write(tmp_path / "v", rows)], SamplingOptions()).pairs(
        ["q"], CUT
    )
    assert sum(pair.same for pair in by_value) == 1
    classed = [row | {"answer_class": number // 2} for number, row in enumerate(reversed(rows))]
    by_class, _ = TracePairSource([write(tmp_path / "c", classed)], SamplingOptions()).pairs(
        ["q"], CUT
    )
    assert [pair.same for pair in by_class].count(True) == 1
    assert all("so 2" in pair.new + pair.member for pair in by_class if pair.same)


def test_pairs_whose_answers_could_not_be_compared_are_left_out_with_a_message(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hasty = partial(AnswerEquality, timeout_seconds=0.001)
    monkeypatch.setattr("judge_server.evaluation.pair_source.AnswerEquality", hasty)
    rows = [trace("q", 0, answer=r"\sqrt{2} + 1"), trace("q", 1, answer=r"1 + \sqrt{2}")]
    pairs, counts = TracePairSource([write(tmp_path / "t", rows)], SamplingOptions()).pairs(
        ["q"], CUT
    )
    assert pairs == []
    assert (counts.pairs, counts.undecided) == (0, 1)
    assert (
        "1 pairs left out: their answers could not be compared in time" in capsys.readouterr().err
    )


def test_short_traces_are_kept_or_dropped(tmp_path: Path) -> None:
    rows = [trace("q", n) for n in range(4)] + [trace("q", 9, text="so what?")]
    file = write(tmp_path / "t.jsonl", rows)
    kept, _ = TracePairSource([file], SamplingOptions(short="keep")).pairs(["q"], CUT)
    dropped, counts = TracePairSource([file], SamplingOptions(short="drop")).pairs(["q"], CUT)
    assert (len(kept), len(dropped)) == (10, 6)
    assert counts.short_dropped == 1


def test_a_cut_by_tokens_needs_a_tokenizer(file: Path, folder: Path) -> None:
    with pytest.raises(ConfigError, match="--tokenizer"):
        TracePairSource([file], SamplingOptions()).pairs(["q0"], Truncation(4, "tokens"))
    found, _ = TracePairSource([file], SamplingOptions(tokenizer=folder)).pairs(
        ["q0"], Truncation(4, "tokens")
    )
    assert {len(pair.new) for pair in found} == {4}  # the tokenizer knows letters only


def test_pairs_of_a_file_are_taken_as_they_are_up_to_the_cap(
    tmp_path: Path, spec: JudgeSpec
) -> None:
    pairs = [Pair(f"q{n // 4}", "?", f"so {n}", "so", n % 3 > 0, "m") for n in range(12)]
    file = tmp_path / "pairs.jsonl"
    file.write_bytes(b"\n".join(msgspec.json.encode(record_of(pair, spec)) for pair in pairs))
    found, counts = FilePairSource(file, SamplingOptions()).pairs(["q0", "q2"], CUT)
    assert found == pairs[:4] + pairs[8:]
    assert (counts.pairs, counts.same) == (8, sum(pair.same for pair in found))
    capped, counts = FilePairSource(file, SamplingOptions(pairs_per_question=3)).pairs(
        ["q0", "q2"], CUT
    )
    assert (len(capped), counts.capped) == (6, 2)
    assert {pair.new for pair in capped} <= {pair.new for pair in found}


def test_a_file_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "none.json").write_text("[\n]\n")
    with pytest.raises(DatasetError, match="holds no pairs"):
        FilePairSource(tmp_path / "none.json", SamplingOptions())

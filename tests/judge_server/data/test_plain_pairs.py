"""Pairs of the published judge's data set: instruction, input and output, without question ids."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from judge_server.cli.main import main
from judge_server.data.alpaca import read_pairs
from judge_server.data.plain_pairs import read_plain_pairs
from orchestrator.errors import DatasetError


def record(
    new: str,
    member: str,
    *,
    same: bool,
    marks: Sequence[str] = ("Trace 1:", "Trace 2:"),
    head: str = "",
) -> dict[str, str]:
    return {
        "instruction": "Do these traces end alike?",
        "input": f"{head}{marks[0]}\n{new}\n\n{marks[1]}\n{member}",
        "output": "identical" if same else "not identical",
    }


def write(file: Path, records: list[dict[str, str]]) -> Path:
    file.write_text(json.dumps(records, indent=2))
    return file


@pytest.mark.parametrize(
    "marks",
    [
        ("Trace 1:", "Trace 2:"),
        ("## Solution A:", "## Solution B:"),
        ("[Reasoning 1]", "[Reasoning 2]"),
        ("**The first Response 1:**", "**The second Response 2:**"),
        ("<trace 1>", "<trace 2>"),
    ],
)
def test_the_traces_are_found_behind_their_marks(tmp_path: Path, marks: tuple[str, str]) -> None:
    one = record("so 1", "so 2", same=True, marks=marks, head="Problem: How many?\n\n")
    (pair,) = read_pairs(write(tmp_path / "train.json", [one]))
    assert (pair.new, pair.member, pair.same) == ("so 1", "so 2", True)
    assert pair.question == "Problem: How many?"


def test_pairs_that_share_a_trace_are_of_one_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [
        record("a", "b", same=True),
        record("b", "c", same=False),
        record("x", "y", same=True),
        record("z", "c", same=True),
    ]
    names = [pair.question_id for pair in read_pairs(write(tmp_path / "t.json", records))]
    assert names[0] == names[1] == names[3] != names[2]
    assert "4 pairs are split by text, into 2 questions" in capsys.readouterr().err


def test_pairs_with_the_same_problem_are_of_one_question(tmp_path: Path) -> None:
    records = [
        record("a", "b", same=True, head="Problem: P\n"),
        record("c", "d", same=False, head="Problem: P\n"),
        record("e", "f", same=False, head="Problem: Q\n"),
    ]
    names = [pair.question_id for pair in read_pairs(write(tmp_path / "t.json", records))]
    assert names[0] == names[1] != names[2]


def test_json_lines_may_be_compressed(tmp_path: Path) -> None:
    lines = "".join(json.dumps(record("a", f"b{n}", same=bool(n))) + "\n" for n in range(2))
    file = tmp_path / "pairs.jsonl.gz"
    file.write_bytes(gzip.compress(lines.encode()))
    assert [pair.same for pair in read_pairs(file)] == [False, True]


def test_another_output_is_refused(tmp_path: Path) -> None:
    wrong = record("a", "b", same=True) | {"output": "maybe"}
    with pytest.raises(DatasetError, match="record 1 has the output 'maybe'"):
        list(read_pairs(write(tmp_path / "t.json", [wrong])))


def test_traces_without_marks_are_refused(tmp_path: Path) -> None:
    wrong = record("a", "b", same=True) | {"input": "first this, then that"}
    with pytest.raises(DatasetError, match="does not mark its two traces"):
        list(read_pairs(write(tmp_path / "t.json", [wrong])))


@pytest.mark.parametrize("content", ["[]", "", '[{"input": "x"}]', "{", '{"a": 1}\n'])
def test_files_of_another_form_are_left_to_the_other_reader(tmp_path: Path, content: str) -> None:
    file = tmp_path / "t.json"
    file.write_text(content)
    assert read_plain_pairs(file) is None


def test_such_pairs_are_evaluated_without_metadata(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    records = [
        record(f"q{q} so {n}", f"q{q} so {n + 1 + n % 2}", same=n % 2 == 0)
        for q in range(6)
        for n in range(6)
    ]
    file = write(tmp_path / "test.json", records)
    assert main(["evaluate", "--pairs", str(file), "--judge", "words", "--json"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)["pairs"] == 36
    assert "has no question ids" in shown.err


def test_a_byte_order_mark_is_no_part_of_the_first_record(tmp_path: Path) -> None:
    file = write(tmp_path / "pairs.json", [record("so 4", "so 5", same=False)])
    file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert [pair.same for pair in read_pairs(file)] == [False]

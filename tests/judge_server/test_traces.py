"""Trace files: what is read, and how a bad one is refused."""

import gzip
import json
from pathlib import Path

import pytest

from judge_server.traces import group_by_question, read_traces
from orchestrator.errors import DatasetError

LINE = {"question_id": "q1", "question": "How many?", "trace": 3, "text": "So 4.", "answer": "4"}


def test_a_line_becomes_a_trace_and_unknown_fields_are_passed_over(tmp_path: Path):
    file = tmp_path / "traces.jsonl"
    file.write_text(
        json.dumps(LINE) + "\n\n" + json.dumps(LINE | {"answer": None, "new": 1}) + "\n"
    )
    first, second = read_traces(file)
    assert (first.question_id, first.text, first.answer) == ("q1", "So 4.", "4")
    assert second.answer is None


def test_a_gzipped_file_reads_the_same(tmp_path: Path):
    file = tmp_path / "traces.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(LINE).encode()))
    assert [row.answer for row in read_traces(file)] == ["4"]


@pytest.mark.parametrize(
    "bad", ['{"question_id": "q1"', '{"question_id": "q1", "question": "?"}', "[]"]
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, bad: str):
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(LINE) + "\n" + bad + "\n")
    with pytest.raises(DatasetError, match=r"traces\.jsonl line 2 is not a trace"):
        list(read_traces(file))


def test_a_missing_file_is_refused(tmp_path: Path):
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_traces(tmp_path / "nowhere.jsonl"))


def test_a_torn_archive_is_refused(tmp_path: Path):
    file = tmp_path / "traces.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(LINE).encode() * 50)[:-12])
    with pytest.raises(DatasetError):
        list(read_traces(file))


def test_traces_are_grouped_by_question_even_when_scattered(tmp_path: Path):
    file = tmp_path / "traces.jsonl"
    names = ["b", "a", "b"]
    file.write_text("".join(json.dumps(LINE | {"question_id": name}) + "\n" for name in names))
    groups = group_by_question(read_traces(file))
    assert {name: len(rows) for name, rows in groups.items()} == {"b": 2, "a": 1}
    assert list(groups) == ["b", "a"]

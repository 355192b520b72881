"""Trace files: what is read, and how a bad one is refused."""

import gzip
import json
import sys
from pathlib import Path

import pyarrow
import pytest
from pyarrow import parquet

from judge_server.data.traces import (
    group_by_question,
    read_all_traces,
    read_traces,
    source_files,
)
from orchestrator.core.events import RunStarted, TokensArrived, TraceFinished, TraceStopped
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.journal.journal import JournalWriter
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities

LINE = {"question_id": "q1", "question": "How many?", "trace": 3, "text": "So 4.", "answer": "4"}


def test_a_line_becomes_a_trace_and_unknown_fields_are_passed_over(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(
        json.dumps(LINE) + "\n\n" + json.dumps(LINE | {"answer": None, "new": 1}) + "\n"
    )
    first, second = read_traces(file)
    assert (first.question_id, first.text, first.answer) == ("q1", "So 4.", "4")
    assert second.answer is None


def test_a_gzipped_file_reads_the_same(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(LINE).encode()))
    assert [row.answer for row in read_traces(file)] == ["4"]


@pytest.mark.parametrize(
    "bad", ['{"question_id": "q1"', '{"question_id": "q1", "question": "?"}', "[]"]
)
def test_a_bad_line_is_named_by_its_number(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(LINE) + "\n" + bad + "\n")
    with pytest.raises(DatasetError, match=r"traces\.jsonl line 2 is not a trace"):
        list(read_traces(file))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="cannot be read"):
        list(read_traces(tmp_path / "nowhere.jsonl"))


def test_a_torn_archive_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl.gz"
    file.write_bytes(gzip.compress(json.dumps(LINE).encode() * 50)[:-12])
    with pytest.raises(DatasetError):
        list(read_traces(file))


def test_traces_are_grouped_by_question_even_when_scattered(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    names = ["b", "a", "b"]
    rows = [LINE | {"question_id": name, "question": f"What is {name}?"} for name in names]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    groups = group_by_question(read_traces(file))
    assert {name: len(rows) for name, rows in groups.items()} == {"b": 2, "a": 1}
    assert list(groups) == ["b", "a"]


def test_one_text_under_two_ids_is_one_question(tmp_path: Path) -> None:
    rows = [LINE | {"question_id": "b"}, LINE | {"question_id": "a"}]
    assert list(group_by_question(read_traces(written(tmp_path, *rows)))) == ["b"]


def test_two_texts_under_one_id_are_refused(tmp_path: Path) -> None:
    file = written(tmp_path, LINE, LINE | {"question": "Another one?"})
    with pytest.raises(DatasetError, match="two different questions the id"):
        group_by_question(read_traces(file))


def written(tmp_path: Path, *rows: dict[str, object]) -> Path:
    file = tmp_path / "traces.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def without_answer(**fields: object) -> dict[str, object]:
    return {name: value for name, value in LINE.items() if name != "answer"} | fields


def test_a_missing_answer_is_read_from_the_text_and_a_null_one_is_not(tmp_path: Path) -> None:
    text = r"So \boxed{4}"
    file = written(
        tmp_path,
        without_answer(text=text),
        LINE | {"text": text, "answer": None},
        LINE | {"text": text, "answer": " "},
        without_answer(text=text, finish_reason="length"),
        without_answer(text="total: 5"),
    )
    assert [row.answer for row in read_traces(file)] == ["4", None, None, None, None]
    by_regex = read_traces(file, answer_regex=r"total: (\d+)")
    assert [row.answer for row in by_regex] == ["4", None, None, None, "5"]


def test_numbers_stand_for_their_spelling(tmp_path: Path) -> None:
    (row,) = read_traces(written(tmp_path, LINE | {"question_id": 7, "answer": 4, "gold": 2.5}))
    assert (row.question_id, row.answer, row.gold) == ("7", "4", "2.5")


def test_bytes_that_are_no_text_are_named_by_their_line(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(json.dumps(LINE).encode() + b'\n{"question_id": "\xff"}\n')
    with pytest.raises(DatasetError, match="line 2 is not a trace"):
        list(read_traces(file))


def test_a_parquet_file_reads_the_same(tmp_path: Path) -> None:
    rows = [LINE | {"trace": number, "answer": None if number == 2 else "4"} for number in range(5)]
    file = tmp_path / "traces.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), file, row_group_size=2)
    assert list(read_traces(file)) == list(read_traces(written(tmp_path, *rows)))


def test_a_table_without_answers_is_read_for_them_and_a_missing_number_is_none(
    tmp_path: Path,
) -> None:
    rows = [without_answer(text=r"\boxed{9}", gold=float("nan"))]
    file = tmp_path / "traces.parquet"
    parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    (row,) = read_traces(file)
    assert (row.answer, row.gold) == ("9", None)


@pytest.mark.parametrize(
    ("rows", "message"),
    [([{"question_id": "q1"}], "row 1 is not a trace"), (None, "cannot be read")],
)
def test_a_parquet_file_that_holds_no_traces_is_refused(
    tmp_path: Path, rows: list[dict[str, object]] | None, message: str
) -> None:
    file = tmp_path / "traces.parquet"
    file.write_bytes(b"PAR1 and no table")
    if rows:
        parquet.write_table(pyarrow.Table.from_pylist(rows), file)
    with pytest.raises(DatasetError, match=message):
        list(read_traces(file))


def test_without_pyarrow_a_parquet_file_is_answered_with_the_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(ConfigError, match="run pip install pyarrow"):
        list(read_traces(tmp_path / "traces.parquet"))


def recorded(folder: Path, *answers: str | None) -> Path:
    """The journal of a run whose traces gave these answers; None stands for one that was pruned."""
    started = RunStarted(
        at=0.0,
        question_id="q1",
        question="How many?",
        gold="4",
        planned=len(answers),
        settings=Settings(),
        capabilities=capabilities(),
    )
    with JournalWriter.create(folder) as journal:
        journal.write(started)
        for trace, answer in enumerate(answers):
            journal.write(TokensArrived(at=1.0, trace=trace, text=f"So {answer}.", tokens=2))
            journal.write(
                TraceStopped(at=2.0, trace=trace, reason="pruned", tokens=2)
                if answer is None
                else TraceFinished(
                    at=2.0,
                    trace=trace,
                    answer=answer,
                    raw_answer=answer,
                    finish_reason="stop",
                    tokens=2,
                )
            )
    return folder / "journal.jsonl"


def test_the_finished_traces_of_recorded_runs_are_rows(tmp_path: Path) -> None:
    first = recorded(tmp_path / "run" / "0001-a", "4", None, "5")
    second = recorded(tmp_path / "run" / "0002-b", "4")
    assert source_files(tmp_path / "run") == [first, second]
    rows = list(read_traces(tmp_path / "run"))
    assert [(row.text, row.answer) for row in rows] == [
        ("So 4.", "4"),
        ("So 5.", "5"),
        ("So 4.", "4"),
    ]
    assert {(row.question_id, row.question, row.model, row.gold) for row in rows} == {
        ("q1", "How many?", "nano", "4")
    }
    assert list(read_traces(second)) == rows[2:]


def test_a_folder_without_a_journal_and_a_damaged_journal_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"holds no journal\.jsonl"):
        list(read_traces(tmp_path))
    journal = recorded(tmp_path / "run", "4")
    journal.write_bytes(journal.read_bytes() + b"{}\n")
    with pytest.raises(DatasetError, match=r"Line \d+ of .*journal\.jsonl"):
        list(read_traces(tmp_path / "run"))


def test_classes_of_two_files_are_not_compared(tmp_path: Path) -> None:
    files = []
    for name, models in (("one", "ab"), ("two", "bc")):
        file = tmp_path / f"{name}.jsonl"
        lines = [
            {
                "question_id": "q",
                "question": "?",
                "text": "so",
                "answer": "7",
                "model": m,
                "answer_class": 1,
            }
            for m in models
        ]
        file.write_text("".join(json.dumps(line) + "\n" for line in lines))
        files.append(file)
    found = [(row.model, row.answer_class) for row in read_all_traces(files)]
    assert found == [("a", 1), ("b", None), ("b", None), ("c", 1)]
    assert [row.answer_class for row in read_all_traces(files[:1])] == [1, 1]


def test_a_byte_order_mark_is_no_part_of_the_first_trace(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_bytes(b"\xef\xbb\xbf" + (json.dumps(LINE) + "\n").encode() * 2)
    assert [row.answer for row in read_traces(file)] == ["4", "4"]


def test_bottomless_nesting_is_no_trace(tmp_path: Path) -> None:
    file = tmp_path / "traces.jsonl"
    file.write_text(json.dumps(LINE)[:-1] + ', "x": ' + "[" * 5000 + "]" * 5000 + "}")
    with pytest.raises(DatasetError, match="line 1 is not a trace"):
        list(read_traces(file))

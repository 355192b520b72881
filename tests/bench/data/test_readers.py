import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from bench.data.readers import read_recorded
from judge_server.data.traces import source_files
from orchestrator.errors import DatasetError
from tests.support.recordings import probe_matrix, record_run


def traces_file(path: Path, *rows: dict[str, Any]) -> Path:
    lines = [
        json.dumps({"question_id": "a", "question": "2+2?", "gold": "4", **row}) for row in rows
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def refusal(path: Path) -> str:
    with pytest.raises(DatasetError) as caught:
        read_recorded(path)
    return str(caught.value)


# --- probe matrices -------------------------------------------------------------------------------


def test_a_probe_matrix_gives_lengths_answers_and_probes(tmp_path: Path) -> None:
    path = probe_matrix(
        tmp_path / "m.json", ("4", [(["5", "4"], 900, "4"), (["5"], 300, "ERR"), ([], 10, 5)])
    )
    (question,) = read_recorded(path)
    assert [(t.tokens, t.answer, t.probes) for t in question.traces] == [
        (900, "4", ("5", "4")),
        (300, None, ("5",)),
        (10, "5", ()),
    ]
    assert question.correct == {"4"}
    assert (question.probe_tokens, question.has_text) == (500, False)


def test_spellings_of_one_answer_share_a_class(tmp_path: Path) -> None:
    path = probe_matrix(tmp_path / "m.json", ("033", [([], 10, "33"), (["33.0"], 10, "33.0")]))
    (question,) = read_recorded(path)
    assert {trace.answer for trace in question.traces} == {"33"}
    assert question.traces[1].probes == ("33",)
    assert question.correct == {"33"}


@pytest.mark.parametrize("text", ["[{}]", "{", '[{"question": "q", "gold_answer": "1"}]'])
def test_a_file_that_is_not_a_probe_matrix_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "m.json").write_text(text)
    assert "m.json is not a probe matrix" in refusal(tmp_path / "m.json")


# --- files of traces ------------------------------------------------------------------------------


def test_traces_keep_the_classes_that_their_file_names(tmp_path: Path) -> None:
    rows: list[dict[str, Any]] = [
        {"text": "so 4", "answer": "4", "answer_class": 0, "correct": True, "tokens": 7},
        {"text": "so four", "answer": "four", "answer_class": 0, "correct": True},
        {"text": "so 5", "answer": "5", "answer_class": 1, "correct": False},
        {"text": "so", "answer": None, "answer_class": 2, "correct": False},
    ]
    (question,) = read_recorded(traces_file(tmp_path / "t.jsonl", *rows))
    assert [trace.answer for trace in question.traces] == ["4", "4", "5", None]
    assert question.correct == {"4"}
    assert [trace.tokens for trace in question.traces][:2] == [7, 2]  # 7 characters, 2.8 a token
    assert question.has_text


def test_traces_without_grades_are_graded_here(tmp_path: Path) -> None:
    rows = [
        {"text": "x", "answer": "4.0"},
        {"text": "x", "answer": "4"},
        {"text": "x", "answer": "5"},
    ]
    (question,) = read_recorded(traces_file(tmp_path / "t.jsonl", *rows))
    assert [trace.answer for trace in question.traces] == ["4.0", "4.0", "5"]
    assert question.correct == {"4.0"}


def test_an_empty_answer_is_none_and_a_missing_one_is_read_from_the_text(tmp_path: Path) -> None:
    path = traces_file(
        tmp_path / "t.jsonl",
        {"question_id": 7, "gold": 4, "text": r"\boxed{4}", "answer": ""},
        {"question_id": 7, "gold": 4, "text": r"\boxed{4}", "answer": "  "},
        {"question_id": 7, "gold": 4, "text": r"\boxed{4}", "answer": None},
        {"question_id": 7, "gold": 4, "text": r"\boxed{4}"},
        {"question_id": 7, "gold": 4, "text": r"</think>\boxed{4", "finish_reason": "length"},
        {"question_id": 7, "gold": 4, "text": "4.0", "answer": 4.0},
    )
    (question,) = read_recorded(path)
    assert question.id == "7"
    assert [trace.answer for trace in question.traces] == [None, None, None, "4", None, "4"]
    assert question.correct == {"4"}


def test_traces_may_have_probes_of_every_so_many_tokens(tmp_path: Path) -> None:
    own = {"answer_class": 1, "correct": True}
    path = traces_file(
        tmp_path / "t.jsonl",
        {"text": "so", "tokens": 90, "answer": "4", "probe_freq": 40, "probes": [None, "4.0"]},
        {"text": "so", "tokens": 20, "answer": "4.0", "probe_freq": 40, "probes": []},
        {
            "question_id": "b",
            "text": "a",
            "answer": "4",
            "probe_freq": 40,
            "probes": ["7", 4],
            **own,
        },
        {"question_id": "c", "text": "a", "answer": "4", "probe_freq": 40, "probes": ["4"]},
        {"question_id": "c", "text": "a", "answer": "4", "probe_freq": 20, "probes": ["4"]},
        {"question_id": "d", "text": "a", "answer": "4", "probe_freq": 40},
    )
    one, graded, mixed, without = read_recorded(path)
    assert (one.probe_tokens, one.has_text) == (40, True)
    assert [trace.probes for trace in one.traces] == [("ERR", "4"), ()]
    assert (graded.probe_tokens, graded.traces[0].probes) == (40, ("7", "4"))
    assert (mixed.probe_tokens, without.probe_tokens) == (None, None)
    assert all(trace.probes == () for trace in (*mixed.traces, *without.traces))


def test_probes_at_every_no_tokens_are_refused(tmp_path: Path) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"tokens": 9, "probe_freq": 0, "probes": []})
    assert "t.jsonl line 1 is not a trace" in refusal(path)


def test_a_zipped_file_reads_the_same(tmp_path: Path) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"text": "x", "answer": "4"})
    zipped = tmp_path / "t.jsonl.gz"
    zipped.write_bytes(gzip.compress(path.read_bytes()))
    assert read_recorded(zipped) == read_recorded(path)


def test_questions_keep_their_order(tmp_path: Path) -> None:
    rows = [{"question_id": q, "text": "x", "answer": "4"} for q in ("b", "a", "b")]
    questions = read_recorded(traces_file(tmp_path / "t.jsonl", *rows))
    assert [(question.id, len(question.traces)) for question in questions] == [("b", 2), ("a", 1)]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    path.write_text('{"question_id": "a"}\n')
    assert "t.jsonl line 1 is not a trace" in refusal(path)


def test_a_trace_without_text_and_tokens_is_refused(tmp_path: Path) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"answer": "4"})
    assert "neither tokens nor text" in refusal(path)


def test_traces_without_grades_and_gold_answer_are_refused(tmp_path: Path) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"gold": None, "text": "x", "answer": "4"})
    assert "question 'a' has no gold answer" in refusal(path)


# --- journals of runs ---------------------------------------------------------------------------------


def test_a_finished_run_is_a_recording(tmp_path: Path) -> None:
    record_run(tmp_path / "0001-a", "a", ["4", None])
    (question,) = read_recorded(tmp_path)
    assert [(t.tokens, t.answer, t.text) for t in question.traces] == [
        (10, "4", "so 4"),
        (11, None, "so None"),
    ]
    assert question.correct == {"4"}


def test_a_run_that_kept_its_confidences_has_them_in_the_recording(tmp_path: Path) -> None:
    record_run(tmp_path / "run" / "0001-a", "a", ["4", "5"], confidences=(9.5, 8.0))
    (question,) = read_recorded(tmp_path / "run")
    assert [trace.confidences for trace in question.traces] == [(9.5, 8.0)] * 2
    row = {"text": "so 4", "answer": "4", "tokens": 2, "confidences": [9.5, 8.0]}
    (written,) = read_recorded(traces_file(tmp_path / "t.jsonl", row))
    assert written.traces[0].confidences == (9.5, 8.0)
    record_run(tmp_path / "plain" / "0001-a", "a", ["4", "5"])
    (plain,) = read_recorded(tmp_path / "plain")
    assert (question.has_confidences, plain.has_confidences) == (True, False)


def test_a_run_with_pruned_or_stopped_traces_is_not_a_recording(tmp_path: Path) -> None:
    record_run(tmp_path / "0001-a", "a", ["4", "stopped"])
    assert "1 traces that were pruned or stopped" in refusal(tmp_path)


def test_journals_that_a_resumed_run_set_aside_are_not_read(tmp_path: Path) -> None:
    record_run(tmp_path / "0001-a", "a", ["4"])
    record_run(tmp_path / ".0001-a.cut-1", "a", ["5"], finish=False)
    (question,) = read_recorded(tmp_path)
    assert [trace.answer for trace in question.traces] == ["4"]
    assert source_files(tmp_path) == [tmp_path / "0001-a" / "journal.jsonl"]


def test_an_unfinished_run_is_not_a_recording(tmp_path: Path) -> None:
    record_run(tmp_path / "0001-a", "a", ["4"], finish=False)
    assert "unfinished" in refusal(tmp_path)


# --- other files ---------------------------------------------------------------


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    assert "has no known format" in refusal(tmp_path / "x.csv")
    assert "has no known format" in refusal(tmp_path / "x")


def test_a_missing_empty_or_unreadable_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(tmp_path / "x.json")
    (tmp_path / "e.jsonl").write_text("\n")
    assert "has no traces" in refusal(tmp_path / "e.jsonl")
    (tmp_path / "g.json.gz").write_bytes(b"no")
    assert "not a complete gzip file" in refusal(tmp_path / "g.json.gz")
    (tmp_path / "l.json").write_bytes(b"\xff")
    assert "UTF-8" in refusal(tmp_path / "l.json")


# --- hostile files --------------------------------------------------------------------------------

NESTED = "[" * 5000 + "]" * 5000


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.jsonl", f'{{"question_id": 1, "question": "q", "text": "5", "x": {NESTED}}}'),
        ("p.jsonl", f'{{"problem_num": 1, "gold_answer": 5, "all_answers": {NESTED}}}'),
        ("m.json", f'[{{"question": "q", "each_branch": {NESTED}}}]'),
    ],
)
def test_bottomless_nesting_is_refused(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    assert str(path) in refusal(path)


@pytest.mark.parametrize("tokens", [-5, 10**19, 10**400])
def test_a_length_that_cannot_be_is_refused(tmp_path: Path, tokens: int) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"text": "so 4", "answer": "4", "tokens": tokens})
    assert "is not a trace" in refusal(path)


def test_a_byte_order_mark_is_no_part_of_the_first_trace(tmp_path: Path) -> None:
    path = traces_file(tmp_path / "t.jsonl", {"text": "so 4", "answer": "4", "tokens": 3})
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    (question,) = read_recorded(path)
    assert question.traces[0].answer == "4"

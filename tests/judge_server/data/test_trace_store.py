"""Cut traces are stored on disk; one question text is one question under any id."""

from pathlib import Path

import pytest

from judge_server.data.pairs import TraceGroup
from judge_server.data.trace_store import TraceStore
from judge_server.data.traces import TraceRow
from judge_server.data.truncation import SegmentedTrace, TruncationRules, cut_trace
from orchestrator.errors import DatasetError


def row(
    question_id: str = "q1",
    question: str = "How many?",
    model: str = "m",
    text: str = "so é\n4",
) -> TraceRow:
    return TraceRow(question_id, question, text, answer="4", model=model)


def stored(folder: Path, *rows: TraceRow) -> list[list[TraceGroup]]:
    with TraceStore(folder) as store:
        for one in rows:
            store.add(one, cut_trace(one, TruncationRules()))
        return list(store.groups())


def test_scattered_traces_come_back_by_question_and_model(tmp_path: Path) -> None:
    rows = [
        row(),
        row("q2", "Why?"),
        row(model="n"),
        row(text="so 5"),
        TraceRow("q2", "Why?", "cut short", answer=None, model="m"),
    ]
    first, second = stored(tmp_path, *rows)
    assert [(g.question_id, g.model, len(g.traces)) for g in first] == [
        ("q1", "m", 2),
        ("q1", "n", 1),
    ]
    assert first[0].question == "How many?"
    assert first[0].traces[0] == SegmentedTrace(
        "so é\n4", "4", ended_before=True, shows_answer=True
    )
    assert [(g.question, g.traces[1]) for g in second] == [("Why?", None)]
    assert not any(tmp_path.iterdir())


def test_one_text_under_two_ids_is_one_question(tmp_path: Path) -> None:
    with TraceStore(tmp_path) as store:
        for question_id, question in (
            ("a/1", "How many?"),
            ("b/1", "How  many?\n"),
            ("c/1", "Who?"),
        ):
            one = row(question_id, question)
            store.add(one, cut_trace(one, TruncationRules()))
        assert (store.questions, store.repeated_questions) == (2, 1)
        assert [groups[0].question_id for groups in store.groups()] == ["a/1", "c/1"]


def test_two_texts_under_one_id_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="two different questions the id 'q1'"):
        stored(tmp_path, row(), row(question="How few?"))


def test_questions_without_a_text_are_known_by_their_ids(tmp_path: Path) -> None:
    groups = stored(tmp_path, row("a", ""), row("b", ""), row("a", " "))
    assert [len(group.traces) for (group,) in groups] == [2, 1]

import json

import numpy as np
import pytest
from recordings import record_run as record

from bench import pairs, table, votes
from orchestrator.core.facts import (
    ClusterOpened,
    PairsJudged,
    RunStarted,
    TraceJoined,
)
from orchestrator.errors import DatasetError
from orchestrator.journal import JournalWriter


def test_the_vote_of_all_traces_is_the_recorded_majority(tmp_path):
    record(tmp_path / "0001-a", "a", ["4", "4", "5"])
    record(tmp_path / "0002-b", "b", ["5", "5", "4"])
    questions = list(votes.read_recorded(tmp_path))
    (point,) = votes.vote_curve(questions, [3], np.random.default_rng(0))
    assert point.accuracy == 0.5
    assert point.tokens_per_question == pytest.approx(33)


def test_one_vote_is_right_as_often_as_a_trace(tmp_path):
    record(tmp_path / "0001-a", "a", ["4", "4", "4", "5"])
    questions = list(votes.read_recorded(tmp_path))
    one, *more = votes.vote_curve(questions, [1, 9], np.random.default_rng(0))
    assert one.accuracy == pytest.approx(0.75, abs=0.1)
    assert more == []  # nobody has nine traces


def test_an_unfinished_or_ungraded_run_is_refused(tmp_path, capsys):
    record(tmp_path / "a", "a", ["4"], finish=False)
    with pytest.raises(DatasetError, match="unfinished"):
        list(votes.read_recorded(tmp_path))
    assert votes.main([str(tmp_path / "none")]) == 2
    assert "holds no journal" in capsys.readouterr().err


def test_the_curve_is_printed_as_a_table(tmp_path, capsys):
    record(tmp_path / "0001-a", "a", ["4", "4", "5"])
    assert votes.main([str(tmp_path), "--votes", "1", "3"]) == 0
    assert "| cons@3 | 1.000 |" in capsys.readouterr().out


def test_runs_stand_side_by_side(tmp_path, capsys):
    summary = {
        "questions": 2,
        "accuracy": 0.5,
        "accuracy_low": 0.1,
        "accuracy_high": 0.9,
        "saved": 0.25,
        "net_saved": -0.5,
        "ledger": {
            "reasoner": {"generated_tokens": 3000},
            "judge": {
                "calls": 10,
                "pairs": 40,
                "prompt_tokens": 900,
                "cached_prompt_tokens": 400,
                "completion_tokens": 0,
            },
            "equal_cost_votes": 7.25,
        },
    }
    (tmp_path / "summary.json").write_text(json.dumps({"schema": 1, "summary": summary}))
    assert table.main([f"mine={tmp_path}"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("| mine | 2 | 0.500 | 0.100 to 0.900 | 1,500 | 5.0 | 20.0 | 250 + 200 |")
    assert "25.0% | -50.0% | 7.2 |" in line


def test_a_run_without_a_summary_or_gold_answers_is_refused(tmp_path, capsys):
    assert table.main([f"x={tmp_path}"]) == 2
    (tmp_path / "summary.json").write_text('{"summary": {"accuracy": null}}')
    assert table.main([f"x={tmp_path}"]) == 2
    assert "no accuracy" in capsys.readouterr().err


def test_the_exhaustive_bill_follows_from_the_assignment(tmp_path, capsys):
    settings = {"policy": {"sample_members": 2}}
    started = RunStarted(
        at=0.0,
        question_id="q",
        question="?",
        gold=None,
        planned=5,
        settings=settings,
        capabilities={},
    )
    judged = PairsJudged(
        at=1.0,
        trace=1,
        members=(0,),
        probabilities=(0.9,),
        prompt_tokens=1,
        cached_prompt_tokens=0,
        completion_tokens=0,
        seconds=0.0,
    )
    with JournalWriter.create(tmp_path) as journal:
        journal.write(started)
        journal.write(ClusterOpened(at=1.0, trace=0, cluster=0, similarity=None))  # 0 pairs
        journal.write(judged)
        journal.write(TraceJoined(at=1.0, trace=1, cluster=0, similarity=0.9))  # 1
        journal.write(TraceJoined(at=1.0, trace=2, cluster=0, similarity=0.9))  # 2
        journal.write(ClusterOpened(at=1.0, trace=3, cluster=1, similarity=0.1))  # 2 of 3
        journal.write(TraceJoined(at=1.0, trace=4, cluster=1, similarity=0.9))  # 2 + 1
    assert pairs.count_pairs(tmp_path / "journal.jsonl") == (1, 8)
    assert pairs.main([str(tmp_path)]) == 0
    assert "1 pairs asked, 8 by the exhaustive rule" in capsys.readouterr().out
    assert pairs.main([str(tmp_path / "none")]) == 2

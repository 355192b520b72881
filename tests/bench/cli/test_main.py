import json
from pathlib import Path

import pytest

from bench.analysis.pair_counts import count_pairs
from bench.cli.main import main
from orchestrator.core.events import ClusterOpened, PairsJudged, RunStarted, TraceJoined
from orchestrator.journal.journal import JournalWriter
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities


def test_runs_stand_side_by_side(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
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
    assert main(["table", f"mine={tmp_path}"]) == 0
    line = capsys.readouterr().out.splitlines()[-1]
    assert line.startswith("| mine | 2 | 0.500 | 0.100 to 0.900 | 1,500 | 5.0 | 20.0 | 250 + 200 |")
    assert "25.0% | -50.0% | 7.2 |" in line


def test_a_run_without_a_summary_or_gold_answers_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["table", f"x={tmp_path}"]) == 2
    (tmp_path / "summary.json").write_text('{"summary": {"accuracy": null}}')
    assert main(["table", f"x={tmp_path}"]) == 2
    assert "no accuracy" in capsys.readouterr().err
    with pytest.raises(SystemExit) as caught:
        main(["table", str(tmp_path)])
    assert caught.value.code == 2
    assert "is not of the form NAME=RUN" in capsys.readouterr().err


def test_the_exhaustive_bill_follows_from_the_assignment(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = Settings.model_validate({"policy": {"name": "deepprune", "sample_members": 2}})
    started = RunStarted(
        at=0.0,
        question_id="q",
        question="?",
        gold=None,
        planned=5,
        settings=settings,
        capabilities=capabilities(),
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
    assert count_pairs(tmp_path / "journal.jsonl") == (1, 8)
    assert main(["pairs", str(tmp_path)]) == 0
    assert "1 pairs asked, 8 by the exhaustive rule" in capsys.readouterr().out
    assert main(["pairs", str(tmp_path / "none")]) == 2

import json
from pathlib import Path

import pytest

from orchestrator.cli.replay import main
from orchestrator.core.events import RunFinished, TraceJoined
from orchestrator.journal.journal import JournalWriter
from orchestrator.journal.replay import decisions, replay
from orchestrator.report.report import build_report, to_json_line
from orchestrator.report.view import RunView
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tests.support.world import Script, World


@pytest.fixture
def run_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run as the program leaves it, played by a small world."""
    settings = Settings.model_validate(
        {
            "policy": {"name": "deepprune", "traces": 5, "survivors": 2},
            "checkpoint": {"words": 2},
        }
    )
    scripts = [Script(["so ", "wait ", "then "], str(trace % 2)) for trace in range(5)]
    world = World(
        settings,
        scripts,
        judge=lambda t, m: 0.9 if t % 2 == m % 2 else 0.1,
        choose=lambda n: 0,
        servers=capabilities(),
    ).play()
    entries = list(decisions(world.events))
    entries.append(
        RunFinished(at=99.0, correct_answers=(), server_generated_tokens=None, interrupted=False)
    )
    view = RunView()
    with JournalWriter.create(tmp_path) as journal:
        for entry in entries:
            journal.write(entry)
            view.apply(entry)
    report = build_report(view, run_dir=str(tmp_path))
    (tmp_path / "report.json").write_text(to_json_line(report))
    return tmp_path


def test_a_run_replays_to_the_same_decisions_and_report(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay(run_dir).difference is None
    assert main([str(run_dir)]) == 0
    assert json.loads(capsys.readouterr().out)["traces"]["finished"] == 2


@pytest.mark.parametrize("name", ["demo-run", "auto-run"])
def test_the_runs_that_ship_replay_to_their_reports(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(Path(__file__).parents[3] / "nano" / name), "--summary"]) == 0
    assert capsys.readouterr().err == ""


def test_the_summary_is_for_people(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(run_dir), "--summary"]) == 0
    assert "deepprune" in capsys.readouterr().out


def test_a_changed_decision_is_found(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = run_dir / "journal.jsonl"
    text = journal.read_text()
    assert f'"{TraceJoined.__name__}"' in text
    journal.write_text(text.replace('"reason":"pruned"', '"reason":"stopped"', 1))
    assert main([str(run_dir)]) == 1
    assert "a fresh core gives" in capsys.readouterr().err


def test_an_event_that_cannot_come_is_found(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    journal = run_dir / "journal.jsonl"
    again = '{"type":"TraceFailed","at":9,"trace":0,"boundary":"server","message":"","tokens":0}'
    text = journal.read_text()
    journal.write_text(text + again + "\n")
    assert main([str(run_dir)]) == 1
    assert "was changed or damaged" in capsys.readouterr().err


def test_an_entry_too_many_is_found(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    journal = run_dir / "journal.jsonl"
    journal.write_text(journal.read_text() + '{"type":"FinishRun"}\n')
    assert main([str(run_dir)]) == 1
    assert "goes on with" in capsys.readouterr().err


def test_a_changed_report_is_found(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = run_dir / "report.json"
    report.write_text(report.read_text().replace('"finished": 2', '"finished": 3'))
    assert main([str(run_dir)]) == 1
    assert (
        "report.json has traces.finished = 3, but the journal gives 2." in capsys.readouterr().err
    )


def test_a_report_with_fewer_fields_is_compared_by_what_it_has(run_dir: Path) -> None:
    path = run_dir / "report.json"
    older = json.loads(path.read_text())
    del older["warnings"], older["ledger"]["reasoner"]["by_source"]
    path.write_text(json.dumps(older))
    assert main([str(run_dir)]) == 0


def test_one_cluster_less_is_found(run_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = run_dir / "report.json"
    report = json.loads(path.read_text())
    report["clusters"].pop()
    path.write_text(json.dumps(report))
    assert main([str(run_dir)]) == 1
    assert (
        "report.json has clusters.length = 1, but the journal gives 2." in capsys.readouterr().err
    )


def test_a_report_that_cannot_be_read_is_named(
    run_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (run_dir / "report.json").write_text("{")
    assert main([str(run_dir)]) == 1
    assert "report.json is not a report" in capsys.readouterr().err


def test_a_folder_without_a_journal_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path)]) == 1
    assert str(tmp_path) in capsys.readouterr().err


def test_an_empty_journal_holds_no_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "journal.jsonl").write_text("")
    assert main([str(tmp_path)]) == 1
    assert "holds no run" in capsys.readouterr().err

"""Confidences from real vLLM: DeepConf live, its journal replayed, and its recording in the benchmark."""

import json
from pathlib import Path

import pytest

from bench.cli.main import main as bench
from orchestrator.core.commands import StopTrace
from orchestrator.core.events import RunStarted, TokensArrived, TraceFinished
from orchestrator.journal.journal import read_journal
from orchestrator.journal.replay import replay
from orchestrator.report.report import to_json_line
from tests.support.command import orchestrate, until_idle

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(600, func_only=True)]

QUESTIONS = Path(__file__).parents[2] / "nano" / "data" / "questions.jsonl"
TRACES = 24
SETTINGS = ("--set", "policy.confidence_window=16", "--set", "policy.warm_up=6")


def question() -> str:
    """One on which the nano reasoner's traces fall apart, so that no consensus ends the run early."""
    return QUESTIONS.read_text().splitlines()[8]


async def test_deepconf_stops_unsure_traces_on_a_real_server(
    tmp_path: Path, reasoner_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = await orchestrate(
        json.loads(question())["question"],
        *("--endpoint", reasoner_url, "--json", "--traces", TRACES, "--policy", "deepconf-low"),
        *(*SETTINGS, "--set", "policy.consensus_share=1"),
        cwd=tmp_path,
    )
    assert ended.code == 0, ended.err
    (report,) = ended.reports
    entries = list(read_journal(tmp_path / report["run_dir"]))
    (started,) = [e for e in entries if isinstance(e, RunStarted)]
    assert started.capabilities.reasoner.confidences
    arrived = [e for e in entries if isinstance(e, TokensArrived)]
    assert all(len(e.confidences) == len(e.token_ids) for e in arrived)
    assert all(0 < confidence < 9999 for e in arrived for confidence in e.confidences)
    unsure = [e.trace for e in entries if isinstance(e, StopTrace) and e.reason == "unsure"]
    whole = [e.trace for e in entries if isinstance(e, TraceFinished)]
    assert unsure
    assert min(unsure) >= 6  # the warm-up runs to its end
    assert set(whole) >= set(range(6))
    assert report["answer"] is not None
    assert all(vote["weight"] > vote["ballots"] for vote in report["votes"])
    await until_idle(reasoner_url)
    monkeypatch.chdir(tmp_path)
    again = replay(Path(report["run_dir"]))
    assert again.difference is None
    assert json.loads(to_json_line(again.report)) == report


def test_a_recording_that_keeps_confidences_replays_deepconf(
    tmp_path: Path,
    reasoner_url: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = tmp_path / "one.jsonl"
    asked.write_text(question() + "\n")
    to = ["--endpoint", reasoner_url, "--questions", str(asked), "--out", str(tmp_path / "r")]
    kept = ["--set", "run.keep_confidences=true"]
    assert bench(["record", *to, *kept, "--traces", str(TRACES)]) == 0
    recording = capsys.readouterr().out.strip()
    live = [f"deepconf-{name}:confidence_window=16,warm_up=6" for name in ("low", "high")]
    policies = [*live, "deepconf-offline:confidence_window=16"]
    named = [argument for policy in policies for argument in ("--policy", policy)]
    assert bench(["run", "--replay", recording, *named, "--resamples", "3", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["policy"] for line in lines] == policies
    low, high, offline = (line["tokens_per_question"] for line in lines)
    assert 0 < low <= offline
    assert 0 < high <= offline

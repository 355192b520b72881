"""Probes of running traces, measured on servers that write at a set speed."""

import asyncio
import json
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.live.probing import ProbeEvery, measure_probes
from orchestrator.api import Client
from orchestrator.errors import ConfigError
from orchestrator.questions import Question, to_jsonl
from tests.support.paced_servers import PacedServers
from tests.support.recordings import probe_matrix

QUESTIONS = [Question(id=f"q{n}", question=f"{n}?") for n in range(2)]


async def test_every_trace_is_probed_again_and_again_and_finishes() -> None:
    done: list[None] = []
    servers = PacedServers(words=20, pause=0.01)
    async with (
        servers.serving(),
        Client(
            servers.reasoner.url,
            policy=ProbeEvery(traces=4, every=5),
            traces=4,
            settings={"model.force_answer": "So \\boxed{"},
        ) as client,
    ):
        probes = await measure_probes(
            client, QUESTIONS, at_once=1, advance=lambda: done.append(None)
        )
    assert len(done) == 2
    assert {probe.question for probe in probes} == {"q0", "q1"}
    assert 8 <= len(probes) <= 8 * 4
    assert all(probe.named == probe.final for probe in probes)
    assert {probe.leader for probe in probes} == {"26"}
    assert all(0 < probe.fraction <= 1 for probe in probes)


async def test_a_model_without_a_forced_ending_is_refused() -> None:
    async with (
        PacedServers().serving() as servers,
        Client(servers.reasoner.url, policy=ProbeEvery(4, 5), traces=4) as client,
    ):
        with pytest.raises(ConfigError, match="--preset"):
            await measure_probes(client, QUESTIONS, at_once=1, advance=lambda: None)


def test_a_recording_with_probes_gives_its_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = probe_matrix(
        tmp_path / "m.json", ("4", [(["5", "4"], 1100, "4"), (["5"], 600, "5"), ([], 10, "4")])
    )
    assert main(["probes", "--replay", str(path), "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert (rows[-1]["part"], rows[-1]["probes"], rows[-1]["precision"]) == ("all", 3, 0.6667)
    assert main(["probes", "--replay", str(path)]) == 0
    assert "66.7%" in capsys.readouterr().out


def test_without_probes_or_questions_there_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = probe_matrix(tmp_path / "m.json", ("4", [([], 10, "4")]))
    assert main(["probes", "--replay", str(path)]) == 2
    assert "holds no probes" in capsys.readouterr().err
    assert main(["probes"]) == 2
    assert "--questions" in capsys.readouterr().err


async def test_the_command_asks_live_servers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = tmp_path / "questions.jsonl"
    questions.write_text(to_jsonl(QUESTIONS))
    preset = tmp_path / "preset.yaml"
    preset.write_text('model: {force_answer: "So \\\\boxed{"}\n')
    async with PacedServers(words=20, pause=0.01).serving() as servers:
        words = ["probes", "--endpoint", servers.reasoner.url, "--preset", str(preset), "--json"]
        words += ["--questions", str(questions), "--traces", "2", "--every", "5", "--limit", "1"]
        assert await asyncio.to_thread(main, words) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert rows[-1]["precision"] == 1.0
    assert rows[-1]["tokens_per_probe"] == 2.0

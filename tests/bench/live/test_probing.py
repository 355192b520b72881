"""Probes of running traces, measured on servers that write at a set speed."""

import asyncio
import json
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.readers import read_recorded
from bench.data.recorded import NO_ANSWER
from bench.live.probing import ProbeEvery, filled, measure_probes
from judge_server.data.traces import read_traces
from orchestrator.api import Client
from orchestrator.errors import ConfigError
from orchestrator.questions import Question, to_jsonl
from tests.support.paced_servers import PacedServers
from tests.support.recordings import probe_matrix

QUESTIONS = [Question(id=f"q{n}", question=f"{n}?", gold="26") for n in range(2)]


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
        measured = await measure_probes(
            client, QUESTIONS, every=5, at_once=1, advance=lambda: done.append(None)
        )
    assert len(done) == 2
    probes = [probe for each in measured for probe in each.probes]
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
            await measure_probes(client, QUESTIONS, every=5, at_once=1, advance=lambda: None)


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
    assert main(["probes", "--replay", str(path), "--out", str(tmp_path / "o.json")]) == 2
    assert "leave it out with --replay" in capsys.readouterr().err


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
    async with PacedServers(answers=("26",), words=20, pause=0.01).serving() as servers:
        words = ["probes", "--endpoint", servers.reasoner.url, "--preset", str(preset), "--json"]
        words += ["--questions", str(questions), "--traces", "2", "--every", "5", "--limit", "1"]
        matrix = tmp_path / "matrix.json"
        assert await asyncio.to_thread(main, [*words, "--out", str(matrix)]) == 0
        live = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        texts = tmp_path / "traces.jsonl"
        assert await asyncio.to_thread(main, [*words, "--out", str(texts)]) == 0
        capsys.readouterr()
        nowhere = str(tmp_path / "missing" / "matrix.json")
        assert await asyncio.to_thread(main, [*words, "--out", nowhere]) == 2
        assert "choose another file with --out" in capsys.readouterr().err
    assert live[-1]["precision"] == 1.0
    assert live[-1]["tokens_per_probe"] == 2.0
    for written, has_text in ((matrix, False), (texts, True)):
        (question,) = await asyncio.to_thread(read_recorded, written)
        assert (question.probe_tokens, question.correct) == (5, frozenset({"26"}))
        assert [trace.answer for trace in question.traces] == ["26", "26"]
        assert all(trace.tokens >= 20 for trace in question.traces)
        assert all({*trace.probes} <= {"26", NO_ANSWER} for trace in question.traces)
        assert any(trace.probes for trace in question.traces)
        assert question.has_text == has_text
        words = ["probes", "--replay", str(written), "--json"]
        assert await asyncio.to_thread(main, words) == 0
        recorded = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert recorded[-1]["precision"] == 1.0
    assert all("so" in trace.text for trace in read_traces(texts))


def test_a_place_that_was_passed_in_one_piece_has_the_answer_before() -> None:
    assert filled({}) == []
    assert filled({2: "7", 4: "8"}) == [NO_ANSWER, "7", "7", "8"]

"""The throughput of a judge that answers at once: what is counted, not how fast it is."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from judge_server.cli.main import main
from judge_server.data.traces import TraceRow
from judge_server.serving.throughput import comparisons_of
from orchestrator.config.shipped import judge_spec
from tests.support.fake_server import FakeServer, answer_json

SMALL = ("--repeats", "2", "--new", "2", "--members", "3", "--batch", "2")


async def tokenize(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    return web.json_response({"tokens": [ord(c) for c in body["prompt"]]})


async def scoring(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
    data = [{"index": index, "score": 0.5} for index in range(len(body["items"]))]
    return web.json_response({"data": data})


def judge_server() -> FakeServer:
    tops = {f"token_id:{ord('i')}": -0.1, f"token_id:{ord('n')}": -2.0}
    choice = {"index": 0, "text": "i", "logprobs": {"top_logprobs": [tops]}}
    return FakeServer(
        {
            "/tokenize": tokenize,
            "/generative_scoring": scoring,
            "/v1/completions": answer_json({"id": "c", "model": "m", "choices": [choice]}),
        }
    )


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Three questions with five traces each, and one with too few."""
    file = tmp_path / "traces.jsonl"
    rows = [
        {"question_id": f"q{q}", "question": f"{q}?", "text": f"so {n} of {q} is {n}{q}"}
        for q in range(4)
        for n in range(5 if q < 3 else 3)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


async def results(server: FakeServer, traces: Path, *words: str) -> int:
    arguments = ["throughput", "--judge-endpoint", server.url, "--traces", str(traces), *words]
    return await asyncio.to_thread(main, arguments)


def test_every_trace_is_new_once_and_meets_the_others_of_its_question() -> None:
    rows = [TraceRow("q", "?", f"trace {n}") for n in range(4)]
    comparisons = comparisons_of(rows, judge_spec("nano"), members=3)
    assert [one.new for one in comparisons] == [f"trace {n}" for n in range(4)]
    assert comparisons[2].members == ("trace 3", "trace 0", "trace 1")
    assert comparisons_of(rows, judge_spec("nano"), members=4) == []


async def test_each_method_is_a_row_with_its_requests(
    capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    async with judge_server() as server:
        assert await results(server, traces, *SMALL) == 0
        scored = server.bodies("/generative_scoring")
    head, rule, *rows = capsys.readouterr().out.splitlines()
    assert rule.count("|") == head.count("|")
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [row[:4] for row in cells] == [
        ["one request per pair", "`generative_scoring`", "12", "12"],
        ["one request per pair", "`completions`", "12", "12"],
        ["batched, 2 at most", "`generative_scoring`", "12", "8"],
    ]
    assert cells[0][7:] == ["1.00", "1.00 to 1.00"]
    assert max(len(body["items"]) for body in scored) == 2


async def test_no_new_trace_is_shown_to_the_judge_twice(traces: Path) -> None:
    async with judge_server() as server:
        await results(server, traces, *SMALL)
        batched = [body["query"] for body in server.bodies("/generative_scoring")]
    shown = [query for query in batched if "1 + 1" not in "".join(map(chr, query))]
    # per pair: 3 requests for each of 5 new traces; batched: 2 requests for each of 5 others
    assert len(shown) == 3 * 5 + 2 * 5
    assert len({tuple(query) for query in shown}) == 10


async def test_too_few_traces_are_refused(capsys: pytest.CaptureFixture[str], traces: Path) -> None:
    async with judge_server() as server:
        assert await results(server, traces, *SMALL, "--members", "4") == 0
        assert await results(server, traces, *SMALL, "--repeats", "3") == 2
    error = capsys.readouterr().err
    assert "21 traces are needed" in error
    assert "there are 15" in error


async def test_a_judge_that_fails_is_one_sentence(
    capsys: pytest.CaptureFixture[str], traces: Path
) -> None:
    calls = 0

    async def fails_later(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        nonlocal calls
        calls += 1
        return await (scoring if calls < 9 else answer_json({}, 500))(request, body)

    async with judge_server() as server:
        server.answers["/generative_scoring"] = fails_later
        assert await results(server, traces, *SMALL) == 1
    assert capsys.readouterr().err.startswith("deepprune-judge throughput: ")


def test_no_repeats_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(
            ["throughput", "--judge-endpoint", "http://judge/v1", "--traces", "t", "--repeats", "0"]
        )
    assert "at least 1" in capsys.readouterr().err

import asyncio
import json
import re
import sys
from pathlib import Path

import pytest

from bench.cli.main import main
from bench.data.prompts import apply_prompt, read_prompt
from bench.data.readers import read_recorded
from bench.data.recorded import RecordedQuestion, RecordedTrace
from bench.live.plan import LivePlan
from bench.live.run import run_live
from bench.mock_server.server import Faults, ReplayServer, serve_recording
from bench.mock_server.tokens import TokenPosition, position_of, prompt_ids, token_id, token_text
from bench.replay.server import ServerModel
from bench.results.outcomes import read_outcomes
from bench.specs.policy_spec import parse_policies
from orchestrator.client.reasoner.client import ReasonerClient
from orchestrator.errors import ConfigError, DatasetError, DeepPruneError, EndpointRejected
from orchestrator.interrupts import Interrupts
from orchestrator.journal.journal import read_journal
from orchestrator.questions import Question
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Keys
from orchestrator.settings import EndpointSettings, SamplingSettings

FAST = ServerModel(first_token_seconds=0.0, step_seconds=1e-4, step_seconds_per_stream=0.0)


def recording(questions=3, traces=6):
    return [
        RecordedQuestion(
            id=f"q{number}",
            question=f"Question {number}?",
            correct=frozenset({"1"}),
            traces=tuple(
                RecordedTrace(
                    tokens=20 + trace, answer="1", text="so it goes. " * 9 + r"It is \boxed{1}."
                )
                for trace in range(traces)
            ),
        )
        for number in range(questions)
    ]


QUESTIONS = [Question(id=f"q{n}", question=f"Question {n}?", gold="1") for n in range(3)]


def plan(url, out, *policies, **changes):
    specs = [parse_policies([text], flags={"endpoint.urls": (url,)})[0] for text in policies]
    values = {
        "questions": QUESTIONS,
        "specs": specs,
        "out": out,
        "traces": 4,
        "at_once": 2,
        "streams": 8,
        "local": False,
        "keys": Keys(),
    }
    return LivePlan(**{**values, **changes})


async def played(plan, interrupts=None):
    counted = []
    interrupts = interrupts or Interrupts(lambda text: None)
    outcomes = await run_live(plan, interrupts, lambda: counted.append(1))
    return outcomes, len(counted)


# --- tokens of a recording ------------------------------------------------------------------------


def test_a_token_knows_its_trace_and_place() -> None:
    for place in (
        TokenPosition(0, 0, 0),
        TokenPosition(3, 127, 41_000),
        TokenPosition(99, 4095, (1 << 20) - 1),
    ):
        assert position_of([*prompt_ids(place.question), token_id(place)]) == place
    assert position_of(prompt_ids(7)) == 7


@pytest.mark.parametrize("ids", [[], [0], [-5]])
def test_other_ids_are_none_of_ours(ids) -> None:
    with pytest.raises(ValueError, match="no token of a recording"):
        position_of(ids)


def test_the_tokens_of_a_trace_make_its_text() -> None:
    trace = RecordedTrace(tokens=7, answer="1", text="a text of some length")
    assert "".join(token_text(trace, n) for n in range(7)) == trace.text
    dots = RecordedTrace(tokens=3, answer="4")
    assert "".join(token_text(dots, n) for n in range(3)) == r".. \boxed{4}"
    assert token_text(RecordedTrace(tokens=1, answer=None), 0) == "."


# --- the replayed server --------------------------------------------------------------------------


async def test_the_server_is_seen_as_one_that_can_resume() -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        found = await reasoner.probe()
        assert (found.api, found.resumable, found.continuous_usage) == ("completions", True, True)
        assert found.metrics
        prompt = await reasoner.render("Question 1?")
        first = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
        text = "".join(chunk.text for chunk in first)
        assert text == recording()[1].traces[0].text
        assert first[-1].finish_reason == "stop"
        ids = [each for chunk in first for each in chunk.token_ids][:5]
        rest = [chunk async for chunk in reasoner.stream(prompt, ids, generated_tokens=5)]
        assert text.endswith("".join(chunk.text for chunk in rest))
        counters = await reasoner.counters()
        assert counters.generation_tokens == server.generated_tokens
    assert server.live == 0


def client(url):
    return ReasonerClient(url, EndpointSettings(), SamplingSettings(), None)


async def test_streams_of_a_question_play_different_traces() -> None:
    server = ReplayServer(recording(traces=3), model=FAST)
    async with serve_recording(server) as url, client(url) as reasoner:
        await reasoner.probe()
        prompt = await reasoner.render("Question 2?")
        lengths = set()
        for _ in range(3):
            chunks = [chunk async for chunk in reasoner.stream(prompt, generated_tokens=0)]
            lengths.add(sum(len(chunk.token_ids) for chunk in chunks))
    assert lengths == {20, 21, 22}


# --- live runs ------------------------------------------------------------------------------------


async def test_every_question_runs_under_every_policy(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        outcomes, counted = await played(plan(url, tmp_path, "auto", "cons@3"))
    assert counted == 6
    assert {(o.policy, o.question_id) for o in outcomes} == {
        (policy, f"q{n}") for policy in ("auto", "cons@3") for n in range(3)
    }
    assert all(outcome.correct for outcome in outcomes)
    votes = [outcome for outcome in outcomes if outcome.policy == "cons@3"]
    assert all((vote.traces, vote.cut_tokens) == (3, 0) for vote in votes)


async def test_what_a_shared_server_counts_is_on_no_questions_bill(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await played(plan(url, tmp_path, "cons@2"))
    reports = list(tmp_path.glob("cons@2/*/report.json"))
    assert len(reports) == 3
    for report in reports:
        bill = json.loads(report.read_text())["ledger"]["reasoner"]
        assert bill["server_generated_tokens"] is None
        assert bill["generated_tokens"] > 0


async def test_what_is_finished_is_not_asked_again(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        first, _ = await played(plan(url, tmp_path, "cons@2"))
        (tmp_path / "cons@2" / "0002-q1" / "report.json").unlink()
        before = server.generated_tokens
        second, _ = await played(plan(url, tmp_path, "cons@2"))
        probe = 1
        assert server.generated_tokens - before == probe
    assert second == first


async def test_a_question_that_was_cut_goes_on_from_its_tokens(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        await played(plan(url, tmp_path, "cons@2"))
        known = cut(tmp_path / "cons@2" / "0002-q1")
        before = server.generated_tokens
        outcomes, _ = await played(plan(url, tmp_path, "cons@2"))
        again = next(outcome for outcome in outcomes if outcome.question_id == "q1")
        probe = 1
        assert server.generated_tokens - before == again.tokens - known + probe
    assert again.correct
    assert not list(tmp_path.glob("cons@2/.*"))


async def test_a_question_that_cannot_go_on_is_asked_anew_and_says_why(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    server = ReplayServer(recording(), model=FAST)
    async with serve_recording(server) as url:
        await played(plan(url, tmp_path, "cons@2"))
        folder = tmp_path / "cons@2" / "0002-q1"
        cut(folder)
        journal = folder / "journal.jsonl"
        journal.write_text(re.sub(r',"token_ids":\[[^]]*\]', "", journal.read_text()))
        before = server.generated_tokens
        outcomes, _ = await played(plan(url, tmp_path, "cons@2"))
        again = next(outcome for outcome in outcomes if outcome.question_id == "q1")
        probe = 1
        assert server.generated_tokens - before == again.tokens + probe
    assert (tmp_path / "cons@2" / ".0002-q1.cut-1" / "journal.jsonl").exists()
    assert "no token ids to continue from" in capsys.readouterr().err


def cut(folder):
    """Leaves the question as a kill half-way would; the tokens that its journal still has."""
    (folder / "report.json").unlink()
    lines = (folder / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (folder / "journal.jsonl").write_bytes(b"".join(lines[: len(lines) // 2]) + b'{"type":"Tok')
    view = RunView()
    for entry in read_journal(folder):
        view.apply(entry)
    assert view.generated_tokens
    return view.generated_tokens


async def until(holds, seconds=10) -> None:
    async with asyncio.timeout(seconds):
        while not holds():  # noqa: ASYNC110  the server has no event for it
            await asyncio.sleep(0.01)


async def test_an_interrupted_question_is_not_counted_as_finished(tmp_path: Path) -> None:
    slow = ServerModel(first_token_seconds=0.0, step_seconds=0.05)
    server = ReplayServer(recording(), model=slow)
    interrupts = Interrupts(lambda text: None)
    async with serve_recording(server) as url:
        running = asyncio.create_task(
            run_live(plan(url, tmp_path, "cons@2"), interrupts, lambda: None)
        )
        await until(lambda: server.live == 4)
        interrupts.interrupt()
        assert await running == []
        await until(lambda: server.live == 0)
        assert not list(tmp_path.glob("cons@2/*/report.json"))
        outcomes, _ = await played(plan(url, tmp_path, "cons@2"))
    assert len(outcomes) == 3
    assert not list(tmp_path.glob("cons@2/.*"))


async def test_traces_go_on_through_resets_and_refusals(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST, faults=Faults(reset=0.3, busy=0.2), seed=3)
    async with serve_recording(server) as url:
        outcomes, _ = await played(plan(url, tmp_path, "cons@3", at_once=1))
    assert len(outcomes) == 3
    assert all(outcome.correct for outcome in outcomes)


async def test_a_question_whose_traces_all_failed_counts_as_not_asked(tmp_path: Path) -> None:
    server = ReplayServer(recording(), model=FAST, faults=Faults(stall=1.0))
    flags = {"endpoint.stall_seconds": 0.3, "endpoint.max_attempts": 1}
    async with serve_recording(server) as url:
        spec = parse_policies(["cons@1"], flags={"endpoint.urls": (url,), **flags})[0]
        with pytest.raises(DeepPruneError, match="All 1 traces failed"):
            await played(plan(url, tmp_path, questions=QUESTIONS[:1], specs=[spec]))
    assert not list(tmp_path.glob("cons@1/*/report.json"))


async def test_ids_from_elsewhere_are_refused() -> None:
    async with (
        serve_recording(ReplayServer(recording(), model=FAST)) as url,
        client(url) as reasoner,
    ):
        await reasoner.probe()
        prompt = await reasoner.render("Question 1?")
        with pytest.raises(EndpointRejected, match="not in this recording"):
            async for _ in reasoner.stream(prompt, [0], generated_tokens=1):
                pass


async def test_a_benchmark_of_another_kind_is_not_mixed_in(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await played(plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
        with pytest.raises(ConfigError, match="give another --out"):
            await played(plan(url, tmp_path, "cons@1", traces=9))


async def test_a_finished_question_is_not_taken_for_another(tmp_path: Path) -> None:
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        await played(plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
        other = [Question(id="q0", question="Question 1?", gold="1")]
        with pytest.raises(ConfigError, match="was run with another question"):
            await played(plan(url, tmp_path, "cons@1", questions=other))
        spec = parse_policies(
            ["cons@1"], ["policy.min_ballots=2"], flags={"endpoint.urls": (url,)}
        )[0]
        with pytest.raises(ConfigError, match="was run with another question"):
            await played(plan(url, tmp_path, questions=QUESTIONS[:1], specs=[spec]))
    moved = ReplayServer(recording(), model=FAST)
    async with serve_recording(moved) as url:
        outcomes, _ = await played(plan(url, tmp_path, "cons@1", questions=QUESTIONS[:1]))
    assert len(outcomes) == 1
    assert moved.generated_tokens <= 1  # a greeting alone


async def test_a_killed_run_goes_on_without_paying_twice(tmp_path: Path, questions) -> None:
    slow = ServerModel(first_token_seconds=0.0, step_seconds=0.02, step_seconds_per_stream=0.0)
    server = ReplayServer(recording(), model=slow)
    out = tmp_path / "out"
    async with serve_recording(server) as url:
        command = [
            sys.executable,
            "-m",
            "bench.cli.main",
            "run",
            "--endpoint",
            url,
            "--at-once",
            "1",
        ]
        command += [
            "--questions",
            str(questions),
            "--policy",
            "cons@2",
            "--out",
            str(out),
            "--json",
        ]
        first = await asyncio.create_subprocess_exec(*command)
        reports = out.glob
        await until(lambda: list(reports("cons@2/*/report.json")) and server.live, seconds=60)
        first.kill()
        await first.wait()
        await until(lambda: server.live == 0)
        kept = {path: path.read_bytes() for path in reports("cons@2/*/*.json*")}
        finished = [path.parent for path in kept if path.name == "report.json"]
        spent = server.generated_tokens
        second = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
        shown, _ = await second.communicate()
    assert second.returncode == 0
    assert json.loads(shown)["questions"] == 3
    assert 1 <= len(finished) < 3
    for path in (path for path in kept if path.parent in finished):
        assert path.read_bytes() == kept[path]
    names = {folder.name.rpartition("-")[2] for folder in finished}
    again = [o for o in read_outcomes(out / "outcomes.jsonl") if o.question_id not in names]
    greeting = 1
    assert server.generated_tokens - spent == sum(o.tokens for o in again) + greeting


async def test_what_cannot_run_live_is_refused_before_any_token(tmp_path: Path) -> None:
    for policy, sentence in (
        ("parallel-probe", "needs probes"),
        ("deepprune", "--judge-endpoint"),
        ("pass@4", "only be measured in a replay"),
    ):
        with pytest.raises(ConfigError, match=sentence):
            await played(plan("http://gpu:1/v1", tmp_path, policy))
    ungraded = [Question(id="a", question="?")]
    with pytest.raises(DatasetError, match="has no answer"):
        await played(plan("http://gpu:1/v1", tmp_path, "auto", questions=ungraded))


# --- prompts --------------------------------------------------------------------------------------


def test_a_prompt_is_put_around_the_question(tmp_path: Path) -> None:
    question = Question(id="a", question="What is {x}?", gold="1")
    assert apply_prompt(question, read_prompt("plain")).question == "What is {x}?"
    assert "\\boxed{}" in apply_prompt(question, read_prompt("math")).question
    path = tmp_path / "mine.yaml"
    path.write_text('prompt: "Q: {question}"\nanswer_regex: "= (.*)"\n')
    spec = read_prompt(str(path))
    assert apply_prompt(question, spec).question == "Q: What is {x}?"
    assert spec.assignments == ["answers.regex== (.*)"]


def test_a_prompt_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="choose one of choice, math, plain"):
        read_prompt("riddle")
    path = tmp_path / "mine.yaml"
    path.write_text("prompt: hello\n")
    with pytest.raises(ConfigError, match=r"must contain \{question\}"):
        read_prompt(str(path))


# --- the commands ---------------------------------------------------------------------------------


@pytest.fixture
def questions(tmp_path: Path):
    path = tmp_path / "questions.jsonl"
    rows = [{"id": q.id, "question": q.question, "answer": q.gold} for q in QUESTIONS]
    path.write_text("\n".join(map(json.dumps, rows)) + "\n")
    return path


async def in_thread(*command):
    return await asyncio.to_thread(main, list(command))


@pytest.fixture
def no_signals(monkeypatch: pytest.MonkeyPatch) -> None:
    """Signals can be handled in the main thread alone, and the commands run beside the server here."""
    monkeypatch.setattr(
        asyncio.unix_events._UnixSelectorEventLoop, "add_signal_handler", lambda *a: None
    )
    monkeypatch.setattr(
        asyncio.unix_events._UnixSelectorEventLoop, "remove_signal_handler", lambda *a: None
    )


async def test_a_recording_can_be_replayed(
    tmp_path: Path, questions, no_signals, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "rec"
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        command = ["record", "--endpoint", url, "--questions", str(questions)]
        assert await in_thread(*command, "--traces", "5", "--out", str(out)) == 0
    assert capsys.readouterr().out.strip() == str(out / "consensus")
    found = read_recorded(out / "consensus")
    assert [(each.id, len(each.traces)) for each in found] == [("q0", 5), ("q1", 5), ("q2", 5)]
    assert all(trace.answer == "1" for each in found for trace in each.traces)


async def test_a_live_run_prints_the_same_lines_as_a_replay(
    tmp_path: Path, questions, no_signals, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "live"
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        command = ["run", "--endpoint", url, "--questions", str(questions), "--json"]
        command += ["--policy", "auto", "--effort", "low", "--max-traces", "6", "--out", str(out)]
        assert await in_thread(*command) == 0
    (line,) = [json.loads(text) for text in capsys.readouterr().out.splitlines()]
    assert (line["file"], line["policy"], line["accuracy"], line["questions"]) == (
        "live",
        "auto",
        1.0,
        3,
    )
    assert 0 < line["sequential_tokens"] <= line["tokens_per_question"]
    assert len(read_outcomes(out / "outcomes.jsonl")) == 3


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ([], "Give recorded traces with --replay FILE, or servers"),
        (["--local", "--replay", "x.json"], "Give recorded traces with --replay FILE, or servers"),
        (["--endpoint", "http://gpu:1/v1"], "give a folder with --out"),
        (["--endpoint", "http://gpu:1/v1", "--out", "x"], "give --questions FILE or a name"),
    ],
)
def test_flags_that_do_not_go_together_are_refused(
    flags, sentence, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", "--policy", "auto", *flags]) == 2
    assert sentence in capsys.readouterr().err


def test_recording_needs_a_server(
    tmp_path: Path, questions, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["record", "--questions", str(questions), "--out", str(tmp_path / "r")]) == 2
    assert "name its server" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (["serve", "x.json", "--speed", "0"], "0 is not a number above 0"),
        (["serve", "x.json", "--reset", "2"], "2 is not a number from 0 to 1"),
        (["serve", "x.json", "--busy", "often"], "often is not a number from 0 to 1"),
        (["record", "--out", "x", "--traces", "0"], "0 is not a whole number of at least 1"),
        (["record", "--out", "x", "--at-once", "-1"], "-1 is not a whole number of at least 1"),
    ],
)
def test_a_wrong_number_is_refused(flags, sentence, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(flags)
    assert caught.value.code == 2
    assert sentence in capsys.readouterr().err


async def test_a_port_that_is_taken_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "t.jsonl"
    row = {"question_id": "a", "question": "?", "text": "so 1", "answer": "1", "gold": "1"}
    path.write_text(json.dumps(row) + "\n")
    async with serve_recording(ReplayServer(recording(), model=FAST)) as url:
        port = url.removesuffix("/v1").rpartition(":")[2]
        assert await in_thread("serve", str(path), "--port", port) == 2
    assert f"Cannot listen on 127.0.0.1:{port}" in capsys.readouterr().err

"""A run is cut off, at every line of its journal, and goes on: against servers that behave, in this process."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from orchestrator.client.server_counters import Meter, Metered
from orchestrator.core.commands import AskJudge, Command, StartTrace
from orchestrator.core.events import (
    Event,
    PairsJudged,
    RunResumed,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceStopped,
)
from orchestrator.errors import ConfigError, EventOutOfTurn, JournalError
from orchestrator.journal.archive import is_compressed
from orchestrator.journal.journal import JournalWriter, read_journal
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.journal.replay import decisions
from orchestrator.journal.run_dir import JOURNAL_FILE
from orchestrator.questions import Question
from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Endpoints, Keys, open_endpoints
from orchestrator.runtime.loop import run_question
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities
from tests.support.paced_servers import PacedServers as Servers
from tests.support.world import opened, run_started

QUESTION = Question(id="q", question="How many?", gold="26")
End = TraceFinished | TraceStopped | TraceFailed
PROMPT = 3  # tokens
Entries = Sequence[Event | Command]
Kind = TypeVar("Kind", bound=Event | Command)


def settings_for(
    servers: Servers, *, policy: str = "deepprune", traces: int = 4, **changes: Any
) -> Settings:
    return Settings.model_validate(
        {
            "endpoint": {"urls": [servers.reasoner.url]},
            "judge": {"url": servers.judge.url},
            "policy": {
                "name": policy,
                "traces": traces,
                **({"survivors": 2} if policy == "deepprune" else {}),
            },
            "checkpoint": {"words": 4},
            "answers": {"workers": 1},
            **changes,
        }
    )


async def carry(
    folder: Path,
    endpoints: Endpoints,
    settings: Settings,
    *,
    interrupted: asyncio.Event | None = None,
) -> RunView:
    """Begins the question, or goes on with it; its view."""
    run = QuestionRun(
        question=QUESTION,
        settings=settings,
        folder=folder,
        interrupted=interrupted or asyncio.Event(),
    )
    await run_question(run, endpoints)
    return run.view


def entries_of(folder: Path) -> list[Event | Command]:
    return list(read_journal(folder))


def ends_of(entries: Entries, trace: int) -> list[End]:
    return [e for e in entries if isinstance(e, End) and e.trace == trace]


def arrived(entries: Entries, trace: int) -> list[TokensArrived]:
    return [e for e in entries if isinstance(e, TokensArrived) and e.trace == trace]


def ids_of(entries: Entries, trace: int) -> list[int]:
    return [each for e in arrived(entries, trace) for each in e.token_ids]


def check_whole(folder: Path, view: RunView) -> tuple[list[Event | Command], Report]:
    """What must hold of any run that is complete; returns its entries."""
    entries = entries_of(folder)
    assert list(decisions(entries)) == entries
    times = [entry.at for entry in entries if hasattr(entry, "at")]
    assert times == sorted(times)
    started = [entry.trace for entry in entries if isinstance(entry, StartTrace)]
    for trace in started:
        assert len(ends_of(entries, trace)) == 1
        (end,) = ends_of(entries, trace)
        if not isinstance(end, TraceFailed):
            assert len(ids_of(entries, trace)) == end.tokens
    report = build_report(view, run_dir="r")
    assert report.interrupted is False
    assert report.seconds == round(max(times), 3)
    bill = report.ledger.reasoner
    assert sum(msgspec.structs.astuple(bill.by_fate)) == bill.generated_tokens
    return entries, report


async def test_waiting_for_the_servers_counters_is_no_part_of_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    began, stopped = time.monotonic(), []

    async def stop(meter: Meter) -> Metered:
        stopped.append(time.monotonic() - began)
        return Metered(generated=7)

    monkeypatch.setattr("orchestrator.runtime.metering.Meter.stop", stop)
    async with once(tmp_path) as (_, view):
        assert view.finished is not None
        assert view.finished.at <= stopped[0]
        assert view.finished.server_generated_tokens == 7


async def test_a_compressed_run_is_over_and_asks_nothing_again(tmp_path: Path) -> None:
    async with Servers(words=6).serving() as servers:
        settings = settings_for(servers, traces=3, run={"compress_journal": True})
        async with open_endpoints(settings, Keys()) as endpoints:
            first = await carry(tmp_path, endpoints, settings)
            assert is_compressed(tmp_path)
            check_whole(tmp_path, first)
            asked = len(servers.reasoner.seen)
            again = await carry(tmp_path, endpoints, settings)
            assert len(servers.reasoner.seen) == asked
    assert build_report(again, run_dir="r") == build_report(first, run_dir="r")
    assert is_compressed(tmp_path)


async def test_a_run_that_ended_before_its_journal_was_compressed_compresses_it_when_resumed(
    tmp_path: Path,
) -> None:
    async with Servers(words=6).serving() as servers:
        settings = settings_for(servers, traces=3)
        async with open_endpoints(settings, Keys()) as endpoints:
            await carry(tmp_path, endpoints, settings)
            assert not is_compressed(tmp_path)
            later = settings_for(servers, traces=3, run={"compress_journal": True})
            await carry(tmp_path, endpoints, later)
    assert is_compressed(tmp_path)


async def test_a_journal_that_cannot_be_compressed_stays_with_a_note(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(folder: Path) -> None:
        raise JournalError("The disk is full.")

    monkeypatch.setattr("orchestrator.runtime.question_run.compress_journal", full)
    notes: list[str] = []
    async with Servers(words=6).serving() as servers:
        settings = settings_for(servers, traces=3, run={"compress_journal": True})
        async with open_endpoints(settings, Keys()) as endpoints:
            run = QuestionRun(
                question=QUESTION, settings=settings, folder=tmp_path, note=notes.append
            )
            await run_question(run, endpoints)
    assert notes == ["The journal stays uncompressed. The disk is full."]
    check_whole(tmp_path, run.view)


# --- a kill at every line -------------------------------------------------------------------------


@pytest.mark.slow  # resumes at every line
@pytest.mark.parametrize("policy", ["deepprune", "auto"])
async def test_a_journal_cut_at_any_line_becomes_a_whole_run(policy: str, tmp_path: Path) -> None:
    async with once(tmp_path / "whole", policy=policy):
        lines = (tmp_path / "whole" / JOURNAL_FILE).read_bytes().splitlines(keepends=True)
    at_once = asyncio.Semaphore(8)

    async def resumed(cut: int) -> None:
        folder = tmp_path / f"{cut}"
        folder.mkdir()
        torn = lines[cut][: len(lines[cut]) // 2]
        (folder / JOURNAL_FILE).write_bytes(b"".join(lines[:cut]) + torn)
        async with at_once, once(folder, policy=policy) as (servers, view):
            check_resumed(folder, view, max(0, cut - 1), servers)  # the first line is the header

    async with asyncio.TaskGroup() as group:
        for cut in range(len(lines)):
            group.create_task(resumed(cut))


@contextlib.asynccontextmanager
async def once(folder: Path, **policy: str) -> AsyncIterator[tuple[Servers, RunView]]:
    """The question begun, or gone on with, on servers of its own: they and the view."""
    async with Servers(words=6, answers=("26", "26", "38")).serving() as servers:
        settings = settings_for(servers, traces=3, **policy)
        async with open_endpoints(settings, Keys()) as endpoints:
            servers.reasoner.seen.clear()
            servers.judge.seen.clear()
            yield servers, await carry(folder, endpoints, settings)


def check_resumed(folder: Path, view: RunView, cut: int, servers: Servers) -> None:
    entries, report = check_whole(folder, view)
    before = entries[:cut]
    assert sum(isinstance(e, RunResumed) for e in entries) == bool(cut)
    assert report.resumed == bool(cut)
    assert report.answer == "26"
    sent = [body["prompt"][PROMPT:] for body in servers.reasoner.bodies("/v1/completions")]
    for trace in {e.trace for e in before if isinstance(e, StartTrace)}:
        known = ids_of(before, trace)
        if ends_of(before, trace):
            assert known not in sent  # it had ended: nothing more is asked for
        elif known and (more := ids_of(entries, trace)[len(known) :]):
            assert sent.count(known) == 1 or any(
                ids[: len(known)] == known and len(ids) > len(known) for ids in sent
            )
            assert more[0] == known[-1] + 1  # the very next token
    asked = len(servers.judge.bodies("/generative_scoring"))
    verdicts = [e for e in entries[cut:] if isinstance(e, PairsJudged)]
    assert asked == sum(verdict.requests for verdict in verdicts)


async def test_a_kill_while_streams_run_pays_no_token_of_the_journal_twice(tmp_path: Path) -> None:
    async with Servers(words=40, pause=0.01).serving() as servers:
        settings = settings_for(servers, policy="consensus")
        async with open_endpoints(settings, Keys()) as endpoints:
            first = asyncio.create_task(carry(tmp_path, endpoints, settings))
            await journal_holds(tmp_path, TokensArrived, 60)
            first.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await first
            await servers.reasoner.until_live(0)
            before = entries_of(tmp_path)
            servers.reasoner.seen.clear()
            view = await carry(tmp_path, endpoints, settings)
    entries, report = check_whole(tmp_path, view)
    assert entries[: len(before)] == before
    sent = [body["prompt"][PROMPT:] for body in servers.reasoner.bodies("/v1/completions")]
    open_ones = [t for t in range(4) if not ends_of(before, t)]
    assert sorted(sent) == sorted(ids_of(before, trace) for trace in open_ones)
    lengths = [len(servers.script(trace)) for trace in range(4)]
    assert report.ledger.reasoner.generated_tokens == sum(lengths)
    assert report.ledger.reasoner.server_generated_tokens is None


async def test_a_run_can_be_killed_again_and_again(tmp_path: Path) -> None:
    async with Servers(words=30, pause=0.005).serving() as servers:
        settings = settings_for(servers)
        async with open_endpoints(settings, Keys()) as endpoints:
            for kill in range(1, 5):
                running = asyncio.create_task(carry(tmp_path, endpoints, settings))
                await journal_holds(tmp_path, TokensArrived, 12 * kill)
                running.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await running
            view = await carry(tmp_path, endpoints, settings)
    _, report = check_whole(tmp_path, view)
    assert report.resumed == 4
    assert report.answer == "26"


async def journal_holds(folder: Path, kind: type[Event], count: int) -> None:
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(JournalError):
                if sum(isinstance(e, kind) for e in read_journal(folder)) >= count:
                    return
            await asyncio.sleep(0.01)


# --- what is left to do ---------------------------------------------------------------------------


@pytest.fixture
async def whole(tmp_path: Path) -> list[Event | Command]:
    """The entries of a finished run."""
    async with Servers(words=10, pause=0.01).serving() as servers:
        settings = settings_for(servers)
        async with open_endpoints(settings, Keys()) as endpoints:
            await carry(tmp_path / "whole", endpoints, settings)
    return entries_of(tmp_path / "whole")


def first(entries: Entries, kind: type[Kind]) -> tuple[int, Kind]:
    """The first entry of a kind, behind its number."""
    return next((n, entry) for n, entry in enumerate(entries) if isinstance(entry, kind))


async def test_a_paused_trace_stays_paused(whole: list[Event | Command]) -> None:
    number, paused = first(whole, TracePaused)
    recovered = RecoveredRun(whole[: number + 1])
    trace = recovered.traces[paused.trace]
    assert (trace.wanted, trace.paused, recovered.lost) == ("pause", True, [])


async def test_a_judge_call_without_a_verdict_is_asked_again(whole: list[Event | Command]) -> None:
    number, asked = first(whole, AskJudge)
    assert RecoveredRun(whole[: number + 1]).unanswered == {asked.trace: asked}
    number, verdict = first(whole, PairsJudged)
    unanswered = RecoveredRun(whole[: number + 1]).unanswered.get(verdict.trace)
    assert unanswered is None or unanswered.members != verdict.members


async def test_what_the_end_cut_off_of_a_decision_is_given_again(
    whole: list[Event | Command],
) -> None:
    commands = [e for e in whole if isinstance(e, StartTrace)]
    recovered = RecoveredRun(whole[:2])
    assert list(recovered.pending) == commands[1:]
    assert list(recovered.traces) == [command.trace for command in commands]


def test_a_trace_that_was_held_before_its_first_stream_is_not_paused_once_it_streams() -> None:
    started = run_started(Settings.model_validate({"policy": {"name": "pass1"}}))
    recovered = RecoveredRun([started, StartTrace(trace=0)])
    recovered._fold(
        TracePaused(at=0.2, trace=0, tokens=0)
    )  # of the policies only a user's own does this
    assert recovered.traces[0].paused
    recovered._fold(opened(0))
    assert not recovered.traces[0].paused


def test_a_second_start_of_a_run_is_refused() -> None:
    started = run_started(Settings.model_validate({"policy": {"name": "pass1"}}))
    with pytest.raises(JournalError, match="RunStarted"):
        RecoveredRun([started, StartTrace(trace=0), started])
    with pytest.raises(EventOutOfTurn, match="RunStarted"):
        list(decisions([started, StartTrace(trace=0), started]))


async def test_a_journal_that_was_changed_is_refused(whole: list[Event | Command]) -> None:
    number, _ = first(whole, AskJudge)
    changed = [*whole[:number], *whole[number + 1 :]]
    with pytest.raises(JournalError, match="decides otherwise"):
        RecoveredRun(changed)
    number, tokens = first(whole, TokensArrived)
    with pytest.raises(JournalError, match="start of a run"):
        RecoveredRun([tokens])
    unknown = msgspec.structs.replace(tokens, trace=99)
    with pytest.raises(JournalError, match="trace 99"):
        RecoveredRun([*whole[:number], unknown])


async def test_a_trace_whose_last_token_has_come_is_only_finished(
    whole: list[Event | Command],
) -> None:
    number, finished = first(whole, TraceFinished)
    trace = RecoveredRun(whole[:number]).traces[finished.trace]
    assert (trace.finish_reason, trace.ended) == ("stop", False)


async def test_a_trace_without_token_ids_is_lost_and_the_others_are_not(
    whole: list[Event | Command],
) -> None:
    number, tokens = first(whole, TokensArrived)
    bare = msgspec.structs.replace(tokens, token_ids=())
    recovered = RecoveredRun([*whole[:number], bare])
    assert recovered.lost == [bare.trace]
    chat = capabilities(resumable=False)
    started = msgspec.structs.replace(first(whole, RunStarted)[1], capabilities=chat)
    assert RecoveredRun([started, *whole[1 : number + 1]]).lost == [tokens.trace]


async def test_a_lost_trace_fails_with_its_tokens_on_the_bill(
    tmp_path: Path, whole: list[Event | Command]
) -> None:
    until, paused = first(whole, TracePaused)  # open until then
    folder = tmp_path / "bare"
    with JournalWriter.open(folder) as journal:
        for entry in whole[:until]:
            bare = isinstance(entry, TokensArrived) and entry.trace == paused.trace
            journal.write(msgspec.structs.replace(entry, token_ids=()) if bare else entry)
    paid = arrived(whole[:until], paused.trace)[-1].tokens
    async with Servers(words=10, pause=0.01).serving() as servers:
        settings = settings_for(servers)
        async with open_endpoints(settings, Keys()) as endpoints:
            view = await carry(folder, endpoints, settings)
    report = check_whole_but_for_ids(folder, view)
    assert view.traces[paused.trace].ending == "failed"
    assert report.ledger.reasoner.by_fate.failed == paid
    assert report.answer == "26"


def check_whole_but_for_ids(folder: Path, view: RunView) -> Report:
    entries = entries_of(folder)
    assert list(decisions(entries)) == entries
    return build_report(view, run_dir="r")


# --- what is refused ------------------------------------------------------------------------------


async def test_other_settings_and_other_models_are_refused(
    tmp_path: Path, whole: list[Event | Command]
) -> None:
    folder = tmp_path / "cut"
    with JournalWriter.open(folder) as journal:
        for entry in whole[:20]:
            journal.write(entry)
    async with Servers(words=10, pause=0.01).serving() as servers:
        settings = settings_for(servers)
        async with open_endpoints(settings, Keys()) as endpoints:
            with pytest.raises(ConfigError, match=r"policy\.traces"):
                await carry(folder, endpoints, settings_for(servers, traces=5))
            other = msgspec.structs.replace(endpoints.capabilities, model="another")
            moved = type(endpoints)(**{**vars_of(endpoints), "capabilities": other})
            with pytest.raises(ConfigError, match="serves another"):
                await carry(folder, moved, settings)
            lesser = msgspec.structs.replace(endpoints.capabilities, resumable=False)
            moved = type(endpoints)(**{**vars_of(endpoints), "capabilities": lesser})
            with pytest.raises(ConfigError, match="cannot continue a stream"):
                await carry(folder, moved, settings)
    assert entries_of(folder) == whole[:20]


def vars_of(endpoints: Endpoints) -> dict[str, Any]:
    return {name: getattr(endpoints, name) for name in endpoints.__slots__}


async def test_another_chat_template_is_refused(whole: list[Event | Command]) -> None:
    recovered = RecoveredRun(whole[:20])
    recovered.validate_prompt((1, 2, 3))
    with pytest.raises(ConfigError, match="chat template"):
        recovered.validate_prompt((1, 2, 3, 4))


def test_a_journal_that_is_being_written_is_not_gone_on_with(tmp_path: Path) -> None:
    with JournalWriter.create(tmp_path), pytest.raises(JournalError, match="another process"):
        JournalWriter.open(tmp_path)
    JournalWriter.open(tmp_path).close()


async def test_a_journal_that_only_holds_the_probe_of_the_disk_is_begun_anew(
    tmp_path: Path,
) -> None:
    (tmp_path / JOURNAL_FILE).write_bytes(b"\n" * 100)
    async with Servers(words=10, pause=0.01).serving() as servers:
        settings = settings_for(servers, policy="pass1")
        async with open_endpoints(settings, Keys()) as endpoints:
            view = await carry(tmp_path, endpoints, settings)
    check_whole(tmp_path, view)
    assert view.resumed == 0


async def test_a_run_that_is_over_is_only_read(
    tmp_path: Path, whole: list[Event | Command]
) -> None:
    async with Servers(words=10, pause=0.01).serving() as servers:
        settings = settings_for(servers)
        async with open_endpoints(settings, Keys()) as endpoints:
            servers.reasoner.seen.clear()
            view = await carry(tmp_path / "whole", endpoints, settings)
            assert servers.reasoner.seen == []
    assert view.finished is not None
    assert entries_of(tmp_path / "whole") == whole

"""Journals that were damaged, or that others wrote: one sentence from every reader, no traceback and no hang."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from orchestrator.core.events import RunStarted
from orchestrator.errors import JournalError
from orchestrator.journal.encoding import HEADER_LINE, entry_encoder
from orchestrator.journal.journal import JournalTail, read_journal
from orchestrator.journal.replay import replay
from orchestrator.settings import Settings
from tests.support.world import run_started
from tui.sources.following import Following
from tui.sources.recording import Recording

START: RunStarted = run_started(Settings())
START_LINE = entry_encoder().encode(START).decode()


def started(**changed: Any) -> str:
    """The start of a run with other fields."""
    return json.dumps({**json.loads(START_LINE), **changed})


def judged(members: list[int], seconds: float = 1.0) -> str:
    bill = {"prompt_tokens": 1, "cached_prompt_tokens": 0, "completion_tokens": 1}
    verdict = {"members": members, "probabilities": [0.5], "seconds": seconds}
    return json.dumps({"type": "PairsJudged", "at": 1, "trace": 0, **verdict, **bill})


def at(time: str) -> str:
    return f'{{"type":"RunInterrupted","at":{time}}}'


def arrived(trace: int, tokens: str) -> str:
    return f'{{"type":"TokensArrived","at":1,"trace":{trace},"text":"","tokens":{tokens}}}'


JOINED = '{"type":"TraceJoined","at":1,"trace":0,"cluster":7,"similarity":0.9}'
NEST = json.loads("[" * 900 + "]" * 900)

FOREIGN = {
    "entries before the start": [at("0"), START_LINE],
    "no start": [at("1")],
    "a second start": [START_LINE, START_LINE],
    "no capabilities": [started(capabilities=None)],
    "settings of another version": [started(settings={"policy": {"frobnicate": 1}})],
    "a policy of another version": [started(settings={"policy": {"name": "martian"}})],
    "more traces than memory": [started(planned=10**9)],
    "no traces": [started(planned=0)],
    "a time after years": [START_LINE, at("1e9")],
    "a time beyond most numbers": [START_LINE, at("1e308")],
    "a time beyond all numbers": [START_LINE, at("1e400")],
    "a time before the start": [START_LINE, at("-1")],
    "seconds that add up to infinity": [START_LINE, judged([1], 1e308)],
    "tokens of 400 digits": [START_LINE, arrived(0, "9" * 400)],
    "a token that no vocabulary has": [
        START_LINE,
        arrived(0, '1,"token_ids":[4294967296]'),
    ],
    "a trace that was not planned": [START_LINE, arrived(64, "1")],
    "a trace before the first": [START_LINE, arrived(-1, "1")],
    "a cluster that was not opened": [START_LINE, JOINED],
    "a verdict on a trace that was not planned": [START_LINE, judged([64])],
    "more verdicts than probabilities": [START_LINE, judged([1, 2])],
    "a nest of brackets": [START_LINE, "[" * 100_000],
    "a nest inside the settings": [started(settings=NEST)],
    "a nest inside an unknown setting": [started(settings={"policy": {"x": NEST}})],
}

READERS: dict[str, Callable[[Path], object]] = {
    "reading": lambda run: list(read_journal(run)),
    "replaying": replay,
    "following": lambda run: JournalTail(run).poll(),
    "showing": lambda run: Recording(run).open(0),
    "showing what grows": Following,
}


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("lines", FOREIGN.values(), ids=FOREIGN)
def test_a_line_that_cannot_stand_there_is_named(
    tmp_path: Path, lines: list[str], reader: str
) -> None:
    (tmp_path / "journal.jsonl").write_text(HEADER_LINE.decode() + "\n".join(lines) + "\n")
    with pytest.raises(JournalError, match=r"^Line [23] of .*journal\.jsonl") as caught:
        READERS[reader](tmp_path)
    assert str(caught.value).endswith("start a new run.")
    assert len(str(caught.value)) < 600
    assert "\n" not in str(caught.value)


def test_a_user_command_may_name_a_trace_that_is_none(tmp_path: Path) -> None:
    pinned = '{"type":"UserCommandReceived","at":1,"command":"pin","trace":1000000000,"tau":null}'
    (tmp_path / "journal.jsonl").write_text(f"{HEADER_LINE.decode()}{START_LINE}\n{pinned}\n")
    watch = Recording(tmp_path, playing=False)
    assert len(watch.open(0).view.traces) == START.planned

"""Starts the console scripts as a user does, in processes of their own."""

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from orchestrator.core.commands import Command
from orchestrator.core.events import Event, TokensArrived, TraceStarted
from orchestrator.errors import JournalError
from orchestrator.journal.journal import JournalTail

SHORTEST_TRACE = 300
"""Tokens. The nano model may write a usual trace whole before a client has read it up to its checkpoint."""
LONG_TRACES = ("--set", f"sampling.extra.min_tokens={SHORTEST_TRACE}")
"""For a test that needs traces which are still running when they are stopped, paused or lost."""


@dataclass(frozen=True)
class Ended:
    """What a finished command left behind."""

    code: int
    out: str
    err: str

    @property
    def reports(self) -> list[dict[str, Any]]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


def console_script(name: str) -> str:
    """The path of an installed command, which lies beside this interpreter."""
    return str(Path(sys.executable).with_name(name))


async def start(*arguments: object, cwd: Path, **environment: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        console_script("deepprune-orchestrate"),
        *map(str, arguments),
        cwd=cwd,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **environment},
    )


async def end(process: asyncio.subprocess.Process) -> Ended:
    out, err = await process.communicate()
    return Ended(process.returncode or 0, out.decode(), err.decode())


async def orchestrate(*arguments: object, cwd: Path, **environment: str) -> Ended:
    return await end(await start(*arguments, cwd=cwd, **environment))


async def metric(url: str, name: str, **labels: str) -> float:
    """The sum of a server's Prometheus metric over its label sets, or over those with these labels."""
    page = url.removesuffix("/v1") + "/metrics"
    async with aiohttp.ClientSession() as session, session.get(page) as response:
        text = await response.text()
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name in (name, f"{name}_total") and labels.items() <= sample.labels.items()
    )


async def completed(url: str) -> float:
    """Requests that the server has carried to their end; one whose client hung up is not among them."""
    reasons = ("stop", "length")
    return sum([await metric(url, "vllm:request_success", finished_reason=r) for r in reasons])


class GrowingJournals:
    """The journals below a folder, by their runs' folders; `look` reads only what was added since it was last called.

    So a test that waits for a run leaves the run its cores.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._tails: dict[Path, JournalTail] = {}
        self._entries: dict[Path, list[Event | Command]] = {}

    def look(self) -> Mapping[Path, Sequence[Event | Command]]:
        """The entries of every journal so far, the newest journal last."""
        for journal in sorted(self._folder.rglob("journal.jsonl")):
            run = journal.parent
            tail = self._tails.setdefault(run, JournalTail(journal))
            with contextlib.suppress(JournalError):  # its first line is still being written
                self._entries.setdefault(run, []).extend(tail.poll())
        return {run: self._entries[run] for run in sorted(self._entries)}

    def newest(self) -> Sequence[Event | Command]:
        """The entries of the newest journal; none before there is one."""
        return next(reversed(list(self.look().values())), ())


def tokens_received(entries: Iterable[Event | Command]) -> int:
    """The token ids that they hold, however few pieces a busy machine received them in."""
    return sum(len(entry.token_ids) for entry in entries if isinstance(entry, TokensArrived))


async def until_tokens(cwd: Path, process: asyncio.subprocess.Process, tokens: int) -> None:
    """Waits until `process` has journalled so many tokens of its newest question below `cwd`."""
    journals = GrowingJournals(cwd)
    while tokens_received(journals.newest()) < tokens:
        assert process.returncode is None
        await asyncio.sleep(0.02)


async def until_event(
    cwd: Path, process: asyncio.subprocess.Process, kind: type[Event], *, count: int = 1
) -> None:
    """Waits until `process` has journalled so many events of a kind in its newest question below `cwd`."""
    journals = GrowingJournals(cwd)
    while sum(isinstance(entry, kind) for entry in journals.newest()) < count:
        assert process.returncode is None
        await asyncio.sleep(0.02)


async def until_begun(cwd: Path, process: asyncio.subprocess.Process, traces: int) -> None:
    """Waits until `process` has journalled the first event of so many traces of its newest question below `cwd`."""
    await until_event(cwd, process, TraceStarted, count=traces)


async def until_idle(url: str) -> None:
    """Waits until the server counts no running and no waiting request."""
    async with asyncio.timeout(120):
        while await _requests(url) > 0:  # noqa: ASYNC110  the server tells nobody
            await asyncio.sleep(0.05)


async def _requests(url: str) -> float:
    running = await metric(url, "vllm:num_requests_running")
    return running + await metric(url, "vllm:num_requests_waiting")

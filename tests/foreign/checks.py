"""What is tried on a served model: a whole vote, a vote that closes streams, a run that is killed and resumed.

Every figure of ours is compared with the engine's counters, or with its processor time where it has none.
"""

import asyncio
import contextlib
import time
from pathlib import Path
from typing import Any, NamedTuple

import aiohttp

import deepprune
from orchestrator.capabilities import ServerCapabilities
from orchestrator.client.server_counters import ServerCounters, parse_counters
from orchestrator.core.events import TokensArrived
from orchestrator.errors import JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import REPORT_FILE
from orchestrator.report.report import read_report
from tests.foreign.processes import cpu_seconds
from tests.foreign.servers import Served
from tests.support.command import orchestrate, start

__all__ = ["Findings", "Stopped", "Whole", "check"]

_TRACES = 4
_IDLE_SECONDS = 20.0
_SETTLE_SECONDS = 180.0  # of an engine that goes on with what was closed, on a busy machine
_CPU_SECONDS = 3.0
_IDLE_CPU = (
    0.1  # seconds of processor time in `_CPU_SECONDS`: more than a server needs that does nothing
)
_KILL_AT = 10  # tokens received
_LIMIT = 48  # tokens of a trace where none is closed
_MANY = 8  # traces of which the first that ends closes the others

_LLAMA_CPP = {
    "llamacpp:tokens_predicted_total": "vllm:generation_tokens_total",
    "llamacpp:prompt_tokens_total": "vllm:prompt_tokens_total",
    "llamacpp:requests_processing": "vllm:num_requests_running",
    "llamacpp:requests_deferred": "vllm:num_requests_waiting",
}
"""llama.cpp's names of the same counters. It does not count the tokens of closed streams."""


class Whole(NamedTuple):
    """A vote whose traces all run to their end; `engine` is what the engine counted, None where it has no counters."""

    billed: int
    engine: int | None
    prompts: int
    source: str


class Stopped(NamedTuple):
    """A vote that closes streams: the same, and the seconds until the engine was idle (None: it went on)."""

    closed: int
    billed: int
    engine: int | None
    source: str
    cancellation: str
    idle_after: float | None


class Findings(NamedTuple):
    """What was found of one served model. `lost` traces of a killed run could not be continued."""

    capabilities: ServerCapabilities
    whole: Whole
    stopped: Stopped
    resumed: int
    lost: int


async def check(
    served: Served, folder: Path, question: str, *, max_tokens: int | None = None
) -> Findings:
    """All of it, one after the other; `max_tokens` limits the traces of which most are closed."""
    folder.mkdir()
    settings = {
        "endpoint.model": served.model,
        "endpoint.metrics_url": (served.engine,) if served.is_gateway else (),
    }
    async with deepprune.Client(
        served.url,
        policy="consensus",
        settings={**settings, "policy.traces": _TRACES, "sampling.max_tokens": _LIMIT},
        api_key=served.key,
    ) as client:
        capabilities = client.endpoints.capabilities
        started = await _idle_counters(served)
        result = await client.ask(question)
        ended = await _idle_counters(served)
    bill = result.usage.reasoner
    whole = Whole(
        bill.generated_tokens, _generated(started, ended), bill.prompt_tokens, bill.source
    )
    stopped = await _stop_some(served, {**settings, "sampling.max_tokens": max_tokens}, question)
    resumed, lost = await _kill_and_resume(served, folder, question)
    return Findings(capabilities, whole, stopped, resumed, lost)


async def _stop_some(served: Served, settings: dict[str, Any], question: str) -> Stopped:
    """The first trace that ends decides; the others are closed."""
    await _idle_counters(served)  # or the check at the start cannot tell anything
    async with deepprune.Client(
        served.url,
        policy="short",
        settings={**settings, "policy.traces": _MANY, "policy.enough": 1},
        api_key=served.key,
    ) as client:
        started = await _idle_counters(served)
        result = await client.ask(question)
        idle_after = await _seconds_until_idle(served)
        ended = await _counters(served)
    bill = result.usage.reasoner
    return Stopped(
        closed=result.report.traces.stopped,
        billed=bill.generated_tokens,
        engine=_generated(started, ended) if served.counts_closed else None,
        source=bill.source,
        cancellation=bill.cancellation,
        idle_after=idle_after,
    )


async def _kill_and_resume(served: Served, folder: Path, question: str) -> tuple[int, int]:
    """How many traces of a killed run went on to their end, and how many were lost."""
    command = ["--endpoint", served.url, "--model", served.model, "--policy", "consensus"]
    command += ["--traces", str(_TRACES), "--max-tokens", str(_LIMIT), "--json", "--quiet"]
    if served.is_gateway:
        command += ["--set", f"endpoint.metrics_url={served.engine}"]
    key = {"OPENAI_API_KEY": served.key} if served.key else {}
    process = await start(*command, question, cwd=folder, **key)
    async with asyncio.timeout(600):
        while _received(folder) < _KILL_AT and process.returncode is None:  # noqa: ASYNC110  another process writes it
            await asyncio.sleep(0.02)
    if process.returncode is not None:
        raise RuntimeError("The run was over before it could be killed.")
    process.kill()
    await process.communicate()
    (run,) = (folder / "runs").iterdir()
    ended = await orchestrate("--resume", run, "--json", "--quiet", cwd=folder, **key)
    report = read_report(run / REPORT_FILE)
    if report is None:
        raise RuntimeError(f"--resume ended with {ended.code}: {ended.err}")
    return report.traces.finished, report.traces.failed


def _received(folder: Path) -> int:
    """Tokens in the journal of the run below `folder`, by our own count; 0 while there is none."""
    tokens: dict[int, int] = {}
    with contextlib.suppress(JournalError):  # its first line is still being written
        for journal in folder.glob("runs/**/journal.jsonl"):
            for entry in read_journal(journal):
                if isinstance(entry, TokensArrived):
                    tokens[entry.trace] = entry.tokens
    return sum(tokens.values())


async def _counters(served: Served) -> ServerCounters | None:
    if served.engine is None:
        return None
    url = f"{served.engine}/metrics"
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        page = await response.text()
    for theirs, ours in _LLAMA_CPP.items():
        page = page.replace(theirs, ours)
    return parse_counters(page)


async def _idle_counters(served: Served) -> ServerCounters | None:
    """The counters before or after a measurement, when nothing of another one is under way."""
    if await _seconds_until_idle(served, _SETTLE_SECONDS) is None:
        raise RuntimeError(f"The engine behind {served.url} does not become idle.")
    return await _counters(served)


def _generated(before: ServerCounters | None, after: ServerCounters | None) -> int | None:
    if before is None or after is None:
        return None
    return after.generation_tokens - before.generation_tokens


async def _seconds_until_idle(served: Served, limit: float = _IDLE_SECONDS) -> float | None:
    """Seconds until the engine generates for nobody any more; None where it goes on."""
    began = time.monotonic()
    while time.monotonic() - began < limit:
        waited = round(time.monotonic() - began, 1)
        counters = await _counters(served)
        if counters is None:
            before = cpu_seconds(served.pid)
            await asyncio.sleep(_CPU_SECONDS)
            if cpu_seconds(served.pid) - before < _IDLE_CPU:
                return waited
        elif not counters.running and not counters.waiting:
            return waited
        await asyncio.sleep(0.1)
    return None

"""Runs of the command that are ended by a signal at a random moment, through proxies that break streams, and resumed."""

import contextlib
import signal
from pathlib import Path

import numpy as np

from orchestrator.journal.journal import read_journal
from orchestrator.report.view import RunView
from tests.faults.chaos import ChaosProxy
from tests.faults.runs import POLICIES, SETTINGS, TRACES, Outcome, examine, until_idle
from tests.faults.servers import CountingServers
from tests.support.command import Ended, end, orchestrate, start, until_tokens

__all__ = ["SIGNALS", "kill"]

SIGNALS = (signal.SIGKILL, signal.SIGINT, signal.SIGTERM)
_WORDS = 150
_CODES = {signal.SIGKILL: {-9}, signal.SIGINT: {130}, signal.SIGTERM: {130, 143}}
_PAUSE = 0.01
_UNWRITTEN = {
    signal.SIGKILL: round(0.25 / _PAUSE) * TRACES,
    signal.SIGINT: TRACES,
    signal.SIGTERM: TRACES,
}
"""Tokens that may have been received and not written into the journal: a quarter of a second of each trace of a program that is
killed, and a token of each stream that another one closes."""

_MOST_TOKENS = 100  # before the signal, which comes while traces still run


async def kill(number: signal.Signals, seed: int, folder: Path) -> Outcome:
    """A run that is ended by the signal, and its continuation."""
    random = np.random.default_rng([seed, number])
    policy = POLICIES[int(random.integers(len(POLICIES)))]
    outcome = Outcome(policy=f"{number.name} and --resume", seed=seed)
    servers = CountingServers(words=_WORDS, pause=_PAUSE)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(servers.serving())
        reasoner = ChaosProxy(servers.reasoner.url, random, chance=0.3)
        judge = ChaosProxy(servers.judge.url, random, chance=0.3)
        for proxy in (reasoner, judge):
            await stack.enter_async_context(proxy.running())
        flags = [f"--set={path}={value}" for path, value in SETTINGS.items()]
        asked = ("How many?", "--endpoint", reasoner.url, "--judge-endpoint", judge.url, "--json")
        process = await start(*(*asked, "--policy", policy, "--traces", TRACES, *flags), cwd=folder)
        await until_tokens(folder, process, int(random.integers(1, _MOST_TOKENS)))
        process.send_signal(number)
        ended = await end(process)
        outcome.faults[number.name] += 1
        outcome.idle_seconds = await until_idle(servers)
        await reasoner.settled()
        _note(outcome, ended, _CODES[number])
        judge.passes = 1
        (run_dir,) = folder.glob("runs/*")
        in_flight = servers.generated - reasoner.lost - _journalled(run_dir)
        if not 0 <= in_flight <= _UNWRITTEN[number]:
            outcome.violations.append(f"{in_flight} tokens were not in the journal at the end")
        _note(outcome, await orchestrate("--resume", run_dir, "--json", cwd=folder), {0, 3})
        await until_idle(servers)
    examine(outcome, run_dir, servers, [reasoner], judge, in_flight=in_flight)
    return outcome


def _journalled(run_dir: Path) -> int:
    """The generated tokens in the journal of a run, whether it has ended or not."""
    view = RunView()
    for entry in read_journal(run_dir):
        view.apply(entry)
    return view.generated_tokens


def _note(outcome: Outcome, ended: Ended, codes: set[int]) -> None:
    """What is wrong with the end of a command."""
    if ended.code not in codes:
        outcome.violations.append(f"exit code {ended.code}: {ended.err[-300:]}")
    if "Traceback" in ended.err:
        outcome.violations.append(f"a traceback: {ended.err[-300:]}")

"""Many runs side by side, and their figures as tables."""

import asyncio
import signal
import tempfile
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.faults.chaos import FAULTS
from tests.faults.kills import SIGNALS, kill
from tests.faults.runs import POLICIES, Outcome, run

__all__ = ["campaign", "tables"]

_SIDE_BY_SIDE = 8  # most of a run is waiting


async def campaign(
    seeds: Iterable[int], policies: Sequence[str] = POLICIES, *, words: int = 60, kills: int = 0
) -> list[Outcome]:
    """A run of each policy with each seed, then so many runs that are killed by each signal and resumed."""
    slots = asyncio.Semaphore(_SIDE_BY_SIDE)

    async def one(policy: str, seed: int) -> Outcome:
        async with slots:
            with tempfile.TemporaryDirectory() as folder:
                return await run(policy, seed, Path(folder), words=words)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(one(each, seed)) for seed in seeds for each in policies]
    return [task.result() for task in tasks] + [
        await _killed(number, seed) for seed in range(kills) for number in SIGNALS
    ]


async def _killed(number: signal.Signals, seed: int) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        return await kill(number, seed, Path(folder))


def tables(outcomes: Sequence[Outcome]) -> str:
    """The figures in Markdown: by policy, and by fault."""
    return f"{_by_policy(outcomes)}\n{_by_fault(outcomes)}"


def _by_policy(outcomes: Sequence[Outcome]) -> str:
    lines = [
        "| policy | runs | faults | finished | pruned | stopped | failed | tokens written | lost on the way | unexplained | violations |",
        "|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    names = list(dict.fromkeys(outcome.policy for outcome in outcomes))
    for name in names:
        lines.append(_row(name, [each for each in outcomes if each.policy == name]))
    lines.append(_row("**all**", outcomes))
    return "\n".join(lines) + "\n"


def _row(name: str, outcomes: Sequence[Outcome]) -> str:
    traces = sum((outcome.traces for outcome in outcomes), Counter[str]())
    tokens = sum(outcome.tokens for outcome in outcomes)
    lost = sum(outcome.lost for outcome in outcomes)
    unseen = sum(outcome.unseen for outcome in outcomes)
    cells = [
        name,
        len(outcomes),
        sum(outcome.faults.total() for outcome in outcomes),
        *(traces[fate] for fate in ("finished", "pruned", "stopped", "failed")),
        f"{tokens:,}",
        f"{lost:,}",
        f"{unseen - lost:,} ({(unseen - lost) / max(1, tokens):.2%})",
        sum(len(outcome.violations) for outcome in outcomes),
    ]
    return f"| {' | '.join(map(str, cells))} |"


def _by_fault(outcomes: Sequence[Outcome]) -> str:
    faults = sum((outcome.faults for outcome in outcomes), Counter[str]())
    names = [*FAULTS, *sorted(faults.keys() - set(FAULTS))]
    rows = [f"| {fault} | {faults[fault]} |" for fault in names]
    return "\n".join(["| fault | injected |", "|---|---|", *rows]) + "\n"

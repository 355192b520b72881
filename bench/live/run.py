"""Every question under every policy on live servers, several side by side; continues after a kill.

The rule: a run that has its report is not repeated, and one that was interrupted continues from its journal. A run that
cannot continue exactly starts again; its journal is kept beside it (`.cut-1`, ...), because those tokens were spent.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.live.plan import LivePlan, PlannedRun, outcomes_of, planned_runs, prepare, settings_of
from bench.results.outcomes import Outcome
from orchestrator.api import Client
from orchestrator.core.policies import needs_confidences, needs_judge, needs_rewards
from orchestrator.errors import DeepPruneError, QuestionRefused, first_error
from orchestrator.interrupts import Interrupts
from orchestrator.journal.archive import is_compressed
from orchestrator.journal.journal import JournalWriter, read_journal
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.journal.run_dir import REPORT_FILE, has_journal
from orchestrator.settings import Settings
from orchestrator.terminal.sanitize import sanitize

__all__ = ["run_live"]


async def run_live(
    plan: LivePlan, interrupts: Interrupts, advance: Callable[[], None]
) -> list[Outcome]:
    """The outcomes of all runs, in their order; fewer after an interrupt. `advance` is called after each run.

    Raises:
        ConfigError, DatasetError: as for `prepare`.
        DeepPruneError: all traces of a question failed; the run counts as not started.
    """
    prepare(plan)
    with interrupts.listening(), interrupts.graceful():
        async with _open_client(plan) as client:
            await _run_all(planned_runs(plan), plan, client, interrupts, advance)
    return outcomes_of(plan)


def _open_client(plan: LivePlan) -> Client:
    """A client for all policies: with a judge, rewards or confidences if any policy needs them."""
    specs = sorted(plan.specs, key=lambda spec: not needs_judge(spec.settings))
    settings = specs[0].settings
    confidences = any(needs_confidences(spec.settings) for spec in specs)
    run = settings.run.model_copy(
        update={
            "concurrency": plan.streams,
            "keep_confidences": confidences or settings.run.keep_confidences,
        }
    )
    settings = settings.model_copy(update={"run": run})
    rewarded = [spec.settings for spec in specs if needs_rewards(spec.settings)]
    if rewarded:
        policy = settings.policy.model_copy(update={"vote": rewarded[0].policy.vote})
        settings = settings.model_copy(update={"policy": policy, "reward": rewarded[0].reward})
    return Client(
        settings=settings,
        local=plan.local,
        api_key=plan.keys.reasoner,
        judge_api_key=plan.keys.judge,
        reward_api_key=plan.keys.reward,
        logs=plan.out,
    )


async def _run_all(
    runs: Sequence[PlannedRun],
    plan: LivePlan,
    client: Client,
    interrupts: Interrupts,
    advance: Callable[[], None],
) -> None:
    """Runs what is not finished, `at_once` runs side by side."""
    waiting = iter([run for run in runs if not run.is_finished])

    async def worker() -> None:
        for run in waiting:
            if interrupts.requested.is_set():
                return
            await _run_one(run, settings_of(run.spec, plan), client)
            advance()

    try:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(worker()) for _ in range(plan.at_once)]
            watch = asyncio.create_task(_cancel_when_set(interrupts.requested, workers))
            try:
                await asyncio.wait(workers)
            finally:
                watch.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


async def _cancel_when_set(
    interrupted: asyncio.Event, workers: Sequence[asyncio.Task[None]]
) -> None:
    """Cancels the workers once `interrupted` is set, which closes their streams."""
    await interrupted.wait()
    for worker in workers:
        worker.cancel()


async def _run_one(planned: PlannedRun, settings: Settings, client: Client) -> None:
    """One run, continued from its journal if there is one; cancelling it keeps a journal that can be continued."""
    _set_aside_unless_resumable(planned, settings)
    run = client.prepare(planned.question, folder=planned.folder, settings=settings)
    run.exclusive = False  # the server's counters include other runs
    try:
        await client.run(run)
    except QuestionRefused as error:  # its report, without an answer, counts as a wrong answer
        print(f"{planned.folder}: {sanitize(str(error))}", file=sys.stderr)
    except DeepPruneError:  # a run whose traces all failed counts as not started
        (planned.folder / REPORT_FILE).unlink(missing_ok=True)
        raise


def _set_aside_unless_resumable(planned: PlannedRun, settings: Settings) -> None:
    """Moves a journal away that cannot be continued, and says why on stderr."""
    if not has_journal(planned.folder):
        return
    if not is_compressed(planned.folder):
        JournalWriter.open(planned.folder).close()  # removes a torn last line
    reason = _why_not_resumable(planned, settings)
    if reason is not None:
        aside = _move_aside(planned.folder)
        print(
            f"{planned.folder} starts again, and its old journal is in {aside.name}: {reason}",
            file=sys.stderr,
        )


def _why_not_resumable(planned: PlannedRun, settings: Settings) -> str | None:
    """Why the run cannot continue exactly from its journal; None if it can."""
    try:
        recovered = RecoveredRun(read_journal(planned.folder))
        recovered.validate_settings(settings)
    except DeepPruneError as error:
        return str(error)
    started, finished = recovered.started, recovered.finished
    if started is not None and (started.question, started.gold) != (
        planned.question.question,
        planned.question.gold,
    ):
        return "The question or its answer has changed."
    if recovered.lost:
        return f"{len(recovered.lost)} traces have no token ids to continue from."
    traces = recovered.traces.values()
    if finished is not None and (finished.interrupted or all(trace.failed for trace in traces)):
        return "It ended without a result."
    return None


def _move_aside(folder: Path) -> Path:
    """Renames the folder to a hidden one; returns where it is now."""
    number = 1
    while (aside := folder.with_name(f".{folder.name}.cut-{number}")).exists():
        number += 1
    return folder.rename(aside)

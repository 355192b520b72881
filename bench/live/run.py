"""Questions x policies on live servers, many at once within one budget of streams; goes on after a kill.

The rule: a question that has its report is never asked again, and one that was under way when the program ended goes
on from its journal. Only one that cannot go on exactly is asked anew; its journal is kept beside (`.cut-1`, ...),
because those tokens were spent.
"""

import asyncio
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench.live.plan import LivePlan, PlannedRun, outcomes_of, planned_runs, prepare, settings_of
from bench.results.outcomes import Outcome
from orchestrator.api import Client
from orchestrator.core.policies import needs_confidences, needs_judge, needs_rewards
from orchestrator.errors import DeepPruneError, first_error
from orchestrator.interrupts import Interrupts
from orchestrator.journal.journal import (
    JOURNAL_FILE,
    REPORT_FILE,
    JournalWriter,
    read_journal,
)
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.settings import Settings

__all__ = ["run_live"]


async def run_live(
    plan: LivePlan, interrupts: Interrupts, advance: Callable[[], None]
) -> list[Outcome]:
    """The outcomes of all jobs, in their order; fewer after an interrupt. `advance` is called after each that is run now.

    Raises:
        ConfigError, DatasetError: as for `prepare`.
        DeepPruneError: all traces of a question failed; it counts as not asked.
    """
    prepare(plan)
    with interrupts.listening(), interrupts.graceful():
        async with _client(plan) as client:
            await _work(planned_runs(plan), plan, client, interrupts, advance)
    return outcomes_of(plan)


def _client(plan: LivePlan) -> Client:
    """The servers, with a judge or a reward model if any policy needs one, and known to give confidences likewise."""
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


async def _work(
    jobs: Sequence[PlannedRun],
    plan: LivePlan,
    client: Client,
    interrupts: Interrupts,
    advance: Callable[[], None],
) -> None:
    """Runs what is not done yet, `at_once` jobs side by side."""
    waiting = iter([job for job in jobs if not job.is_finished])

    async def worker() -> None:
        for job in waiting:
            if interrupts.requested.is_set():
                return
            await _run(job, settings_of(job.spec, plan), client)
            advance()

    try:
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(worker()) for _ in range(plan.at_once)]
            watch = asyncio.create_task(_cancel_on(interrupts.requested, workers))
            try:
                await asyncio.wait(workers)
            finally:
                watch.cancel()
    except BaseExceptionGroup as errors:
        raise first_error(errors) from None


async def _cancel_on(interrupted: asyncio.Event, workers: Sequence[asyncio.Task[None]]) -> None:
    """Ends the workers where they are once `interrupted` is set; their streams are closed."""
    await interrupted.wait()
    for worker in workers:
        worker.cancel()


async def _run(job: PlannedRun, settings: Settings, client: Client) -> None:
    """One question, from its journal if there is one; an interrupt cancels it, so its journal can be continued."""
    _make_way(job, settings)
    run = client.prepare(job.question, folder=job.folder, settings=settings)
    run.exclusive = False  # the servers are shared, so their counters belong to no question
    try:
        await client.run(run)
    except DeepPruneError:  # a question all of whose traces failed counts as not asked
        (job.folder / REPORT_FILE).unlink(missing_ok=True)
        raise


def _make_way(job: PlannedRun, settings: Settings) -> None:
    """Puts aside what cannot be gone on with, and says why."""
    if not (job.folder / JOURNAL_FILE).exists():
        return
    JournalWriter.open(job.folder).close()  # what a kill has torn off goes
    why = _obstacle(job, settings)
    if why is not None:
        aside = _put_aside(job.folder)
        print(
            f"{job.folder} is asked anew, and what it had is now {aside.name}: {why}",
            file=sys.stderr,
        )


def _obstacle(job: PlannedRun, settings: Settings) -> str | None:
    """Why the question cannot go on exactly from its journal; None if it can."""
    try:
        recovered = RecoveredRun(read_journal(job.folder))
        recovered.validate_settings(settings)
    except DeepPruneError as error:
        return str(error)
    started, finished = recovered.started, recovered.finished
    if started is not None and (started.question, started.gold) != (
        job.question.question,
        job.question.gold,
    ):
        return "The question or its answer is another one now."
    if recovered.lost:
        return f"{len(recovered.lost)} traces have no token ids to go on from."
    traces = recovered.traces.values()
    if finished is not None and (finished.interrupted or all(trace.failed for trace in traces)):
        return "It ended without a result."
    return None


def _put_aside(folder: Path) -> Path:
    """Moves the folder out of the way; where it lies now."""
    number = 1
    while (aside := folder.with_name(f".{folder.name}.cut-{number}")).exists():
        number += 1
    return folder.rename(aside)

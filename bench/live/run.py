"""Questions x policies on live servers, many at once within one budget of streams; goes on after a kill.

The rule: a question that has its report is never asked again, and one that was under way when the program ended goes
on from its journal. Only one that cannot go on exactly is asked anew; its journal is kept beside (`.cut-1`, ...),
because those tokens were spent.
"""

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

from bench.live.plan import LivePlan, PlannedRun, outcomes_of, planned_runs, prepare, settings_of
from bench.results.outcomes import Outcome
from orchestrator.core.policies import needs_confidences, needs_judge, needs_rewards
from orchestrator.errors import DeepPruneError, first_error
from orchestrator.interrupts import Interrupts
from orchestrator.journal.journal import (
    JOURNAL_FILE,
    REPORT_FILE,
    JournalWriter,
    read_journal,
    write_run_file,
)
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.report.report import build_report, to_json_line
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Endpoints, local_servers, open_endpoints
from orchestrator.runtime.limiter import StreamLimiter
from orchestrator.runtime.loop import run_question
from orchestrator.session.session import refuse_total_failure
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
        async with _endpoints(plan) as endpoints:
            await _work(planned_runs(plan), plan, endpoints, interrupts, advance)
    return outcomes_of(plan)


@contextlib.asynccontextmanager
async def _endpoints(plan: LivePlan) -> AsyncIterator[Endpoints]:
    """The servers, with a judge or a reward model if any policy needs one, and known to give confidences likewise."""
    specs = sorted(plan.specs, key=lambda spec: not needs_judge(spec.settings))
    settings = specs[0].settings
    if any(needs_confidences(spec.settings) for spec in specs):
        run = settings.run.model_copy(update={"keep_confidences": True})
        settings = settings.model_copy(update={"run": run})
    rewarded = [spec.settings for spec in specs if needs_rewards(spec.settings)]
    if rewarded:
        policy = settings.policy.model_copy(update={"vote": rewarded[0].policy.vote})
        settings = settings.model_copy(update={"policy": policy, "reward": rewarded[0].reward})
    async with contextlib.AsyncExitStack() as stack:
        if plan.local:
            settings = await stack.enter_async_context(local_servers(settings, plan.out))
        yield await stack.enter_async_context(open_endpoints(settings, plan.keys))


async def _work(
    jobs: Sequence[PlannedRun],
    plan: LivePlan,
    endpoints: Endpoints,
    interrupts: Interrupts,
    advance: Callable[[], None],
) -> None:
    """Runs what is not done yet, `at_once` jobs side by side."""
    waiting = iter([job for job in jobs if not job.is_finished])
    limiter = StreamLimiter(plan.streams)

    async def worker() -> None:
        for job in waiting:
            if interrupts.requested.is_set():
                return
            await _run(job, settings_of(job.spec, plan), endpoints, limiter, interrupts)
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


async def _run(
    job: PlannedRun,
    settings: Settings,
    endpoints: Endpoints,
    limiter: StreamLimiter,
    interrupts: Interrupts,
) -> None:
    """One question, from its journal if there is one; its report is written last, and only if nothing cut it short."""
    _make_way(job, settings)
    view = RunView()
    with JournalWriter.open(job.folder) as journal:
        await run_question(
            job.question,
            settings=settings,
            endpoints=endpoints,
            journal=journal,
            view=view,
            interrupted=asyncio.Event(),  # an interrupt leaves a journal that can be gone on with
            limiter=limiter,
            past=read_journal(job.folder),
        )
    refuse_total_failure(view)
    report = build_report(view, run_dir=str(job.folder))
    write_run_file(job.folder, REPORT_FILE, to_json_line(report) + "\n")


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

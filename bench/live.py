"""Questions x policies on live servers, many at once within one budget of streams; goes on after a kill.

The rule: a question that has its report is never asked again, and one that was under way when the program ended goes
on from its journal. Only one that cannot go on exactly is asked anew; its journal is kept beside (`.cut-1`, ...),
because those tokens were spent.
"""

import asyncio
import contextlib
import json
import re
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from bench.critical_path import CriticalPath
from bench.lengths import Lengths
from bench.outcomes import Outcome
from bench.policies import PolicySpec
from orchestrator.config import Settings
from orchestrator.core.facts import RunStarted, TraceRewarded
from orchestrator.core.policies import needs_confidences, needs_judge, needs_rewards
from orchestrator.errors import ConfigError, DatasetError, DeepPruneError, first_error
from orchestrator.fleet import Fleet, Keys, local_servers, open_fleet, refuse_without_rewards
from orchestrator.interrupts import Interrupts
from orchestrator.journal import (
    JOURNAL_FILE,
    REPORT_FILE,
    JournalWriter,
    read_journal,
    write_run_file,
)
from orchestrator.orchestrate import refuse_total_failure
from orchestrator.questions import Question
from orchestrator.report import build_report, to_json_line
from orchestrator.run import run_question
from orchestrator.slots import Slots
from orchestrator.standing import Standing
from orchestrator.view import RunView

__all__ = ["PLAN_FILE", "LivePlan", "is_unfinished", "outcomes_of", "prepare", "run_live"]

PLAN_FILE = "plan.json"


class LivePlan(NamedTuple):
    """What is to be run: each question under each policy. `keys` are never stored.

    `traces` is N for policies that do not name their own, `streams` the budget that all questions share. `first` is
    the number of the first question, which the folders are named by.
    """

    questions: Sequence[Question]
    specs: Sequence[PolicySpec]
    out: Path
    traces: int
    at_once: int
    streams: int
    local: bool
    keys: Keys
    first: int = 1


class _Job(NamedTuple):
    """One question under one policy, and the folder that it fills."""

    question: Question
    spec: PolicySpec
    folder: Path


async def run_live(
    plan: LivePlan, interrupts: Interrupts, advance: Callable[[], None]
) -> list[Outcome]:
    """The outcomes of all jobs, in their order; fewer after an interrupt.

    Raises:
        ConfigError, DatasetError: as for `prepare`.
        DeepPruneError: all traces of a question failed; it counts as not asked.
    """
    prepare(plan)
    with interrupts.listening(), interrupts.graceful():
        async with _fleet(plan) as fleet:
            await _work(list(_jobs(plan)), plan, fleet, interrupts, advance)
    return outcomes_of(plan)


def prepare(plan: LivePlan) -> None:
    """Makes `out` this benchmark's own, and refuses what cannot be run.

    Raises:
        ConfigError: `out` belongs to another benchmark, or has a question that was run in another way, or a policy needs a judge or rewards and there are none.
        DatasetError: a question has no gold answer.
    """
    _check(plan)
    _check_kept(list(_jobs(plan)), plan)


def is_unfinished(plan: LivePlan) -> bool:
    """Whether some question lacks its report under some policy."""
    return any(not (job.folder / REPORT_FILE).exists() for job in _jobs(plan))


def outcomes_of(plan: LivePlan) -> list[Outcome]:
    """The outcomes of all jobs that are finished, in the order of the jobs."""
    return [_outcome(job) for job in _jobs(plan) if (job.folder / REPORT_FILE).exists()]


def _check(plan: LivePlan) -> None:
    for question in plan.questions:
        if question.gold is None:
            raise DatasetError(f"Question '{question.id}' has no answer; a benchmark needs one.")
    for spec in plan.specs:
        if spec.player != "core":
            raise ConfigError(f"{spec.label} needs probes, which only a replay has; leave it out.")
        if spec.scoring == "any" and spec.traces != 1:
            raise ConfigError(
                f"{spec.label} is measured in replay alone; record traces, then replay them."
            )
        if needs_judge(spec.settings) and not plan.local and spec.settings.judge.url is None:
            raise ConfigError(
                f"{spec.label} needs a judge; name its server with --judge-endpoint URL."
            )
        refuse_without_rewards(spec.settings, spec.label)
    _claim(plan)


def _claim(plan: LivePlan) -> None:
    """Makes the folder this benchmark's own, or finds that it is."""
    settings = plan.specs[0].settings.model_dump(
        mode="json", exclude={"policy", "endpoint", "judge", "reward"}
    )
    identity = json.dumps({"traces": plan.traces, "settings": settings}, sort_keys=True)
    plan.out.mkdir(parents=True, exist_ok=True)
    mark = plan.out / PLAN_FILE
    if not mark.exists():
        write_run_file(plan.out, PLAN_FILE, identity)
    elif mark.read_text(encoding="utf-8") != identity:
        raise ConfigError(f"{plan.out} holds a benchmark with other settings; give another --out.")


def _check_kept(jobs: Sequence[_Job], plan: LivePlan) -> None:
    """Whatever is finished must be what would be run now; its journal says what it was."""
    for job in jobs:
        if not (job.folder / REPORT_FILE).exists():
            continue
        started = next(iter(read_journal(job.folder)), None)
        settings = _settings(job.spec, plan).model_dump(mode="json")
        if (
            not isinstance(started, RunStarted)
            or (started.question, started.gold) != (job.question.question, job.question.gold)
            or _placeless(started.settings) != _placeless(settings)
        ):
            raise ConfigError(
                f"{job.folder} was run with another question, prompt, model or settings; give another --out."
            )


def _placeless(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings without the servers' addresses: a server may move between two runs."""
    return {
        **settings,
        "endpoint": {**settings["endpoint"], "urls": None},
        "judge": {**settings["judge"], "url": None},
        "reward": {**settings.get("reward", {}), "url": None},
    }


def _jobs(plan: LivePlan) -> list[_Job]:
    return [
        _Job(question, spec, plan.out / quote(spec.label, safe="@=,") / _name(number, question))
        for number, question in enumerate(plan.questions, start=plan.first)
        for spec in plan.specs
    ]


def _name(number: int, question: Question) -> str:
    """A folder's name that sorts by number and shows the (untrusted) id as far as is safe."""
    slug = re.sub(r"[^A-Za-z0-9]+", "-", question.id)[:40].strip("-")
    return f"{number:04d}-{slug}"


@contextlib.asynccontextmanager
async def _fleet(plan: LivePlan) -> AsyncIterator[Fleet]:
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
        yield await stack.enter_async_context(open_fleet(settings, plan.keys))


async def _work(
    jobs: Sequence[_Job],
    plan: LivePlan,
    fleet: Fleet,
    interrupts: Interrupts,
    advance: Callable[[], None],
) -> None:
    """Runs what is not done yet, `at_once` jobs side by side."""
    waiting = iter(jobs)
    slots = Slots(plan.streams)

    async def worker() -> None:
        for job in waiting:
            if interrupts.requested.is_set():
                return
            if not (job.folder / REPORT_FILE).exists():
                await _run(job, _settings(job.spec, plan), fleet, slots, interrupts)
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


def _settings(spec: PolicySpec, plan: LivePlan) -> Settings:
    policy = spec.settings.policy.model_copy(update={"traces": spec.traces or plan.traces})
    return spec.settings.model_copy(update={"policy": policy})


async def _run(
    job: _Job, settings: Settings, fleet: Fleet, slots: Slots, interrupts: Interrupts
) -> None:
    """One question, from its journal if there is one; its report is written last, and only if nothing cut it short."""
    _make_way(job, settings)
    view = RunView()
    with JournalWriter.open(job.folder) as journal:
        await run_question(
            job.question,
            settings=settings,
            fleet=fleet,
            journal=journal,
            view=view,
            interrupted=asyncio.Event(),  # an interrupt leaves a journal that can be gone on with
            slots=slots,
            past=read_journal(job.folder),
        )
    refuse_total_failure(view)
    report = build_report(view, run_dir=str(job.folder))
    write_run_file(job.folder, REPORT_FILE, to_json_line(report) + "\n")


def _make_way(job: _Job, settings: Settings) -> None:
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


def _obstacle(job: _Job, settings: Settings) -> str | None:
    """Why the question cannot go on exactly from its journal; None if it can."""
    try:
        standing = Standing(read_journal(job.folder))
        standing.refuse_changes(settings)
    except DeepPruneError as error:
        return str(error)
    started, finished = standing.started, standing.finished
    if started is not None and (started.question, started.gold) != (
        job.question.question,
        job.question.gold,
    ):
        return "The question or its answer is another one now."
    if standing.lost:
        return f"{len(standing.lost)} traces have no token ids to go on from."
    traces = standing.traces.values()
    if finished is not None and (finished.interrupted or all(trace.failed for trace in traces)):
        return "It ended without a result."
    return None


def _put_aside(folder: Path) -> Path:
    """Moves the folder out of the way; where it lies now."""
    number = 1
    while (aside := folder.with_name(f".{folder.name}.cut-{number}")).exists():
        number += 1
    return folder.rename(aside)


def _outcome(job: _Job) -> Outcome:
    report: dict[str, Any] = json.loads((job.folder / REPORT_FILE).read_text(encoding="utf-8"))
    reasoner, judge = report["ledger"]["reasoner"], report["ledger"]["judge"]
    lengths, path, reward_tokens = Lengths(), CriticalPath(), 0
    for entry in read_journal(job.folder):
        lengths.note(entry)
        path.note(entry)
        if isinstance(entry, TraceRewarded):
            reward_tokens += entry.prompt_tokens
    return Outcome(
        file="live",
        policy=job.spec.label,
        question_id=job.question.id,
        resample=0,
        answer=report["answer"],
        correct=bool(report["correct"]),
        tokens=reasoner["generated_tokens"],
        cut_tokens=reasoner["generated_tokens"] - reasoner["by_fate"]["finished"],
        sequential_tokens=float(path.tokens()),
        judge_tokens=judge["prompt_tokens"]
        - judge["cached_prompt_tokens"]
        + judge["completion_tokens"],
        seconds=report["seconds"],
        traces=report["traces"]["started"],
        clusters=tuple(cluster["size"] for cluster in report["clusters"]),
        lengths=lengths.by_fate(),
        reward_tokens=reward_tokens,
    )

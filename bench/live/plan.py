"""What a live benchmark is to run, where each question of it lies, and what came of it.

The rule: a folder holds one benchmark, and whatever is finished in it must be what would be run now.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from bench.results.folder import claim_folder
from bench.results.outcomes import Outcome
from bench.results.trace_stats import CriticalPath, TraceLengths
from bench.specs.policy_spec import PolicySpec
from orchestrator.core.events import RunStarted, TraceRewarded
from orchestrator.core.policies import needs_judge
from orchestrator.errors import ConfigError, DatasetError
from orchestrator.journal.journal import REPORT_FILE, read_journal
from orchestrator.journal.run_dir import question_name
from orchestrator.questions import Question
from orchestrator.runtime.endpoints import Keys, validate_rewards
from orchestrator.settings import Settings

__all__ = [
    "PLAN_FILE",
    "LivePlan",
    "PlannedRun",
    "count_finished",
    "outcomes_of",
    "planned_runs",
    "prepare",
    "settings_of",
]

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


class PlannedRun(NamedTuple):
    """One question under one policy, and the folder that it fills."""

    question: Question
    spec: PolicySpec
    folder: Path

    @property
    def is_finished(self) -> bool:
        """Whether its report is written, which is the last thing that is."""
        return (self.folder / REPORT_FILE).exists()


def prepare(plan: LivePlan) -> None:
    """Makes `out` this benchmark's own, and refuses what cannot be run.

    Raises:
        ConfigError: `out` belongs to another benchmark, or has a question that was run in another way, or a policy needs a judge or rewards and there are none.
        DatasetError: a question has no gold answer.
    """
    _check(plan)
    _check_kept(planned_runs(plan), plan)


def count_finished(plan: LivePlan) -> int:
    """How many of the jobs have their report."""
    return sum(job.is_finished for job in planned_runs(plan))


def outcomes_of(plan: LivePlan) -> list[Outcome]:
    """The outcomes of all jobs that are finished, in the order of the jobs."""
    return [_outcome(job) for job in planned_runs(plan) if job.is_finished]


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
        validate_rewards(spec.settings, spec.label)
    _claim(plan)


def _claim(plan: LivePlan) -> None:
    """Makes the folder this benchmark's own, or finds that it is."""
    settings = plan.specs[0].settings.model_dump(
        mode="json", exclude={"policy", "endpoint", "judge", "reward"}
    )
    identity = json.dumps({"traces": plan.traces, "settings": settings}, sort_keys=True)
    claim_folder(plan.out, PLAN_FILE, identity)


def _check_kept(jobs: Sequence[PlannedRun], plan: LivePlan) -> None:
    """Whatever is finished must be what would be run now; its journal says what it was."""
    for job in jobs:
        if not job.is_finished:
            continue
        started = next(iter(read_journal(job.folder)), None)
        settings = settings_of(job.spec, plan)
        if (
            not isinstance(started, RunStarted)
            or (started.question, started.gold) != (job.question.question, job.question.gold)
            or _placeless(started.settings) != _placeless(settings)
        ):
            raise ConfigError(
                f"{job.folder} was run with another question, prompt, model or settings; give another --out."
            )


def _placeless(settings: Settings) -> dict[str, Any]:
    """The settings without the servers' addresses: a server may move between two runs."""
    return settings.model_dump(
        exclude={"endpoint": {"urls"}, "judge": {"url"}, "reward": {"url"}},
    )


def planned_runs(plan: LivePlan) -> list[PlannedRun]:
    """Every question under every policy, question by question."""
    return [
        PlannedRun(
            question,
            spec,
            plan.out / quote(spec.label, safe="@=,") / question_name(number, question),
        )
        for number, question in enumerate(plan.questions, start=plan.first)
        for spec in plan.specs
    ]


def settings_of(spec: PolicySpec, plan: LivePlan) -> Settings:
    """The policy's settings with the N that it has in this plan."""
    policy = spec.settings.policy.model_copy(update={"traces": spec.traces or plan.traces})
    return spec.settings.model_copy(update={"policy": policy})


def _outcome(job: PlannedRun) -> Outcome:
    report: dict[str, Any] = json.loads((job.folder / REPORT_FILE).read_text(encoding="utf-8"))
    reasoner, judge = report["ledger"]["reasoner"], report["ledger"]["judge"]
    lengths, path, reward_tokens = TraceLengths(), CriticalPath(), 0
    for entry in read_journal(job.folder):
        lengths.add(entry)
        path.add(entry)
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

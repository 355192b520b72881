"""The plan of a live benchmark: its runs, their folders, and the outcomes of those that are finished.

The rule: a folder holds one benchmark. A finished run in it must have the question and settings that it would be run
with now.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from bench.results.folder import claim_folder
from bench.results.outcomes import Outcome
from bench.results.trace_stats import CriticalPath, TraceLengths
from bench.specs.policy_spec import PolicySpec
from orchestrator.capabilities import Capabilities
from orchestrator.config.prompts import chat_for
from orchestrator.core.events import RunStarted, TraceRewarded
from orchestrator.core.policies import needs_judge
from orchestrator.errors import ConfigError, DatasetError, JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import REPORT_FILE, question_name
from orchestrator.questions import Question
from orchestrator.report.report import read_report
from orchestrator.runtime.budget import budget_of
from orchestrator.runtime.endpoints import Keys, validate_rewards
from orchestrator.settings import Settings, changed_setting, without_locations

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
    """Every question under every policy. `keys` are never stored.

    `traces` is N for policies without their own, `streams` the number of open streams that all questions share. `first`
    is the number of the first question, from which the names of the folders count.
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
        """Whether its report exists, which is written last."""
        return (self.folder / REPORT_FILE).exists()


def prepare(plan: LivePlan) -> None:
    """Checks that the plan can be run, and claims `out` for it.

    Raises:
        ConfigError: `out` belongs to another benchmark, or has a run with another question or settings, or a policy needs
            a judge or rewards and there are none.
        DatasetError: a question has no gold answer.
    """
    _validate(plan)
    _claim(plan)
    _validate_finished(planned_runs(plan), plan)


def count_finished(plan: LivePlan) -> int:
    """The number of runs that have their report."""
    return sum(run.is_finished for run in planned_runs(plan))


def outcomes_of(plan: LivePlan) -> list[Outcome]:
    """The outcomes of the finished runs, in the order of the runs."""
    return [_outcome(run) for run in planned_runs(plan) if run.is_finished]


def _validate(plan: LivePlan) -> None:
    for question in plan.questions:
        if question.gold is None:
            raise DatasetError(f"Question '{question.id}' has no answer; a benchmark needs one.")
    for spec in plan.specs:
        if spec.player != "core":
            raise ConfigError(f"{spec.label} exists only in replays; leave it out.")
        if spec.scoring == "any" and spec.traces != 1:
            raise ConfigError(
                f"{spec.label} can only be measured in a replay; record traces, then replay them."
            )
        if needs_judge(spec.settings) and not plan.local and spec.settings.judge.url is None:
            raise ConfigError(
                f"{spec.label} needs a judge; name its server with --judge-endpoint URL."
            )
        validate_rewards(spec.settings, spec.label)
        if budget_of(spec.settings) is not None:
            raise ConfigError(
                f"{spec.label} has a budget for all questions, which a live benchmark does not share; replay it, or ask with "
                "deepprune-orchestrate --budget."
            )


def _claim(plan: LivePlan) -> None:
    settings = {
        path: value
        for path, value in without_locations(plan.specs[0].settings).items()
        if not path.startswith(("policy.", "endpoint.", "judge.", "reward."))
    }
    identity = json.dumps({"traces": plan.traces, "settings": settings}, sort_keys=True)
    claim_folder(plan.out, PLAN_FILE, identity)


def _validate_finished(runs: Sequence[PlannedRun], plan: LivePlan) -> None:
    """Compares the finished runs with the plan, by their journals."""
    for run in runs:
        if not run.is_finished:
            continue
        started = next(iter(read_journal(run.folder)), None)
        settings = settings_of(run.spec, plan)
        if (
            not isinstance(started, RunStarted)
            or (started.question, started.gold) != (run.question.question, run.question.gold)
            or changed_setting(started.settings, settings) is not None
            or started.messages
            not in ((), chat_for(run.question, settings, started.capabilities.reasoner.model))
            or not _serves_named_models(settings, started.capabilities)
        ):
            raise ConfigError(
                f"{run.folder} was run with another question, prompt, model or settings; give another --out."
            )


def _serves_named_models(settings: Settings, found: Capabilities) -> bool:
    """Whether a finished run was served by the models that the settings name; a model without a name is accepted."""
    if settings.endpoint.model not in (None, found.reasoner.model):
        return False
    return found.judge is None or settings.judge.model in (None, found.judge.model)


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
    """The policy's settings with its number of traces in this plan."""
    policy = spec.settings.policy.model_copy(update={"traces": spec.traces or plan.traces})
    return spec.settings.model_copy(update={"policy": policy})


def _outcome(run: PlannedRun) -> Outcome:
    report = read_report(run.folder / REPORT_FILE)
    if report is None:
        raise JournalError(f"{run.folder} has lost its {REPORT_FILE}; start the benchmark again.")
    reasoner, judge = report.ledger.reasoner, report.ledger.judge
    lengths, path, reward_tokens = TraceLengths(), CriticalPath(), 0
    for entry in read_journal(run.folder):
        lengths.add(entry)
        path.add(entry)
        if isinstance(entry, TraceRewarded):
            reward_tokens += entry.prompt_tokens
    return Outcome(
        file="live",
        policy=run.spec.label,
        question_id=run.question.id,
        resample=0,
        answer=report.answer,
        correct=bool(report.correct),
        tokens=reasoner.generated_tokens,
        cut_tokens=reasoner.generated_tokens - reasoner.by_fate.finished,
        sequential_tokens=float(path.tokens()),
        judge_tokens=judge.prompt_tokens - judge.cached_prompt_tokens + judge.completion_tokens,
        seconds=report.seconds,
        traces=report.traces.started,
        clusters=tuple(cluster.size for cluster in report.clusters),
        lengths=lengths.by_fate(),
        reward_tokens=reward_tokens,
    )

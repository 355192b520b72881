"""One policy over recorded questions, resampled: an outcome for every question and resampling."""

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec
import numpy as np

from bench.data.recorded import RecordedQuestion
from bench.data.sampling import Half, sample_traces, traces_of_half
from bench.replay.judges import Judge, RecordedJudge, Scores, SimulatedJudge
from bench.replay.launch_vote import play_launch_vote
from bench.replay.mars import play_mars
from bench.replay.parallel_probe import play_parallel_probe
from bench.replay.player import ReplayInputs, ReplayResult, play
from bench.replay.polr import play_polr
from bench.replay.prefixes import Prefix, checkpoint_prefix
from bench.replay.probe_lead import DEFAULT_LEAD, play_probe_lead
from bench.replay.server import ServerModel
from bench.results.outcomes import Outcome
from bench.specs.policy_spec import Auroc, PolicySpec
from orchestrator.core.confidence import Confidences
from orchestrator.core.policies import (
    Policy,
    make_policy,
    needs_confidences,
    needs_regenerations,
    needs_rewards,
)
from orchestrator.errors import DatasetError
from orchestrator.runtime.budget import budget_of, priced, shared_budget
from orchestrator.settings import Settings

__all__ = ["DEFAULT_CHECKPOINT_TOKENS", "ReplayPlan", "replay_policy", "validate_recordings"]


class ReplayPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The conditions that are the same for every policy of a benchmark.

    `checkpoint_tokens` puts the checkpoint at a number of tokens instead of reasoning words; if it is None, questions
    without text use `DEFAULT_CHECKPOINT_TOKENS`. `traces_half` draws from one half of every question's traces only. `scores` are recorded verdicts by question; if it is None, the judge is
    simulated, with `judge_correlation` of its errors.
    """

    max_traces: int = 128
    resamples: int = 20
    seed: int = 0
    server: ServerModel = ServerModel()
    judge_auroc: Auroc = 0.71
    judge_correlation: float = 0.0
    scores: Mapping[str, Scores] | None = None
    checkpoint_tokens: int | None = None
    traces_half: Half | Literal["all"] = "all"


DEFAULT_CHECKPOINT_TOKENS = 1500

_REPORTS_PER_WINDOW = 8
"""Confidences are reported this often per confidence window, so a stop is at most that fraction of one late."""


def replay_policy(
    spec: PolicySpec,
    questions: Sequence[RecordedQuestion],
    plan: ReplayPlan,
    *,
    file: str,
    advance: Callable[[], None] = lambda: None,
) -> Iterator[Outcome]:
    """The outcomes of all questions and resamplings; `advance` is called after each.

    Raises:
        DatasetError: as for `validate_recordings`.
    """
    validate_recordings(spec, questions, file)
    play_them = _play_all if budget_of(spec.settings) is None else _play_within_budget
    for question, resample, result in play_them(spec, questions, plan):
        yield Outcome(
            file=file,
            policy=spec.label,
            question_id=question.id,
            resample=resample,
            answer=result.answer,
            correct=_correct(spec, question, result),
            tokens=result.tokens,
            cut_tokens=result.tokens - result.finished_tokens,
            sequential_tokens=round(result.sequential_tokens, 3),
            judge_tokens=result.judge_tokens,
            seconds=round(result.seconds, 3),
            traces=result.started,
            clusters=result.clusters,
            lengths=dict(result.lengths),
            reward_tokens=result.reward_tokens,
            probe_tokens=result.probe_tokens,
        )
        advance()


def _play_all(
    spec: PolicySpec, questions: Sequence[RecordedQuestion], plan: ReplayPlan
) -> Iterator[tuple[RecordedQuestion, int, ReplayResult]]:
    for question in questions:
        run = _QuestionReplay(spec, question, plan)
        for resample in range(plan.resamples):
            yield question, resample, run.play(resample)


def _play_within_budget(
    spec: PolicySpec, questions: Sequence[RecordedQuestion], plan: ReplayPlan
) -> Iterator[tuple[RecordedQuestion, int, ReplayResult]]:
    """Each resampling is one file of questions, asked one after the other in an order of its own."""
    runs = [_QuestionReplay(spec, question, plan) for question in questions]
    for resample in range(plan.resamples):
        order = np.random.default_rng([plan.seed, resample]).permutation(len(questions))
        budget = shared_budget(spec.settings, len(questions))
        for number in map(int, order):
            result = runs[number].play(resample, budget.start(number) if budget else None)
            if budget:
                budget.end(number, result.tokens)
            yield questions[number], resample, result


def validate_recordings(spec: PolicySpec, questions: Sequence[RecordedQuestion], file: str) -> None:
    """Checks that the recordings have everything the policy needs.

    Raises:
        DatasetError: probes, confidences, regenerations or rewards are missing, and the policy needs them.
    """
    if spec.player in ("parallel-probe", "mars", "probe-lead"):
        missing = [question.id for question in questions if question.probe_tokens is None]
        if missing:
            raise DatasetError(
                f"{file} has no probes (question '{missing[0]}'); leave out the policy {spec.label}."
            )
    if spec.player == "polr":
        missing = [question.id for question in questions if not question.has_text]
        if missing:
            raise DatasetError(
                f"{file} has no texts (question '{missing[0]}'); leave out the policy {spec.label}."
            )
    if needs_confidences(spec.settings):
        missing = [question.id for question in questions if not question.has_confidences]
        if missing:
            raise DatasetError(
                f"{file} has no confidences (question '{missing[0]}'), which {spec.label} needs; leave that policy "
                "out, or record with --set run.keep_confidences=true."
            )
    if needs_regenerations(spec.settings):
        missing = [question.id for question in questions if not question.has_regenerations]
        if missing:
            raise DatasetError(
                f"{file} has no regenerations (question '{missing[0]}'), which {spec.label} needs; leave that policy out, "
                "or record with --policy prefix-consistency."
            )
    if needs_rewards(spec.settings):
        missing = [question.id for question in questions if not question.has_rewards]
        if missing:
            raise DatasetError(
                f"{file} has no rewards (question '{missing[0]}'), which {spec.label} needs; leave that policy out, "
                "or record with --set policy.vote=reward --reward-endpoint URL."
            )


class _QuestionReplay:
    """A policy and a question, ready to be replayed on any sample of the question's traces."""

    def __init__(self, spec: PolicySpec, question: RecordedQuestion, plan: ReplayPlan) -> None:
        self._spec = spec
        self._question = question
        self._plan = plan
        available = len(traces_of_half(question, plan.traces_half))
        self._traces = min(spec.traces or plan.max_traces, available)
        settings = _settings_for(spec.settings, question, plan, self._traces)
        self._settings = settings
        policy = make_policy(
            settings,
            resumable=True,
            confidences=Confidences(settings.policy),
            probes=question.probe_tokens is not None,
            judge=True,
        )
        self._report_every = _report_every(settings, policy, question.probe_tokens)
        waits = policy.uses_checkpoints or spec.player == "polr"
        self._prefixes: list[Prefix | None] = [
            checkpoint_prefix(trace, settings.checkpoint) if waits else None
            for trace in question.traces
        ]

    def play(self, resample: int, price: float | None = None) -> ReplayResult:
        """One resampling; `price` is that of a further trace, where it is not the policy's own."""
        seed = self._plan.seed
        half = self._plan.traces_half
        sample = sample_traces(
            self._question, self._traces, seed=seed, resample=resample, half=half
        )
        traces = [self._question.traces[number] for number in sample]
        prefixes = [self._prefixes[number] for number in sample]
        match self._spec.player:
            case "parallel-probe":
                return play_parallel_probe(self._question, traces, self._plan.server)
            case "mars":
                return play_mars(self._question, traces, self._plan.server)
            case "probe-lead":
                lead = self._spec.lead or DEFAULT_LEAD
                return play_probe_lead(self._question, traces, self._plan.server, lead)
            case "launch-vote":
                return play_launch_vote(traces, self._plan.server)
            case "polr":
                return play_polr(traces, prefixes, self._plan.server)
            case "core":
                pass
        inputs = ReplayInputs(
            question=self._question,
            traces=traces,
            checkpoints=prefixes,
            judge=self._judge(sample, resample),
            report_every=self._report_every,
        )
        return play(inputs, self._seeded(seed + resample, price), self._plan.server)

    def _seeded(self, seed: int, price: float | None) -> Settings:
        run = self._settings.run.model_copy(update={"seed": seed})
        settings = self._settings.model_copy(update={"run": run})
        return settings if price is None else priced(settings, price)

    def _judge(self, sample: Sequence[int], resample: int) -> Judge:
        plan = self._plan
        if plan.scores is not None:
            return RecordedJudge(plan.scores.get(self._question.id, {}), sample)
        traces = [self._question.traces[number] for number in sample]
        return SimulatedJudge(
            self._spec.judge_auroc or plan.judge_auroc,
            traces,
            np.random.default_rng([plan.seed, resample, len(sample)]),
            plan.judge_correlation,
        )


def _settings_for(
    settings: Settings, question: RecordedQuestion, plan: ReplayPlan, traces: int
) -> Settings:
    """The settings with the question's number of traces, and a checkpoint that can be found in what was recorded."""
    changes: dict[str, Any] = {
        "policy": settings.policy.model_copy(update={"traces": traces}),
    }
    if plan.checkpoint_tokens is not None or not question.has_text:
        tokens = plan.checkpoint_tokens or DEFAULT_CHECKPOINT_TOKENS
        changes["checkpoint"] = settings.checkpoint.model_copy(
            update={"unit": "tokens", "tokens": tokens}
        )
    return settings.model_copy(update=changes)


def _report_every(settings: Settings, policy: Policy, probe_tokens: int | None) -> int | None:
    """Tokens between two reports of a trace.

    Of confidences a fraction of a window, or all at the end if no trace is stopped by them; for a policy that probes, as
    often as the traces were probed when they were recorded.
    """
    if not needs_confidences(settings):
        return probe_tokens if policy.watches_tokens else None
    if not policy.watches_tokens:
        return sys.maxsize
    return max(1, settings.policy.confidence_window // _REPORTS_PER_WINDOW)


def _correct(spec: PolicySpec, question: RecordedQuestion, result: ReplayResult) -> bool:
    if spec.scoring == "any":
        return not question.correct.isdisjoint(result.finished)
    return result.answer in question.correct

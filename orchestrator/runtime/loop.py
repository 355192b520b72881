"""The loop of one question: producers put facts into a bounded channel, one consumer decides and orders.

The rules: one writer holds the state, so there are no locks; a fact is recorded before anything follows
from it; the consumer never awaits an order's result. However the run ends (done, failed, interrupted),
every stream is closed before `run_question` returns.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from typing import Any

import msgspec

from orchestrator.answers.equality import AnswerBook
from orchestrator.client.server_counters import Meter
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    AskJudge,
    Fact,
    FinishRun,
    HoldLaunches,
    JudgeFailed,
    Order,
    PairsJudged,
    PauseTrace,
    ReleaseLaunches,
    ResumeTrace,
    RewardFailed,
    RewardTrace,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    StartTrace,
    StopTrace,
    TraceFailed,
    TraceRewarded,
    UserActed,
)
from orchestrator.core.policies import needs_confidences, planned_traces
from orchestrator.errors import EndpointError, JudgeError, first_error
from orchestrator.journal.journal import JournalWriter
from orchestrator.journal.recovery import Standing
from orchestrator.questions import Question
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Fleet
from orchestrator.runtime.limiter import Slots
from orchestrator.runtime.trace import TraceRunner, TraceSettings
from orchestrator.settings import Settings

__all__ = ["Acts", "run_question"]

Acts = asyncio.Queue[UserActed]
StartTask = Callable[[Coroutine[Any, Any, None]], None]

_CHANNEL_SIZE = 1024  # facts; a full channel slows the streams down instead of filling the memory


async def run_question(
    question: Question,
    *,
    settings: Settings,
    fleet: Fleet,
    journal: JournalWriter,
    view: RunView,
    interrupted: asyncio.Event,
    acts: Acts | None = None,
    slots: Slots | None = None,
    past: Iterable[Fact | Order] = (),
) -> None:
    """Carries one question from its first stream to `RunFinished`, recording every fact.

    `view` is empty at the start and holds the whole run at the end; whoever displays the run reads it
    meanwhile. Setting `interrupted` ends the run early, with a vote over what has finished. What is put
    into `acts` is what the user does to the run meanwhile; its time is set when it is taken. `slots` is room for
    streams that this question shares with others that run beside it; without it, it has `run.concurrency` of its own. The
    servers' counters then tell nothing of this question, so they are not read.

    `past` is what `journal` holds already: the run goes on from there (`orchestrator.journal.recovery`), and one that was over
    is only folded.

    Raises:
        ConfigError: the run began with other settings, or with servers of another kind.
        EndpointRejected: the server refuses the requests.
        JournalError: a fact could not be recorded, and the streams are closed; or the core decides otherwise than
            `past` says.
    """
    standing = Standing(past, view.apply)
    if standing.finished is not None:
        return
    standing.refuse_changes(settings)
    standing.refuse_other_servers(_capabilities(fleet))
    room = slots if slots is not None else Slots(settings.run.concurrency)
    loop = _QuestionLoop(
        question, settings, fleet, journal, view, room, standing, metered=slots is None
    )
    await loop.run(interrupted, acts if acts is not None else asyncio.Queue())


class _QuestionLoop:
    """The single consumer and what it needs to perform orders."""

    def __init__(
        self,
        question: Question,
        settings: Settings,
        fleet: Fleet,
        journal: JournalWriter,
        view: RunView,
        slots: Slots,
        standing: Standing,
        *,
        metered: bool,
    ) -> None:
        self._slots = slots
        self._metered = metered
        self._standing = standing
        self._question = question
        self._settings = settings
        self._fleet = fleet
        self._journal = journal
        self._view = view
        self._channel: asyncio.Queue[Fact] = asyncio.Queue(_CHANNEL_SIZE)
        self._clock = _stopwatch(standing.at)
        self._book = AnswerBook(fleet.equality(question.question))
        self._runners: dict[int, TraceRunner] = {}
        self._finish = False

    async def run(self, interrupted: asyncio.Event, acts: Acts) -> None:
        prompt = await self._fleet.reasoner.render(self._question.question)
        self._standing.refuse_other_prompt(prompt.token_ids)
        reasoner_meter = Meter(self._fleet.reasoner if self._metered else None)
        judge_meter = Meter(self._fleet.judge if self._metered else None)
        await reasoner_meter.start()
        await judge_meter.start()
        shared = TraceSettings(
            reasoner=self._fleet.reasoner,
            endpoint=self._fleet.capabilities.endpoint,
            prompt=prompt,
            resumable=self._fleet.capabilities.resumable,
            slots=self._slots,
            launching=_opened_gate(),
            max_attempts=self._settings.endpoint.max_attempts,
            answer_regex=self._settings.answers.regex,
            book=self._book,
            emit=self._channel.put,
            clock=self._clock,
            top_logprobs=self._settings.policy.top_logprobs
            if needs_confidences(self._settings)
            else None,
        )
        try:
            async with _cancelled_at_exit() as start:
                start(self._forward_interrupt(interrupted))
                start(self._forward_acts(acts))
                await self._consume(shared, start)
        except BaseExceptionGroup as group:
            raise first_error(group) from None
        ended_at = self._clock()  # before the servers are waited for
        reasoner_counted, judge_counted = await reasoner_meter.stop(), await judge_meter.stop()
        self._record(
            RunFinished(
                at=ended_at,
                correct_answers=await self._correct_answers(),
                server_generated_tokens=reasoner_counted.generated,
                cached_prompt_tokens=reasoner_counted.cached_prompt,
                judge_cached_prompt_tokens=judge_counted.cached_prompt,
                interrupted=interrupted.is_set(),
            )
        )

    async def _consume(self, shared: TraceSettings, start: StartTask) -> None:
        """Takes facts one by one until the core says that the run is over."""
        fact: Fact
        if (engine := self._standing.engine) is None:
            fact = started = self._run_started()
            engine = Engine(started)
        else:
            self._take_up(shared, start)
            fact = RunResumed(at=self._clock(), capabilities=_capabilities(self._fleet))
        while True:
            self._record(fact)
            outcome = engine.feed(fact)
            for decided in outcome.facts:
                self._record(decided)
            for order in outcome.orders:
                self._record(order)
                self._perform(order, shared, start)
            if self._finish:
                return
            if self._channel.empty():
                self._journal.flush()
            fact = await self._channel.get()

    def _take_up(self, shared: TraceSettings, start: StartTask) -> None:
        """Does what an earlier process had ordered and not seen done; traces that had streams come first."""
        standing = self._standing
        for entry in standing.owed:
            self._record(entry)
        for raw, label in standing.answers.items():
            self._book.remember(raw, label)
        if standing.held:
            shared.launching.clear()
        self._finish = standing.over
        lost = set(standing.lost)
        for number, trace in sorted(standing.traces.items(), key=lambda item: not item[1].opened):
            runner = self._runners[number] = TraceRunner(number, shared, trace)
            if number in lost:
                start(self._channel.put(self._lost(number, trace.tokens)))
            elif not trace.ended:
                start(runner.run())
        for order in standing.unanswered.values():
            start(self._ask_judge(order))
        for number in standing.unrewarded:
            start(self._ask_reward(number))

    def _lost(self, trace: int, tokens: int) -> TraceFailed:
        return TraceFailed(
            at=self._clock(),
            trace=trace,
            boundary="server",
            message="the program ended, and this server gives no token ids to go on from",
            tokens=tokens,
        )

    def _run_started(self) -> RunStarted:
        return RunStarted(
            at=self._clock(),
            question_id=self._question.id,
            question=self._question.question,
            gold=self._question.gold,
            planned=planned_traces(self._settings),
            settings=self._settings.model_dump(mode="json"),
            capabilities=_capabilities(self._fleet),
        )

    def _record(self, entry: Fact | Order) -> None:
        self._journal.write(entry)
        self._view.apply(entry)

    def _perform(self, order: Order, shared: TraceSettings, start: StartTask) -> None:
        """Starts what the order asks for; its results come back as facts."""
        match order:
            case StartTrace(trace=trace):
                runner = self._runners[trace] = TraceRunner(trace, shared)
                start(runner.run())
            case PauseTrace(trace=trace):
                self._runners[trace].pause()
            case ResumeTrace(trace=trace):
                self._runners[trace].resume()
            case StopTrace(trace=trace, reason=reason):
                self._runners[trace].stop(reason)
            case AskJudge():
                start(self._ask_judge(order))
            case RewardTrace(trace=trace):
                start(self._ask_reward(trace))
            case HoldLaunches():
                shared.launching.clear()
            case ReleaseLaunches():
                shared.launching.set()
            case FinishRun():
                self._finish = True

    async def _ask_judge(self, order: AskJudge) -> None:
        """One judge call; without a verdict the fact is `JudgeFailed`, which never prunes."""
        try:
            fact = await self._verdicts(order)
        except JudgeError as error:
            fact = JudgeFailed(
                at=self._clock(), trace=order.trace, members=order.members, message=str(error)
            )
        await self._channel.put(fact)

    async def _verdicts(self, order: AskJudge) -> Fact:
        if self._fleet.judge is None:
            raise JudgeError("there is no judge endpoint")
        scores = await self._fleet.judge.score(
            question=self._question.question,
            new=self._segment(order.trace),
            members=[self._segment(member) for member in order.members],
        )
        return PairsJudged(
            at=self._clock(),
            trace=order.trace,
            members=order.members,
            probabilities=scores.probabilities,
            prompt_tokens=scores.prompt_tokens,
            cached_prompt_tokens=scores.cached_prompt_tokens,
            completion_tokens=scores.completion_tokens,
            seconds=scores.seconds,
            requests=scores.requests,
        )

    async def _ask_reward(self, trace: int) -> None:
        """One reward; a trace that gets none keeps its ballot, so the fact is `RewardFailed`."""
        fact: Fact
        try:
            fact = await self._reward(trace)
        except EndpointError as error:
            fact = RewardFailed(at=self._clock(), trace=trace, message=str(error))
        await self._channel.put(fact)

    async def _reward(self, trace: int) -> Fact:
        if self._fleet.reward is None:
            raise EndpointError("there is no reward endpoint")
        reward = await self._fleet.reward.score(
            question=self._question.question, trace=self._view.traces[trace].text
        )
        return TraceRewarded(
            at=self._clock(),
            trace=trace,
            reward=reward.value,
            prompt_tokens=reward.prompt_tokens,
            seconds=reward.seconds,
        )

    def _segment(self, trace: int) -> str:
        """What the judge reads of a trace: its text up to its checkpoint."""
        seen = self._view.traces[trace]
        if seen.checkpoint is None:
            raise JudgeError(f"trace {trace} has not reached its checkpoint")
        return seen.text[: seen.checkpoint.chars]

    async def _forward_interrupt(self, interrupted: asyncio.Event) -> None:
        await interrupted.wait()
        await self._channel.put(RunInterrupted(at=self._clock()))

    async def _forward_acts(self, acts: Acts) -> None:
        while True:
            act = await acts.get()
            await self._channel.put(msgspec.structs.replace(act, at=self._clock()))

    async def _correct_answers(self) -> tuple[str, ...]:
        if self._question.gold is None:
            return ()
        return await self._book.correct_classes(self._question.gold)


@contextlib.asynccontextmanager
async def _cancelled_at_exit() -> AsyncIterator[StartTask]:
    """Yields a function that starts tasks; those that are left are cancelled, and awaited, at the end."""
    tasks: list[asyncio.Task[None]] = []
    async with asyncio.TaskGroup() as group:
        yield lambda work: tasks.append(group.create_task(work))
        for task in tasks:
            task.cancel()


def _capabilities(fleet: Fleet) -> dict[str, Any]:
    """What the servers can do, as plain JSON."""
    return {**msgspec.to_builtins(fleet.capabilities), "judge": fleet.judge_capabilities}


def _opened_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


def _stopwatch(shown: float) -> Callable[[], float]:
    """Seconds from `shown` on, to the microsecond, which is what facts carry."""
    start = time.monotonic() - shown
    return lambda: round(time.monotonic() - start, 6)

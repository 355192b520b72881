"""The loop of one question: producers put facts into a bounded channel, one consumer decides and orders.

The rules: one writer holds the state, so there are no locks; a fact is recorded before anything follows
from it; the consumer never awaits an order's result. However the run ends (done, failed, interrupted),
every stream is closed before `run_question` returns.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import msgspec

from orchestrator.config import Settings
from orchestrator.core.engine import Engine
from orchestrator.core.facts import (
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
    RunStarted,
    StartTrace,
    StopTrace,
    TraceRewarded,
    UserActed,
)
from orchestrator.core.policies import needs_confidences, planned_traces
from orchestrator.equivalence import AnswerBook
from orchestrator.errors import EndpointError, JudgeError, first_error
from orchestrator.fleet import Fleet
from orchestrator.journal import JournalWriter
from orchestrator.meter import Meter
from orchestrator.questions import Question
from orchestrator.slots import Slots
from orchestrator.traces import TraceRunner, TraceSettings
from orchestrator.view import RunView

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
) -> None:
    """Carries one question from its first stream to `RunFinished`, recording every fact.

    `view` is empty at the start and holds the whole run at the end; whoever displays the run reads it
    meanwhile. Setting `interrupted` ends the run early, with a vote over what has finished. What is put
    into `acts` is what the user does to the run meanwhile; its time is set when it is taken. `slots` is room for
    streams that this question shares with others; without it, it has `run.concurrency` of its own.

    Raises:
        EndpointRejected: the server refuses the requests.
        JournalError: a fact could not be recorded; the streams are closed.
    """
    room = slots if slots is not None else Slots(settings.run.concurrency)
    loop = _QuestionLoop(question, settings, fleet, journal, view, room)
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
    ) -> None:
        self._slots = slots
        self._question = question
        self._settings = settings
        self._fleet = fleet
        self._journal = journal
        self._view = view
        self._channel: asyncio.Queue[Fact] = asyncio.Queue(_CHANNEL_SIZE)
        self._clock = _stopwatch()
        self._book = AnswerBook(fleet.equality(question.question))
        self._runners: dict[int, TraceRunner] = {}
        self._finish = False

    async def run(self, interrupted: asyncio.Event, acts: Acts) -> None:
        prompt = await self._fleet.reasoner.render(self._question.question)
        reasoner_meter, judge_meter = Meter(self._fleet.reasoner), Meter(self._fleet.judge)
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
        reasoner_counted, judge_counted = await reasoner_meter.stop(), await judge_meter.stop()
        self._record(
            RunFinished(
                at=self._clock(),
                correct_answers=await self._correct_answers(),
                server_generated_tokens=reasoner_counted.generated,
                cached_prompt_tokens=reasoner_counted.cached_prompt,
                judge_cached_prompt_tokens=judge_counted.cached_prompt,
                interrupted=interrupted.is_set(),
            )
        )

    async def _consume(self, shared: TraceSettings, start: StartTask) -> None:
        """Takes facts one by one until the core says that the run is over."""
        started = self._run_started()
        engine = Engine(started)
        fact: Fact = started
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
            fact = await self._channel.get()

    def _run_started(self) -> RunStarted:
        capabilities = msgspec.to_builtins(self._fleet.capabilities)
        return RunStarted(
            at=self._clock(),
            question_id=self._question.id,
            question=self._question.question,
            gold=self._question.gold,
            planned=planned_traces(self._settings),
            settings=self._settings.model_dump(mode="json"),
            capabilities={**capabilities, "judge": self._fleet.judge_capabilities},
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


def _opened_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


def _stopwatch() -> Callable[[], float]:
    """Seconds since now, to the microsecond, which is what facts carry."""
    start = time.monotonic()
    return lambda: round(time.monotonic() - start, 6)

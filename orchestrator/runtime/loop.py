"""The loop of one question: producers put events into a bounded channel, one consumer decides and commands.

The rules: one writer holds the state, so there are no locks; an event is recorded before anything follows
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
from orchestrator.capabilities import Capabilities
from orchestrator.client.server_counters import Meter
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    AskJudge,
    Command,
    Event,
    FinishRun,
    HoldLaunches,
    JudgeFailed,
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
    UserCommandReceived,
)
from orchestrator.core.policies import needs_confidences, planned_traces
from orchestrator.errors import EndpointError, JudgeError, first_error
from orchestrator.journal.journal import JournalWriter
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.questions import Question
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.runtime.limiter import StreamLimiter
from orchestrator.runtime.trace import TraceRunner, TraceSettings
from orchestrator.settings import Settings

__all__ = ["UserCommands", "run_question"]

UserCommands = asyncio.Queue[UserCommandReceived]
StartTask = Callable[[Coroutine[Any, Any, None]], None]

_CHANNEL_SIZE = 1024  # events; a full channel slows the streams down instead of filling the memory


async def run_question(
    question: Question,
    *,
    settings: Settings,
    endpoints: Endpoints,
    journal: JournalWriter,
    view: RunView,
    interrupted: asyncio.Event,
    user_commands: UserCommands | None = None,
    limiter: StreamLimiter | None = None,
    past: Iterable[Event | Command] = (),
) -> None:
    """Carries one question from its first stream to `RunFinished`, recording every event.

    `view` is empty at the start and holds the whole run at the end; whoever displays the run reads it
    meanwhile. Setting `interrupted` ends the run early, with a vote over what has finished. What is put
    into `user_commands` is what the user does to the run meanwhile; its time is set when it is taken. `limiter` is room for
    streams that this question shares with others that run beside it; without it, it has `run.concurrency` of its own. The
    servers' counters then tell nothing of this question, so they are not read.

    `past` is what `journal` holds already: the run goes on from there (`orchestrator.journal.recovery`), and one that was over
    is only folded.

    Raises:
        ConfigError: the run began with other settings, or with servers of another kind.
        EndpointRejected: the server refuses the requests.
        JournalError: an event could not be recorded, and the streams are closed; or the core decides otherwise than
            `past` says.
    """
    recovered = RecoveredRun(past, view.apply)
    if recovered.finished is not None:
        return
    recovered.validate_settings(settings)
    recovered.validate_servers(_capabilities(endpoints))
    room = limiter if limiter is not None else StreamLimiter(settings.run.concurrency)
    loop = _QuestionLoop(
        question, settings, endpoints, journal, view, room, recovered, metered=limiter is None
    )
    await loop.run(interrupted, user_commands if user_commands is not None else asyncio.Queue())


class _QuestionLoop:
    """The single consumer and what it needs to perform commands."""

    def __init__(
        self,
        question: Question,
        settings: Settings,
        endpoints: Endpoints,
        journal: JournalWriter,
        view: RunView,
        limiter: StreamLimiter,
        recovered: RecoveredRun,
        *,
        metered: bool,
    ) -> None:
        self._limiter = limiter
        self._metered = metered
        self._recovered = recovered
        self._question = question
        self._settings = settings
        self._endpoints = endpoints
        self._journal = journal
        self._view = view
        self._channel: asyncio.Queue[Event] = asyncio.Queue(_CHANNEL_SIZE)
        self._clock = _stopwatch(recovered.at)
        self._book = AnswerBook(
            endpoints.equality(question.question),
            compare_all=settings.answers.equality != "llm",
            options=question.options,
        )
        self._runners: dict[int, TraceRunner] = {}
        self._finish = False

    async def run(self, interrupted: asyncio.Event, user_commands: UserCommands) -> None:
        prompt = await self._endpoints.reasoner.render(self._question.question)
        self._recovered.validate_prompt(prompt.token_ids)
        reasoner_meter = Meter(self._endpoints.reasoner if self._metered else None)
        judge_meter = Meter(self._endpoints.judge if self._metered else None)
        await reasoner_meter.start()
        await judge_meter.start()
        shared = TraceSettings(
            reasoner=self._endpoints.reasoner,
            endpoint=self._endpoints.capabilities.endpoint,
            prompt=prompt,
            resumable=self._endpoints.capabilities.resumable,
            limiter=self._limiter,
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
                start(self._forward_user_commands(user_commands))
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
        """Takes events one by one until the core says that the run is over."""
        event: Event
        if (engine := self._recovered.engine) is None:
            event = started = self._run_started()
            engine = Engine(started)
        else:
            self._take_up(shared, start)
            event = RunResumed(at=self._clock(), capabilities=_capabilities(self._endpoints))
        while True:
            self._record(event)
            outcome = engine.feed(event)
            for decided in outcome.events:
                self._record(decided)
            for command in outcome.commands:
                self._record(command)
                self._perform(command, shared, start)
            if self._finish:
                return
            if self._channel.empty():
                self._journal.flush()
            event = await self._channel.get()

    def _take_up(self, shared: TraceSettings, start: StartTask) -> None:
        """Does what an earlier process had ordered and not seen done; traces that had streams come first."""
        recovered = self._recovered
        for entry in recovered.pending:
            self._record(entry)
        for raw, label in recovered.answers.items():
            self._book.remember(raw, label)
        if recovered.held:
            shared.launching.clear()
        self._finish = recovered.over
        lost = set(recovered.lost)
        for number, trace in sorted(recovered.traces.items(), key=lambda item: not item[1].opened):
            runner = self._runners[number] = TraceRunner(number, shared, trace)
            if number in lost:
                start(self._channel.put(self._lost(number, trace.tokens)))
            elif not trace.ended:
                start(runner.run())
        for command in recovered.unanswered.values():
            start(self._ask_judge(command))
        for number in recovered.unrewarded:
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
            settings=self._settings,
            capabilities=_capabilities(self._endpoints),
        )

    def _record(self, entry: Event | Command) -> None:
        self._journal.write(entry)
        self._view.apply(entry)

    def _perform(self, command: Command, shared: TraceSettings, start: StartTask) -> None:
        """Starts what the order asks for; its results come back as events."""
        match command:
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
                start(self._ask_judge(command))
            case RewardTrace(trace=trace):
                start(self._ask_reward(trace))
            case HoldLaunches():
                shared.launching.clear()
            case ReleaseLaunches():
                shared.launching.set()
            case FinishRun():
                self._finish = True

    async def _ask_judge(self, command: AskJudge) -> None:
        """One judge call; without a verdict the event is `JudgeFailed`, which never prunes."""
        try:
            event = await self._verdicts(command)
        except JudgeError as error:
            event = JudgeFailed(
                at=self._clock(), trace=command.trace, members=command.members, message=str(error)
            )
        await self._channel.put(event)

    async def _verdicts(self, command: AskJudge) -> Event:
        if self._endpoints.judge is None:
            raise JudgeError("there is no judge endpoint")
        scores = await self._endpoints.judge.score(
            question=self._question.question,
            new=self._segment(command.trace),
            members=[self._segment(member) for member in command.members],
        )
        return PairsJudged(
            at=self._clock(),
            trace=command.trace,
            members=command.members,
            probabilities=scores.probabilities,
            prompt_tokens=scores.prompt_tokens,
            cached_prompt_tokens=scores.cached_prompt_tokens,
            completion_tokens=scores.completion_tokens,
            seconds=scores.seconds,
            requests=scores.requests,
        )

    async def _ask_reward(self, trace: int) -> None:
        """One reward; a trace that gets none keeps its ballot, so the event is `RewardFailed`."""
        event: Event
        try:
            event = await self._reward(trace)
        except EndpointError as error:
            event = RewardFailed(at=self._clock(), trace=trace, message=str(error))
        await self._channel.put(event)

    async def _reward(self, trace: int) -> Event:
        if self._endpoints.reward is None:
            raise EndpointError("there is no reward endpoint")
        reward = await self._endpoints.reward.score(
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

    async def _forward_user_commands(self, user_commands: UserCommands) -> None:
        while True:
            act = await user_commands.get()
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


def _capabilities(endpoints: Endpoints) -> Capabilities:
    return Capabilities(reasoner=endpoints.capabilities, judge=endpoints.judge_capabilities)


def _opened_gate() -> asyncio.Event:
    gate = asyncio.Event()
    gate.set()
    return gate


def _stopwatch(shown: float) -> Callable[[], float]:
    """Seconds from `shown` on, to the microsecond, which is what events carry."""
    start = time.monotonic() - shown
    return lambda: round(time.monotonic() - start, 6)

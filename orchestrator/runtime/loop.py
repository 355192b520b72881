"""The loop of one question: producers put events into a bounded channel, one consumer decides and commands.

The rules: one writer holds the state, so there are no locks; an event is recorded before anything follows
from it; the consumer never awaits the result of a command. However the run ends (done, failed, interrupted,
cancelled), every stream is closed before `run_question` returns.
"""

import asyncio
import contextlib
from collections.abc import Iterable

import msgspec

from orchestrator.answers.answer_book import AnswerBook
from orchestrator.capabilities import Capabilities
from orchestrator.client.reasoner.client import Prompt
from orchestrator.client.server_counters import Metered
from orchestrator.config.prompts import chat_for
from orchestrator.core.commands import (
    AskJudge,
    Command,
    FinishRun,
    HoldLaunches,
    PauseTrace,
    ProbeTrace,
    ReleaseLaunches,
    ResumeTrace,
    RewardTrace,
    StartTrace,
    StopTrace,
)
from orchestrator.core.engine import Engine
from orchestrator.core.events import (
    Event,
    ReplicaDown,
    ReplicaUp,
    RunFinished,
    RunInterrupted,
    RunResumed,
    RunStarted,
    TraceFailed,
)
from orchestrator.core.policies import needs_confidences, planned_traces
from orchestrator.errors import EndpointRejected, ServersAway, first_error, is_of_one_request
from orchestrator.journal.archive import is_compressed, validate_plain
from orchestrator.journal.journal import JournalWriter, read_journal
from orchestrator.journal.recovery import RecoveredRun
from orchestrator.runtime.attempts import Attempts, patiently
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.runtime.evaluators import Evaluators
from orchestrator.runtime.metering import Meters
from orchestrator.runtime.prober import Prober
from orchestrator.runtime.question_run import QuestionRun
from orchestrator.runtime.refusals import fail_traces, start_refused
from orchestrator.runtime.server_record import ServerRecord
from orchestrator.runtime.tasks import StartTask, cancelled_at_exit, stopwatch
from orchestrator.runtime.trace import TraceRunner, TraceSettings

__all__ = ["run_question"]

_COMPARING_SECONDS = 0.5  # left to answers that are being compared when the user interrupts
_PROBING_SECONDS = 1.0  # left to probes, of two dozen tokens each, when the vote is cast
_CHANNEL_SIZE = 1024  # events; a full channel slows the streams down instead of filling the memory


async def run_question(run: QuestionRun, endpoints: Endpoints) -> None:
    """Runs one question from its first stream to `RunFinished`, recording every event in the view and the journal.

    A journal in the run's folder is continued (`orchestrator.journal.recovery`); one whose run is over is only
    read into the view.

    Raises:
        ConfigError: the journal began with other settings, or with servers of another kind.
        EndpointRejected: the server refuses the requests.
        JournalError: an event could not be recorded, and the streams are closed; or the core decides otherwise than
            the journal says.
    """
    with contextlib.ExitStack() as stack:
        journal: JournalWriter | None = None
        past: Iterable[Event | Command] = ()
        if run.folder is not None:
            if not is_compressed(run.folder):
                journal = stack.enter_context(JournalWriter.open(run.folder))
            past = read_journal(run.folder)
        recovered = RecoveredRun(past, run.take)
        if recovered.finished is None:
            validate_plain(run.folder)
            recovered.validate_settings(run.settings)
            recovered.validate_servers(_capabilities(endpoints))
            await _QuestionLoop(run, endpoints, journal, recovered).run()
    if run.settings.run.compress_journal:
        await run.compress_journal()


class _QuestionLoop:
    """The single consumer and what it needs to perform commands."""

    def __init__(
        self,
        run: QuestionRun,
        endpoints: Endpoints,
        journal: JournalWriter | None,
        recovered: RecoveredRun,
    ) -> None:
        self._run = run
        self._endpoints = endpoints
        self._journal = journal
        self._recovered = recovered
        self._channel: asyncio.Queue[Event] = asyncio.Queue(_CHANNEL_SIZE)
        self._clock = stopwatch(recovered.at)
        self._book = AnswerBook(
            endpoints.equality(run.question.question),
            compare_all=run.settings.answers.equality != "llm",
            options=run.question.options,
        )
        self._evaluators = Evaluators(
            run.question.question,
            endpoints,
            run.view,
            emit=self._channel.put,
            clock=self._clock,
        )
        self._messages = chat_for(run.question, run.settings, endpoints.capabilities.model)
        self._runners: dict[int, TraceRunner] = {}
        self._engine: Engine | None = None
        self._finish = False

    async def run(self) -> None:
        self._recovered.validate_messages(self._messages)
        prompt = await self._render()
        if prompt is None:
            return
        self._recovered.validate_prompt(prompt.token_ids)
        meters = Meters(
            self._run,
            reasoner=self._endpoints.reasoner,
            judge=self._endpoints.judge,
            shared=self._endpoints.shared_engines,
        )
        await meters.start()
        shared = self._trace_settings(prompt)
        self._run.streaming = True
        try:
            async with cancelled_at_exit() as start:
                start(self._forward_interrupt())
                start(self._forward_user_commands())
                start(self._forward_server_changes())
                await self._consume(shared, start)
        except BaseExceptionGroup as group:
            error = first_error(group)
            if isinstance(error, ServersAway):
                self._run.break_off(error, self._engine, self._runners, self._clock())
                return
            self._fail_if_refused(error)
        ended_at = self._clock()  # before the servers are waited for
        await self._record_end(ended_at, *await meters.stop())

    async def _record_end(self, at: float, reasoner: Metered, judge: Metered) -> None:
        self._record(
            RunFinished(
                at=at,
                correct_answers=await self._correct_answers(),
                undecided=self._book.take_undecided().comparisons,
                server_generated_tokens=reasoner.generated,
                cached_prompt_tokens=reasoner.cached_prompt,
                judge_cached_prompt_tokens=judge.cached_prompt,
                interrupted=self._run.interrupted.is_set(),
            )
        )

    async def _render(self) -> Prompt | None:
        """The prompt; None if the server refuses this question, which is recorded as the whole of its run."""
        started = self._recovered.started
        arguments = self._run.settings.sampling.chat_template_kwargs
        if started is None or started.refusal is None:
            try:
                return await patiently(
                    lambda: self._endpoints.reasoner.render(self._messages, arguments),
                    Attempts(self._run.settings.endpoint, self._clock),
                    self._run.note,
                )
            except EndpointRejected as error:
                if not is_of_one_request(error) or started is not None:
                    raise
                for entry in start_refused(self._run_started(), str(error), self._run.policy):
                    self._record(entry)
        for entry in self._recovered.pending:
            self._record(entry)
        await self._record_end(self._clock(), Metered(), Metered())
        return None

    def _fail_if_refused(self, error: BaseException) -> None:
        """Fails every open trace if `error` is the server's refusal of this question; raises any other error."""
        if self._engine is None or not is_of_one_request(error):
            raise error from None
        self._run.refused = str(error)
        views = self._run.view.traces
        open_traces = [number for number in self._runners if views[number].ending is None]
        for entry in fail_traces(self._engine, open_traces, str(error), self._clock()):
            self._record(entry)

    def _trace_settings(self, prompt: Prompt) -> TraceSettings:
        settings, capabilities = self._run.settings, self._endpoints.capabilities
        launching = asyncio.Event()
        launching.set()
        return TraceSettings(
            fleet=self._endpoints.reasoner,
            session=self._run.session,
            prompt=prompt,
            resumable=capabilities.resumable,
            launching=launching,
            settings=settings.endpoint,
            record=ServerRecord(
                answered=any(trace.tokens for trace in self._recovered.traces.values())
            ),
            answer_regex=settings.answers.regex,
            book=self._book,
            emit=self._channel.put,
            emit_now=self._emit_now,
            clock=self._clock,
            sampling=settings.sampling,
            top_logprobs=settings.policy.top_logprobs if needs_confidences(settings) else None,
        )

    def _emit_now(self, event: Event) -> bool:
        if self._channel.full():
            return False
        self._channel.put_nowait(event)
        return True

    async def _consume(self, shared: TraceSettings, start: StartTask) -> None:
        """Takes events one by one until the core says that the run is over."""
        event: Event
        if (engine := self._recovered.engine) is None:
            event = started = self._run_started()
            engine = Engine(started, self._run.policy)
        else:
            self._continue_recovered(shared, start)
            event = RunResumed(at=self._clock(), capabilities=_capabilities(self._endpoints))
        self._engine = engine
        while True:
            self._record(event)
            outcome = engine.feed(event)
            if outcome.events or outcome.commands:
                self._record(*outcome.events, *outcome.commands)
            for command in outcome.commands:
                self._perform(command, shared, start)
            if self._finish:
                await self._take_last_probes(engine)
                return
            if self._journal is not None and self._channel.empty():
                self._journal.flush()
            event = await self._channel.get()

    async def _take_last_probes(self, engine: Engine) -> None:
        """Probes that are under way when the vote is cast change nothing, but the server writes them, so they are on the bill."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_PROBING_SECONDS):
                while engine.probing:
                    event = await self._channel.get()
                    self._record(event)
                    engine.feed(event)

    def _continue_recovered(self, shared: TraceSettings, start: StartTask) -> None:
        """Performs what an earlier process had commanded and not seen done; traces that had streams come first."""
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
            prefix = recovered.prefixes.get(number, ())
            runner = self._runners[number] = TraceRunner(number, shared.behind(prefix), trace)
            if number in lost:
                start(self._channel.put(self._lost(number, trace.tokens)))
            elif not trace.ended:
                start(runner.run())
        for command in recovered.unanswered.values():
            start(self._evaluators.ask_judge(command))
        for number in recovered.unrewarded:
            start(self._evaluators.ask_reward(number))
        prober = Prober(shared, self._run.settings.model)
        for number in recovered.unprobed.elements():
            start(self._channel.put(prober.failed(number, "the program ended before the answer")))

    def _lost(self, trace: int, tokens: int) -> TraceFailed:
        return TraceFailed(
            at=self._clock(),
            trace=trace,
            boundary="server",
            message="the program ended, and this server gives no token ids to continue from",
            tokens=tokens,
        )

    def _run_started(self) -> RunStarted:
        question, settings = self._run.question, self._run.settings
        return RunStarted(
            at=self._clock(),
            question_id=question.id,
            question=question.question,
            gold=question.gold,
            planned=planned_traces(settings),
            settings=settings,
            capabilities=_capabilities(self._endpoints),
            messages=self._messages,
        )

    def _record(self, *entries: Event | Command) -> None:
        if self._journal is not None:
            self._journal.write(*entries)
        for entry in entries:
            self._run.take(entry)
            self._run.listener(entry)

    def _perform(self, command: Command, shared: TraceSettings, start: StartTask) -> None:
        """Starts what the command asks for; its results come back as events."""
        match command:
            case StartTrace(trace=trace, of=source, prefix_tokens=kept):
                ids = () if source is None else self._runners[source].progress.token_ids[:kept]
                runner = self._runners[trace] = TraceRunner(trace, shared.behind(ids))
                start(runner.run())
            case PauseTrace(trace=trace):
                self._runners[trace].pause()
            case ResumeTrace(trace=trace):
                self._runners[trace].resume()
            case StopTrace(trace=trace, reason=reason):
                self._runners[trace].stop(reason)
            case AskJudge():
                start(self._evaluators.ask_judge(command))
            case RewardTrace(trace=trace):
                start(self._evaluators.ask_reward(trace))
            case ProbeTrace(trace=trace):
                prober = Prober(shared, self._run.settings.model)
                start(prober.probe(trace, self._runners[trace].progress))
            case HoldLaunches():
                shared.launching.clear()
            case ReleaseLaunches():
                shared.launching.set()
            case FinishRun():
                self._finish = True

    async def _forward_interrupt(self) -> None:
        await self._run.interrupted.wait()
        self._book.hurry(_COMPARING_SECONDS)
        await self._channel.put(RunInterrupted(at=self._clock()))

    async def _forward_user_commands(self) -> None:
        while True:
            received = await self._run.user_commands.get()
            await self._channel.put(msgspec.structs.replace(received, at=self._clock()))

    async def _forward_server_changes(self) -> None:
        async with contextlib.aclosing(self._endpoints.reasoner.changes()) as changes:
            async for change in changes:
                at, endpoint = self._clock(), change.address
                await self._channel.put(
                    ReplicaUp(at=at, endpoint=endpoint)
                    if change.up
                    else ReplicaDown(at=at, endpoint=endpoint, reason=change.reason)
                )

    async def _correct_answers(self) -> tuple[str, ...]:
        if self._run.question.gold is None:
            return ()
        return await self._book.correct_classes(self._run.question.gold)


def _capabilities(endpoints: Endpoints) -> Capabilities:
    return Capabilities(
        reasoner=endpoints.capabilities,
        judge=endpoints.judge_capabilities,
        replicas=endpoints.reasoner.addresses,
    )

"""Where a run that broke off stands: its journal fed to a fresh core, and what is left to do.

Nothing is guessed and nothing is undone. The core must decide what the journal says it decided; what the
end of the program cut off of its last decision is given again (`pending`). A trace goes on only if every token on
its bill is there with its id.
"""

from array import array
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.capabilities import Capabilities, JudgeCapabilities, ServerCapabilities
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
    DerivedEvent,
    Event,
    JudgeFailed,
    PairsJudged,
    ProbeFailed,
    RewardFailed,
    RunFinished,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceRewarded,
    TraceStarted,
    TraceStopped,
)
from orchestrator.core.growing_text import GrowingText
from orchestrator.core.policies import needs_regenerations
from orchestrator.core.prompting import Message
from orchestrator.errors import ConfigError, EventOutOfTurn, JournalError
from orchestrator.settings import Settings, changed_setting

__all__ = [
    "RecoveredRun",
    "TraceProgress",
]


_OfTrace = (
    PauseTrace
    | ResumeTrace
    | StopTrace
    | TraceStarted
    | TraceResumed
    | TracePaused
    | TokensArrived
    | TraceFinished
    | TraceStopped
    | TraceFailed
)


@dataclass(slots=True)
class TraceProgress:
    """How far one trace is: what was commanded, and what it has received; token counts are totals."""

    wanted: Literal["run", "pause", "stop"] = "run"
    stop_reason: str = ""
    opened: bool = False
    """Its first stream has given an event."""
    endpoint: str | None = None
    """The server of its last stream, which has its cache."""
    paused: bool = False
    """The last thing that is known of it is that it was paused."""
    ended: bool = False
    failed: bool = False
    finish_reason: str | None = None
    """The model has ended it, though it may not be recorded as finished yet."""
    text: GrowingText = field(default_factory=GrowingText)
    token_ids: "array[int]" = field(default_factory=lambda: array("i"))
    tokens: int = 0
    discarded: int = 0
    """Of the tokens, those that are not in the trace."""

    @property
    def has_text(self) -> bool:
        """Whether text has come, so that the trace cannot be begun anew."""
        return bool(self.text)

    @property
    def has_all_ids(self) -> bool:
        """Whether each of its tokens is there with its id, so that the trace can be continued exactly."""
        return len(self.token_ids) == self.tokens - self.discarded

    @property
    def goes_on(self) -> bool:
        """Whether it needs a further stream, now or later, behind tokens that it has."""
        over = self.ended or self.wanted == "stop" or self.finish_reason is not None
        return self.tokens > 0 and not over

    def receive(self, event: TokensArrived) -> None:
        """Adds newly generated tokens."""
        self.text.append(event.text)
        self.token_ids.extend(event.token_ids)
        self.tokens = event.tokens
        self.discarded += event.discarded
        self.finish_reason = event.finish_reason


class RecoveredRun:
    """A run folded from the entries of its journal; `started` is None as long as there is none."""

    def __init__(
        self,
        entries: Iterable[Event | Command],
        see: Callable[[Event | Command], None] = lambda entry: None,
    ) -> None:
        """`see` is handed each entry. Raises JournalError for entries that this version's core does not decide."""
        self.pending: deque[Event | Command] = deque()
        """What the core has decided behind the last entry, in order."""
        self.started: RunStarted | None = None
        self.engine: Engine | None = None
        self.at = 0.0
        """The time of the last event."""
        self.traces: dict[int, TraceProgress] = {}
        self.prefixes: dict[int, tuple[int, ...]] = {}
        """The token ids behind which each regeneration goes on."""
        self._whole: dict[
            int, tuple[int, ...]
        ] = {}  # ids of finished traces, where they are regenerated
        self.unanswered: dict[int, AskJudge] = {}
        """The judge calls without a verdict, by trace."""
        self.unrewarded: set[int] = set()
        """The traces whose reward was asked for and has not come."""
        self.unprobed: Counter[int] = Counter()
        """How many probes of each trace have not been answered."""
        self.answers: dict[str, str] = {}
        """The class of each answer, in the order in which they came."""
        self.prompt_tokens: int | None = None
        """Length of the prompt, once a stream has told it."""
        self.held = False
        self.over = False
        """The vote is cast."""
        self.finished: RunFinished | None = None
        for entry in entries:
            see(entry)
            self._take(entry)
        for entry in self.pending:
            self._fold(entry)

    @property
    def lost(self) -> list[int]:
        """The traces that would have to go on and cannot: the server is not able to, or ids of tokens are missing."""
        able = self.started is not None and self.started.capabilities.reasoner.resumable
        return [
            number
            for number, trace in self.traces.items()
            if trace.goes_on and not (able and trace.has_all_ids)
        ]

    def validate_settings(self, settings: Settings) -> None:
        """Raises ConfigError for settings other than the run's own; where the servers are may change."""
        if self.started is not None:
            changed = changed_setting(self.started.settings, settings)
            if changed is not None:
                raise ConfigError(
                    f"The run cannot go on with another {changed}; leave it as it was."
                )

    def validate_servers(self, now: Capabilities) -> None:
        """Raises ConfigError for servers that, by what they tell `now`, cannot take the place of the first ones."""
        if self.started is None:
            return
        then = self.started.capabilities
        _same_model("reasoner", then.reasoner, now.reasoner)
        if then.judge is not None and now.judge is not None:
            _same_model("judge", then.judge, now.judge)
        if then.reasoner.resumable and not now.reasoner.resumable:
            raise ConfigError(
                f"{now.reasoner.endpoint} cannot continue a stream from its token ids, which this run needs; "
                "give the address of a server that can."
            )

    def validate_messages(self, messages: tuple[Message, ...]) -> None:
        """Raises ConfigError if the question is now sent with other words around it."""
        if self.started is not None and self.started.messages not in ((), messages):
            raise ConfigError(
                "The question would be sent in other words than when the run began; continue it with the version that "
                "began it, or start a new run."
            )

    def validate_prompt(self, token_ids: tuple[int, ...] | None) -> None:
        """Raises ConfigError if the question now takes another number of tokens: another chat template."""
        if (
            None not in (token_ids, self.prompt_tokens)
            and len(token_ids or ()) != self.prompt_tokens
        ):
            raise ConfigError(
                f"The server reads this question as {len(token_ids or ())} tokens, and it was "
                f"{self.prompt_tokens} when the run began; serve the model with the chat template it had."
            )

    def _take(self, entry: Event | Command) -> None:
        if not isinstance(entry, Event) or isinstance(entry, DerivedEvent):
            self._expect(entry)
        elif self.pending:
            raise _other_decision(entry)
        else:
            self._decide(entry)
        self._fold(entry)

    def _expect(self, entry: Event | Command) -> None:
        if self.engine is None:
            raise _no_beginning()
        if not self.pending or self.pending.popleft() != entry:
            raise _other_decision(entry)

    def _decide(self, event: Event) -> None:
        if isinstance(event, RunStarted) and self.engine is None:
            self.started, self.engine = event, Engine(event)
        if self.engine is None:
            raise _no_beginning()
        try:
            outcome = self.engine.feed(event)
        except EventOutOfTurn as error:
            raise JournalError(
                f"The journal was changed or damaged ({error}) Start a new run."
            ) from error
        self.pending.extend(outcome.events)
        self.pending.extend(outcome.commands)

    def _fold(self, entry: Event | Command) -> None:
        if isinstance(entry, Event):
            self.at = max(self.at, entry.at)
        match entry:
            case AskJudge(trace=number):
                self.unanswered[number] = entry
            case PairsJudged(trace=number) | JudgeFailed(trace=number):
                self.unanswered.pop(number, None)
            case RewardTrace(trace=number):
                self.unrewarded.add(number)
            case TraceRewarded(trace=number) | RewardFailed(trace=number):
                self.unrewarded.discard(number)
            case ProbeTrace(trace=number):
                self.unprobed[number] += 1
            case TraceProbed(trace=number) | ProbeFailed(trace=number):
                self._take_probe(entry)
            case HoldLaunches() | ReleaseLaunches():
                self.held = isinstance(entry, HoldLaunches)
            case FinishRun():
                self.over = True
            case RunFinished():
                self.finished = entry
            case StartTrace(trace=number, of=source):
                self.traces[number] = TraceProgress()
                if source is not None:
                    self.prefixes[number] = self._whole.get(source, ())[: entry.prefix_tokens]
            case PauseTrace() | ResumeTrace() | StopTrace():
                _apply_command(self._trace(entry), entry)
            case TraceStarted():
                trace = self._trace(entry)
                trace.opened, trace.paused, trace.endpoint = True, False, entry.endpoint
                self.prompt_tokens = entry.prompt_tokens
            case TraceResumed():
                trace = self._trace(entry)
                trace.paused, trace.endpoint = False, entry.endpoint
            case TracePaused():
                self._trace(entry).paused = True
            case TokensArrived():
                self._trace(entry).receive(entry)
            case TraceFinished() | TraceStopped() | TraceFailed():
                self._end(entry)
            case _:
                pass

    def _take_probe(self, event: TraceProbed | ProbeFailed) -> None:
        self.unprobed[event.trace] -= 1
        if isinstance(event, TraceProbed) and event.raw_answer is not None:
            self.answers[event.raw_answer] = event.answer or event.raw_answer

    def _trace(self, entry: _OfTrace) -> TraceProgress:
        trace = self.traces.get(entry.trace)
        if trace is None:
            raise JournalError(f"The journal tells of trace {entry.trace}, which was not started.")
        return trace

    def _end(self, event: TraceFinished | TraceStopped | TraceFailed) -> None:
        trace = self._trace(event)
        trace.ended = True
        trace.failed = isinstance(event, TraceFailed)
        if self.started is not None and needs_regenerations(self.started.settings):
            self._whole[event.trace] = tuple(trace.token_ids)
        trace.text.clear()
        del trace.token_ids[:]
        if isinstance(event, TraceFinished) and event.raw_answer is not None:
            self.answers[event.raw_answer] = event.answer or event.raw_answer


def _same_model(
    role: str,
    then: ServerCapabilities | JudgeCapabilities,
    now: ServerCapabilities | JudgeCapabilities,
) -> None:
    if then.model != now.model:
        raise ConfigError(
            f"The run began with the {role} {then.model}, and {now.endpoint} serves {now.model}; "
            "give the address of a server with the first one."
        )


def _apply_command(trace: TraceProgress, command: PauseTrace | ResumeTrace | StopTrace) -> None:
    """As the trace itself obeys: a stop is for good."""
    if isinstance(command, StopTrace):
        trace.wanted, trace.stop_reason = "stop", command.reason
    elif trace.wanted != "stop":
        trace.wanted = "pause" if isinstance(command, PauseTrace) else "run"


def _no_beginning() -> JournalError:
    return JournalError("This journal does not begin with the start of a run; ask anew.")


def _other_decision(entry: Event | Command) -> JournalError:
    return JournalError(
        f"This version decides otherwise than the journal, which has {type(entry).__name__} at this point: "
        "go on with the version that wrote it, or ask anew."
    )

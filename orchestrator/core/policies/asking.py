"""Whom `auto` asks, and when: running traces for their answers, the judge about a running and a finished trace.

The books of what is out and what was answered. Whether asking is worth its price is for the policy to say.
"""

from collections.abc import Iterable

from orchestrator.core.commands import AskJudge, ProbeTrace
from orchestrator.core.events import JudgeFailed, PairsJudged, ProbeFailed, TraceProbed
from orchestrator.settings import PriceSettings

__all__ = ["JudgeQuestions", "Probes"]

_FIRST_PROBE_TOKENS = 20.0
"""What a probe is taken to cost before one has been answered, in generated tokens."""


class Probes:
    """The probes of one question: which are out, when each trace was last asked, and what one costs."""

    def __init__(self, prices: PriceSettings) -> None:
        self._prices = prices
        self._asked_at: dict[int, int] = {}
        self._out: set[int] = set()
        self._cost = 0.0
        self._answered = 0

    @property
    def out(self) -> bool:
        """Whether an answer is still awaited."""
        return bool(self._out)

    @property
    def cost(self) -> float:
        """What one probe costs on average, in generated tokens."""
        return self._cost / self._answered if self._answered else _FIRST_PROBE_TOKENS

    def ask(self, traces: Iterable[int]) -> list[ProbeTrace]:
        """The commands that ask these traces, those left out that have not answered their last probe yet."""
        asked = [trace for trace in traces if trace not in self._out]
        self._out.update(asked)
        return [ProbeTrace(trace=trace) for trace in asked]

    def is_due(self, trace: int, tokens: int, every: float) -> bool:
        """Whether a trace has written so many tokens since it was asked last, and no probe of it is out."""
        return trace not in self._out and tokens - self._asked_at.get(trace, 0) >= every

    def take(self, event: TraceProbed | ProbeFailed) -> None:
        """An answer came, or will not come."""
        self._out.discard(event.trace)
        if isinstance(event, TraceProbed):
            self._asked_at[event.trace] = event.asked_at
            self._answered += 1
            read = event.prompt_tokens - event.cached_prompt_tokens
            self._cost += (
                event.tokens
                + read * self._prices.prompt_token
                + event.cached_prompt_tokens * self._prices.cached_prompt_token
            )


class JudgeQuestions:
    """What the judge was asked: about every running trace, one finished trace of each answer, once."""

    def __init__(self, prices: PriceSettings) -> None:
        self._prices = prices
        self._segments: dict[int, int] = {}  # tokens of the segments that the judge can read
        self._asked: set[tuple[int, int]] = set()
        self._out: set[tuple[int, int]] = set()

    @property
    def out(self) -> bool:
        """Whether a verdict is still awaited."""
        return bool(self._out)

    def can_read(self, trace: int) -> bool:
        """Whether the trace's segment is fixed."""
        return trace in self._segments

    def add_segment(self, trace: int, tokens: int) -> None:
        """The segment of a trace is fixed and has so many tokens."""
        self._segments[trace] = tokens

    def open(self, running: Iterable[int], finished: Iterable[int]) -> list[AskJudge]:
        """What could be asked now: each of these running traces with those finished ones that it was not asked about."""
        readable = [trace for trace in finished if self.can_read(trace)]
        questions = []
        for trace in running:
            members = tuple(m for m in readable if (trace, m) not in self._asked)
            if members and self.can_read(trace):
                questions.append(AskJudge(trace=trace, members=members))
        return questions

    def cost(self, questions: Iterable[AskJudge]) -> float:
        """What the judge reads for these, in generated tokens of the reasoner; a shared segment is read once."""
        tokens = sum(
            self._segments[each.trace] + sum(self._segments[member] for member in each.members)
            for each in questions
        )
        return tokens * self._prices.of_judge_prompt

    def ask(self, questions: Iterable[AskJudge]) -> list[AskJudge]:
        """Notes that these go out."""
        asked = list(questions)
        pairs = {(each.trace, member) for each in asked for member in each.members}
        self._asked |= pairs
        self._out |= pairs
        return asked

    def take(self, event: PairsJudged | JudgeFailed) -> None:
        """Verdicts came, or will not come; the judge is not asked the same again."""
        self._out.difference_update((event.trace, member) for member in event.members)

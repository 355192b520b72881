"""Asks the running traces of live servers for their answers, again and again, and lets all of them finish."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.analysis.probe_reliability import Probe
from bench.data.recorded import NO_ANSWER
from orchestrator.api import Client
from orchestrator.core.commands import ProbeTrace, StartTrace
from orchestrator.core.events import Event, TokensArrived, TraceProbed
from orchestrator.core.policies import Step
from orchestrator.errors import ConfigError
from orchestrator.questions import Question
from orchestrator.report.view import RunView

__all__ = ["ProbeEvery", "ProbedQuestion", "ProbedTrace", "filled", "measure_probes"]


@dataclass
class ProbeEvery:
    """A policy that starts all traces, lets them finish, and probes each whenever it has written so many tokens.

    Args:
        traces: how many are started.
        every: tokens between two probes of a trace.
    """

    traces: int
    every: int
    uses_checkpoints: bool = False
    watches_tokens: bool = True
    at_rest: bool = True
    _asked: Counter[int] = field(default_factory=Counter)

    def start(self) -> Step:
        """Starts all traces."""
        return Step([], [StartTrace(trace=trace) for trace in range(self.traces)])

    def on(self, event: Event) -> Step:
        """Probes a trace that has written enough since it was probed last."""
        if isinstance(event, TokensArrived) and event.finish_reason is None:
            due = event.tokens // self.every
            if due > self._asked[event.trace]:
                self._asked[event.trace] = due
                return Step([], [ProbeTrace(trace=event.trace)])
        return Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        """All of them."""
        return list(finished)


class ProbedTrace(NamedTuple):
    """A trace that finished; `named` are its probed answers at each multiple of so many tokens, NO_ANSWER where it named none."""

    text: str
    tokens: int
    answer: str | None
    named: list[str]


class ProbedQuestion(NamedTuple):
    """The traces of one question that finished, and their probes."""

    question: Question
    every: int
    traces: list[ProbedTrace]
    probes: list[Probe]


async def measure_probes(
    client: Client,
    questions: Sequence[Question],
    *,
    every: int,
    at_once: int,
    advance: Callable[[], None],
) -> list[ProbedQuestion]:
    """All questions, in the order in which their traces had ended. The client's policy is `ProbeEvery(every)`.

    Raises:
        ConfigError: the servers cannot be asked, or nothing is known that forces an answer out of the model.
        DeepPruneError: all traces of a question failed.
    """
    if not client.endpoints.capabilities.probes:
        raise ConfigError(
            "Running traces of this model cannot be asked for their answers: name its family with --preset, and use a "
            "server that takes prompts as token ids, such as vLLM."
        )
    found: list[ProbedQuestion] = []
    waiting = iter(questions)

    async def worker() -> None:
        for question in waiting:
            run = client.prepare(question)
            await client.run(run)
            traces = _traces_of(run.view, every)
            found.append(ProbedQuestion(question, every, traces, _probes_of(question, run.view)))
            advance()

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(worker())
    return found


def _probes_of(question: Question, view: RunView) -> list[Probe]:
    """The probes of the traces that finished."""
    leader = view.answer
    return [
        Probe(
            question=question.id,
            fraction=event.asked_at / max(1, view.traces[event.trace].tokens),
            named=event.answer,
            final=view.traces[event.trace].answer,
            leader=leader,
            tokens=event.tokens,
            prompt_tokens=event.prompt_tokens,
            cached_prompt_tokens=event.cached_prompt_tokens,
        )
        for event in view.events
        if isinstance(event, TraceProbed) and view.traces[event.trace].ending == "finished"
    ]


def filled(answers: Mapping[int, str]) -> list[str]:
    """The answers at places 1, 2 and so on; where a server wrote past a place in one piece, the one before is repeated."""
    said = NO_ANSWER
    row: list[str] = []
    for place in range(1, max(answers, default=0) + 1):
        said = answers.get(place, said)
        row.append(said)
    return row


def _traces_of(view: RunView, every: int) -> list[ProbedTrace]:
    """The finished traces; an answer stands at the multiple of `every` at or before where it was asked for."""
    asked: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for event in view.events:
        if isinstance(event, TraceProbed):
            asked[event.trace][event.asked_at // every] = event.answer or NO_ANSWER
    return [
        ProbedTrace(trace.text, max(1, trace.tokens), trace.answer, filled(asked[number]))
        for number, trace in sorted(view.traces.items())
        if trace.ending == "finished"
    ]

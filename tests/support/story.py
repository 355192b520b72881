"""A teller of runs: short calls that become events, for tests of what is folded from events."""

from collections.abc import Callable
from typing import Any

from orchestrator.core.events import (
    CheckpointReached,
    ClusterOpened,
    Event,
    JudgeFailed,
    MoveReason,
    PairsJudged,
    ProbeFailed,
    ReplicaDown,
    ReplicaUp,
    RunFinished,
    RunStarted,
    TokensArrived,
    TraceFailed,
    TraceFinished,
    TraceJoined,
    TracePaused,
    TraceProbed,
    TraceResumed,
    TraceStarted,
    TraceStopped,
    TraceUnjudged,
    TraceWarned,
    VoteCast,
    VoteCount,
    WarningKind,
)
from orchestrator.report.view import RunView
from orchestrator.settings import Settings
from tests.support.capabilities import capabilities

DEEPPRUNE = {"policy": {"name": "deepprune"}}
ENDPOINT = "http://gpu:8000/v1"


class Story:
    """Collects the events of one run; every call takes a tenth of a second."""

    def __init__(
        self, planned: int, *, gold: str | None = None, settings: Any = None, **can: Any
    ) -> None:
        self.events: list[Event] = []
        self._add(
            RunStarted,
            question_id="q1",
            question="How many apples?",
            gold=gold,
            planned=planned,
            settings=Settings.model_validate({**DEEPPRUNE, **(settings or {})}),
            capabilities=capabilities(**can),
        )

    def _add(self, kind: Callable[..., Event], **fields: Any) -> "Story":
        self.events.append(kind(at=round(0.1 * len(self.events), 1), **fields))
        return self

    def start(
        self, *traces: int, prompt: int = 20, cached: int = 0, endpoint: str = ENDPOINT
    ) -> "Story":
        for trace in traces:
            self._add(
                TraceStarted,
                trace=trace,
                endpoint=endpoint,
                prompt_tokens=prompt,
                cached_prompt_tokens=cached,
            )
        return self

    def tokens(self, trace: int, total: int, text: str = "so ") -> "Story":
        return self._add(TokensArrived, trace=trace, text=text, tokens=total)

    def checkpoint(self, trace: int, tokens: int, *, chars: int = 3) -> "Story":
        return self._add(
            CheckpointReached, trace=trace, chars=chars, words=1, tokens=tokens, complete=False
        )

    def pause(self, trace: int, tokens: int) -> "Story":
        return self._add(TracePaused, trace=trace, tokens=tokens)

    def resume(
        self,
        trace: int,
        *,
        prompt: int = 50,
        cached: int = 48,
        attempt: int = 0,
        endpoint: str = ENDPOINT,
        moved: MoveReason | None = None,
    ) -> "Story":
        return self._add(
            TraceResumed,
            trace=trace,
            endpoint=endpoint,
            prompt_tokens=prompt,
            cached_prompt_tokens=cached,
            attempt=attempt,
            moved=moved,
        )

    def down(self, endpoint: str, reason: str = "reset") -> "Story":
        return self._add(ReplicaDown, endpoint=endpoint, reason=reason)

    def up(self, endpoint: str) -> "Story":
        return self._add(ReplicaUp, endpoint=endpoint)

    def finish(
        self,
        trace: int,
        tokens: int,
        answer: str | None = "42",
        *,
        reason: str = "stop",
        **more: Any,
    ) -> "Story":
        return self._add(
            TraceFinished,
            trace=trace,
            answer=answer,
            raw_answer=answer,
            finish_reason=reason,
            tokens=tokens,
            **more,
        )

    def stop(self, trace: int, tokens: int, reason: str = "pruned") -> "Story":
        return self._add(TraceStopped, trace=trace, reason=reason, tokens=tokens)

    def fail(self, trace: int, tokens: int) -> "Story":
        return self._add(
            TraceFailed, trace=trace, boundary="server", message="reset", tokens=tokens
        )

    def judged(self, trace: int, *members: int, p: float = 0.9, **cost: Any) -> "Story":
        bill = {
            "prompt_tokens": 100,
            "cached_prompt_tokens": 60,
            "completion_tokens": 1,
            "seconds": 0.5,
        }
        return self._add(
            PairsJudged,
            trace=trace,
            members=members,
            probabilities=tuple(p for _ in members),
            **{**bill, **cost},
        )

    def judge_failed(self, trace: int, *members: int) -> "Story":
        return self._add(JudgeFailed, trace=trace, members=members, message="timeout")

    def probed(self, trace: int, asked_at: int, answer: str | None = "42") -> "Story":
        return self._add(
            TraceProbed,
            trace=trace,
            answer=answer,
            raw_answer=answer,
            asked_at=asked_at,
            tokens=7,
            prompt_tokens=asked_at + 20,
            cached_prompt_tokens=asked_at,
            seconds=0.2,
        )

    def probe_failed(self, trace: int) -> "Story":
        return self._add(ProbeFailed, trace=trace, message="timeout")

    def open_cluster(self, trace: int, cluster: int) -> "Story":
        return self._add(ClusterOpened, trace=trace, cluster=cluster, similarity=None)

    def join(self, trace: int, cluster: int, similarity: float | None = 0.9) -> "Story":
        return self._add(TraceJoined, trace=trace, cluster=cluster, similarity=similarity)

    def unjudged(self, trace: int) -> "Story":
        return self._add(TraceUnjudged, trace=trace)

    def vote(self, answer: str | None, **ballots: int) -> "Story":
        """Ballots are given as a42=3 for three ballots for "42"."""
        votes = tuple(
            VoteCount(answer=name.removeprefix("a"), count=n, weight=float(n))
            for name, n in ballots.items()
        )
        return self._add(VoteCast, answer=answer, votes=votes, margin=1.0)

    def warn(self, trace: int, warning: WarningKind, message: str) -> "Story":
        return self._add(TraceWarned, trace=trace, warning=warning, message=message)

    def end(
        self,
        *correct: str,
        counted: int | None = None,
        interrupted: bool = False,
        undecided: int = 0,
        cached: int | None = None,
    ) -> "Story":
        return self._add(
            RunFinished,
            correct_answers=correct,
            server_generated_tokens=counted,
            interrupted=interrupted,
            undecided=undecided,
            cached_prompt_tokens=cached,
        )

    def view(self, **options: Any) -> RunView:
        """The run folded so far."""
        view = RunView(**options)
        for event in self.events:
            view.apply(event)
        return view

"""Calls to the judge and to the reward model; each call is answered by exactly one event.

A call that fails is an event too, so an error never prunes a trace and never takes its vote.
"""

from collections.abc import Awaitable, Callable

from orchestrator.core.commands import AskJudge
from orchestrator.core.events import Event, JudgeFailed, PairsJudged, RewardFailed, TraceRewarded
from orchestrator.errors import EndpointError, JudgeError
from orchestrator.report.view import RunView
from orchestrator.runtime.endpoints import Endpoints

__all__ = ["Evaluators"]


class Evaluators:
    """The models that read the traces of one question.

    Args:
        question: the text of the question.
        endpoints: the servers, of which the judge and the reward model are asked.
        view: holds the texts of the traces.
        emit: takes the events.
        clock: seconds since the run started.
    """

    def __init__(
        self,
        question: str,
        endpoints: Endpoints,
        view: RunView,
        *,
        emit: Callable[[Event], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        self._question = question
        self._endpoints = endpoints
        self._view = view
        self._emit = emit
        self._clock = clock

    async def ask_judge(self, command: AskJudge) -> None:
        """Emits `PairsJudged`, or `JudgeFailed` if there is no verdict."""
        try:
            event = await self._judge(command)
        except JudgeError as error:
            event = JudgeFailed(
                at=self._clock(), trace=command.trace, members=command.members, message=str(error)
            )
        await self._emit(event)

    async def ask_reward(self, trace: int) -> None:
        """Emits `TraceRewarded`, or `RewardFailed` if there is no reward."""
        try:
            event = await self._reward(trace)
        except EndpointError as error:
            event = RewardFailed(at=self._clock(), trace=trace, message=str(error))
        await self._emit(event)

    async def _judge(self, command: AskJudge) -> Event:
        if self._endpoints.judge is None:
            raise JudgeError("there is no judge endpoint")
        scores = await self._endpoints.judge.score(
            question=self._question,
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

    async def _reward(self, trace: int) -> Event:
        if self._endpoints.reward is None:
            raise EndpointError("there is no reward endpoint")
        reward = await self._endpoints.reward.score(
            question=self._question, trace=self._view.traces[trace].text
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
        if self._view.traces[trace].checkpoint is None:
            raise JudgeError(f"trace {trace} has not reached its checkpoint")
        return self._view.segment(trace)

"""A voted answer as a stream: how long it waits, how its traces stand, then the answer, the facts and the usage."""

import time
from collections.abc import Mapping
from typing import Any, NamedTuple

from aiohttp import web

from orchestrator.errors import DeepPruneError
from orchestrator.questions import Question
from orchestrator.report.result import Result
from orchestrator.serve.errors import ApiError, api_error
from orchestrator.serve.progress import progress_line
from orchestrator.serve.questions import Asked
from orchestrator.serve.reply import Choice, choice_of, chunk, details, usage
from orchestrator.serve.request import VoteRequest
from orchestrator.serve.streaming import EventWriter
from orchestrator.settings import Settings

__all__ = ["Asking", "StreamedReply"]

_PROGRESS_SECONDS = 1.0


class Asking(NamedTuple):
    """A request that is ready to run."""

    request: VoteRequest
    question: Question
    settings: Settings
    notes: list[str]
    reply_id: str
    chat: bool

    def choices(self, results: list[Result]) -> list[Choice]:
        """The replies of its runs."""
        return [choice_of(each, self.request, self.settings.model) for each in results]

    def details(self, asked: Asked, choices: list[Choice]) -> list[Mapping[str, Any]]:
        """The facts of each choice."""
        return [
            details(choice, run_id, self.notes)
            for run_id, choice in zip(asked.runs, choices, strict=True)
        ]


class StreamedReply:
    """The stream of one request. Its head goes out when there is something to say: before, an error has a status."""

    def __init__(self, request: web.Request, asking: Asking) -> None:
        self._request = request
        self._asking = asking
        self._writer: EventWriter | None = None
        options = asking.request.deepprune
        self._tells = asking.chat and options.progress is not False
        self._shown: dict[int, str] = {}

    async def wait(self) -> None:
        """Tells that the question waits for a place."""
        writer = await self._open({})
        await self._tell(writer, 0, "waiting: other questions come first")
        await writer.keep_alive()

    async def send(self, asked: Asked) -> web.StreamResponse:
        """Progress while the question runs, then the answer."""
        writer = await self._open({"X-DeepPrune-Run-Id": next(iter(asked.runs))})
        try:
            while not await asked.over(_PROGRESS_SECONDS):
                for index, run in enumerate(asked.runs.values()):
                    await self._tell(writer, index, progress_line(run.view))
                await writer.keep_alive()
            choices = self._asking.choices(await asked.results())
        except (ApiError, DeepPruneError) as error:
            await writer.send(api_error(error).body())
            return await writer.close()
        await self._send_answers(writer, choices)
        await writer.send(self._last(choices, self._asking.details(asked, choices)))
        return await writer.close()

    async def _open(self, headers: Mapping[str, str]) -> EventWriter:
        """The writer, behind the head and the first event of each choice."""
        if self._writer is not None:
            return self._writer
        policy = {"X-DeepPrune-Policy": self._asking.settings.policy.name}
        self._writer = writer = await EventWriter.open(self._request, {**policy, **headers})
        if self._asking.chat:
            for index in range(self._asking.request.n or 1):
                await writer.send(self._chunk(index=index, role="assistant", content=""))
        return writer

    async def _tell(self, writer: EventWriter, index: int, line: str) -> None:
        """A line of progress, if it is wanted and new."""
        if self._tells and self._shown.get(index) != line:
            self._shown[index] = line
            await writer.send(self._chunk(index=index, reasoning=line + "\n"))

    async def _send_answers(self, writer: EventWriter, choices: list[Choice]) -> None:
        for index, choice in enumerate(choices):
            answer = choice.answer
            if self._asking.chat and self._asking.request.deepprune.reasoning and answer.reasoning:
                await writer.send(self._chunk(index=index, reasoning=answer.reasoning))
            await writer.send(self._chunk(index=index, content=answer.content))
            await writer.send(self._chunk(index=index, finish_reason=answer.finish_reason))

    def _last(self, choices: list[Choice], found: list[Mapping[str, Any]]) -> dict[str, Any]:
        """The event with the facts, and the usage if it is asked for."""
        last = {**self._chunk(), "choices": [], "deepprune": found[0]}
        if len(found) > 1:
            last["deepprune"] = {**found[0], "choices": found}
        options = self._asking.request.stream_options
        if options is not None and options.include_usage:
            last["usage"] = usage(choices)
        return last

    def _chunk(self, **fields: Any) -> dict[str, Any]:
        """One event of this reply."""
        asking = self._asking
        return chunk(
            asking.reply_id, asking.request.model, int(time.time()), chat=asking.chat, **fields
        )

"""The routes of `deepprune-serve`.

Nothing is kept between requests, so any number of these servers may stand behind a load balancer. When a client
hangs up, its handler is cancelled, and with it every trace of its question.
"""

import asyncio
import math
import time
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

from aiohttp import web

from orchestrator.api import Client
from orchestrator.errors import DeepPruneError
from orchestrator.questions import Question, question_of_messages
from orchestrator.report.result import Result
from orchestrator.serve.access import Access
from orchestrator.serve.errors import ApiError, api_error
from orchestrator.serve.metrics import ServeMetrics
from orchestrator.serve.pass_through import pass_through
from orchestrator.serve.policies import PolicyModels
from orchestrator.serve.progress import progress_line
from orchestrator.serve.questions import Asked, Questions
from orchestrator.serve.reply import (
    Choice,
    chat_completion,
    choice_of,
    chunk,
    details,
    headers,
    text_completion,
    usage,
)
from orchestrator.serve.request import (
    ChatRequest,
    CompletionRequest,
    VoteRequest,
    parse,
    pass_through_reason,
)
from orchestrator.serve.streaming import EventWriter
from orchestrator.settings import Settings

__all__ = ["ServeApp"]

_PROGRESS_SECONDS = 1.0
_MAX_CHOICES = 8
_BODY_SECONDS = 60.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Routes(Protocol):
    """A part of the server with routes of its own."""

    def add_routes(self, app: web.Application) -> None:
        """Adds them."""


class _Asking(NamedTuple):
    """A request that is ready to run."""

    request: VoteRequest
    question: Question
    settings: Settings
    notes: list[str]
    reply_id: str
    chat: bool


class ServeApp:
    """The application.

    Args:
        client: open.
        models: what it offers.
        questions: runs them.
        access: who may ask.
        metrics: what is counted.
        extras: further routes, which displays use.
        max_body: bytes of the largest request.
    """

    def __init__(
        self,
        client: Client,
        models: PolicyModels,
        questions: Questions,
        access: Access,
        metrics: ServeMetrics,
        *,
        extras: Sequence[Routes],
        max_body: int,
    ) -> None:
        self._client = client
        self._models = models
        self._questions = questions
        self._access = access
        self._metrics = metrics
        self._extras = extras
        self._max_body = max_body

    def app(self) -> web.Application:
        """The routes; unknown ones and every error are answered in OpenAI's form."""
        app = web.Application(client_max_size=self._max_body, middlewares=[self._answer_errors])
        app.router.add_post("/v1/chat/completions", self._chat)
        app.router.add_post("/v1/completions", self._completion)
        app.router.add_get("/v1/models", self._list_models)
        app.router.add_get("/v1/models/{model:.+}", self._model)
        app.router.add_get("/health", self._health)
        app.router.add_get("/metrics", self._show_metrics)
        for each in self._extras:
            each.add_routes(app)
        return app

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        cors = self._access.cors_headers(request)
        try:
            if request.method == "OPTIONS" and cors:
                response: web.StreamResponse = web.Response(status=204)
            else:
                self._access.check(request)
                response = await handler(request)
        except ApiError as error:
            response = _error_response(error)
        except DeepPruneError as error:
            response = _error_response(api_error(error))
        except web.HTTPRequestEntityTooLarge:
            response = _error_response(
                ApiError(413, f"The body is larger than {self._max_body} bytes.")
            )
        except web.HTTPException as error:
            response = _error_response(
                ApiError(error.status, f"{request.method} {request.path[:100]}: {error.reason}.")
            )
        if not response.prepared:
            response.headers.update(cors)
        resource = request.match_info.route.resource
        path = "other" if resource is None else resource.canonical
        self._metrics.requests.labels(path, str(response.status)).inc()
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _list_models(self, _request: web.Request) -> web.Response:
        cards = [_card(name) for name in self._models.names()]
        return web.json_response({"object": "list", "data": cards})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        if name not in self._models.names():
            raise ApiError(
                404,
                "There is no such model: see /v1/models.",
                param="model",
                code="model_not_found",
            )
        return web.json_response(_card(name))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await _json_body(request)
        asked = parse(body, ChatRequest)
        settings, notes = self._models.settings_for(asked)
        reason = pass_through_reason(asked)
        if reason is not None:
            return await pass_through(request, body, self._client.endpoints, reason)
        question = _question(asked)
        return await self._vote(
            request, _Asking(asked, question, settings, notes, f"chatcmpl-{uuid.uuid4().hex}", True)
        )

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        asked = parse(await _json_body(request), CompletionRequest)
        settings, notes = self._models.settings_for(asked)
        text = asked.question.strip()
        if not text:
            raise ApiError(400, "The prompt is empty.", param="prompt")
        question = Question(id="1", question=text)
        return await self._vote(
            request, _Asking(asked, question, settings, notes, f"cmpl-{uuid.uuid4().hex}", False)
        )

    async def _vote(self, request: web.Request, asking: _Asking) -> web.StreamResponse:
        wanted = asking.request.n or 1
        if wanted > _MAX_CHOICES:
            raise ApiError(400, f"n is {wanted}: ask for at most {_MAX_CHOICES}.", param="n")
        if asking.request.logprobs not in (None, False):
            raise ApiError(400, "A voted answer has no logprobs: leave them out.", param="logprobs")
        async with self._questions.asked(
            asking.question,
            asking.settings,
            choices=wanted,
            seconds=asking.request.deepprune.seconds,
        ) as asked:
            if asking.request.stream:
                return await self._stream(request, asking, asked)
            choices = _choices(asking, await asked.results())
            found = _details(asked, choices, asking.notes)
            model = asking.request.model
            if asking.chat:
                reasoning = asking.request.deepprune.reasoning
                body = chat_completion(asking.reply_id, model, choices, found, reasoning=reasoning)
            else:
                body = text_completion(asking.reply_id, model, choices, found)
            return web.json_response(body, headers=headers(found))

    async def _stream(
        self, request: web.Request, asking: _Asking, asked: Asked
    ) -> web.StreamResponse:
        """Progress while the question runs, then the answer, the facts and, if asked for, the usage."""
        writer = await EventWriter.open(
            request,
            {
                **self._access.cors_headers(request),
                "X-DeepPrune-Policy": asking.settings.policy.name,
                "X-DeepPrune-Run-Id": next(iter(asked.runs)),
            },
        )
        try:
            await _send_progress(writer, asking, asked)
            choices = _choices(asking, await asked.results())
        except DeepPruneError as error:
            await writer.send(api_error(error).body())
            return await writer.close()
        await _send_answers(writer, asking, choices)
        found = _details(asked, choices, asking.notes)
        last = {**_chunk(asking), "choices": [], "deepprune": found[0]}
        if len(found) > 1:
            last["deepprune"] = {**found[0], "choices": found}
        options = asking.request.stream_options
        if options is not None and options.include_usage:
            last["usage"] = usage(choices)
        await writer.send(last)
        return await writer.close()


def _chunk(asking: _Asking, **fields: Any) -> dict[str, Any]:
    """One event of this reply."""
    return chunk(
        asking.reply_id, asking.request.model, int(time.time()), chat=asking.chat, **fields
    )


async def _send_progress(writer: EventWriter, asking: _Asking, asked: Asked) -> None:
    """A line a second of how the traces stand, until they are done."""
    wanted = asking.request.deepprune.progress is not False and asking.chat
    if asking.chat:
        for index in range(len(asked.runs)):
            await writer.send(_chunk(asking, index=index, role="assistant", content=""))
    shown = [""] * len(asked.runs)
    while not await asked.over(_PROGRESS_SECONDS):
        for index, run in enumerate(asked.runs.values()):
            line = progress_line(run.view)
            if wanted and line != shown[index]:
                shown[index] = line
                await writer.send(_chunk(asking, index=index, reasoning=line + "\n"))
        await writer.keep_alive()


async def _send_answers(writer: EventWriter, asking: _Asking, choices: list[Choice]) -> None:
    for index, choice in enumerate(choices):
        if asking.chat and asking.request.deepprune.reasoning and choice.answer.reasoning:
            await writer.send(_chunk(asking, index=index, reasoning=choice.answer.reasoning))
        await writer.send(_chunk(asking, index=index, content=choice.answer.content))
        await writer.send(_chunk(asking, index=index, finish_reason=choice.answer.finish_reason))


def _choices(asking: _Asking, results: list[Result]) -> list[Choice]:
    return [choice_of(each, asking.request, asking.settings.model) for each in results]


def _details(asked: Asked, choices: list[Choice], notes: list[str]) -> list[Mapping[str, Any]]:
    return [
        details(choice, run_id, notes) for run_id, choice in zip(asked.runs, choices, strict=True)
    ]


def _question(asked: ChatRequest) -> Question:
    """The chat as it is, with its system messages and turns."""
    messages = [{"role": each.role, "content": each.text} for each in asked.messages]
    try:
        return question_of_messages(messages, id="1")
    except ValueError as error:
        raise ApiError(400, f"messages: {error}.", param="messages") from None


async def _json_body(request: web.Request) -> bytes:
    """The body; only JSON is taken, so that a browser asks for permission before another site's page sends one."""
    if request.content_type != "application/json":
        raise ApiError(415, "Send the body as application/json.")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return await request.read()
    except TimeoutError:
        raise ApiError(408, f"The body did not come within {_BODY_SECONDS:g} seconds.") from None


def _card(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "deepprune"}


def _error_response(error: ApiError) -> web.Response:
    response = web.json_response(error.body(), status=error.status)
    if error.challenge is not None:
        response.headers["WWW-Authenticate"] = error.challenge
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response

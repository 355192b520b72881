"""The routes of `deepprune-serve`.

Nothing is kept between requests, so any number of these servers may stand behind a load balancer. When a client
hangs up, its handler is cancelled, and with it every trace of its question.
"""

import asyncio
import logging
import math
import uuid
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

from aiohttp import web

from orchestrator.api import Client
from orchestrator.errors import DeepPruneError
from orchestrator.questions import Question, question_of_messages
from orchestrator.serve.access import Access
from orchestrator.serve.errors import ApiError, api_error
from orchestrator.serve.metrics import ServeMetrics
from orchestrator.serve.pass_through import pass_through
from orchestrator.serve.policies import PolicyModels
from orchestrator.serve.questions import Questions
from orchestrator.serve.reply import chat_completion, headers, text_completion
from orchestrator.serve.request import (
    ChatRequest,
    CompletionRequest,
    parse,
    pass_through_reason,
)
from orchestrator.serve.streamed_reply import Asking, StreamedReply

__all__ = ["ServeApp"]

_MAX_CHOICES = 8
_LEFT = 499  # counted for a client that has left before its answer, as nginx does
_BODY_SECONDS = 60.0
_BEGUN = web.RequestKey("begun", bool)  # the reply has a head already
_logger = logging.getLogger(__name__)
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Routes(Protocol):
    """A part of the server with routes of its own."""

    def add_routes(self, app: web.Application) -> None:
        """Adds them."""


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
        app = web.Application(
            client_max_size=self._max_body, middlewares=[self._count, self._answer_errors]
        )
        app.on_response_prepare.append(self._add_cors_headers)
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
    async def _count(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        """Counts the request by its path and status."""
        status = _LEFT
        try:
            response = await handler(request)
            status = response.status
        except ConnectionError:  # there is nobody to answer
            response = web.Response(status=_LEFT)
        except Exception:
            status = 500
            raise
        finally:
            resource = request.match_info.route.resource
            path = "other" if resource is None else resource.canonical
            self._metrics.requests.labels(path, str(status)).inc()
        return response

    @web.middleware
    async def _answer_errors(self, request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if request.method == "OPTIONS" and self._access.cors_headers(request):
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
        except ConnectionError:
            raise
        except Exception:
            if request.get(_BEGUN):
                raise  # the connection is closed: no second head can follow
            _logger.exception("A request failed.")
            response = _error_response(
                ApiError(500, "This server has failed: see its log on stderr.", code="server_error")
            )
        return response

    async def _add_cors_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        request[_BEGUN] = True
        response.headers.update(self._access.cors_headers(request))

    async def _health(self, _request: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _show_metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._metrics.text(), content_type="text/plain", charset="utf-8")

    async def _list_models(self, _request: web.Request) -> web.Response:
        cards = [_card(name) for name in self._models.names()]
        return web.json_response({"object": "list", "data": cards})

    async def _model(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        self._models.check(name)
        return web.json_response(_card(name))

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        body = await _json_body(request)
        asked = parse(body, ChatRequest)
        reason = pass_through_reason(asked)
        if reason is not None:
            self._models.check(asked.model)
            async with self._questions.place():
                self._metrics.passed_through.labels(reason).inc()
                return await pass_through(request, body, self._client.endpoints, reason)
        settings, notes = self._models.settings_for(asked)
        question = _question(asked)
        return await self._vote(
            request, Asking(asked, question, settings, notes, f"chatcmpl-{uuid.uuid4().hex}", True)
        )

    async def _completion(self, request: web.Request) -> web.StreamResponse:
        asked = parse(await _json_body(request), CompletionRequest)
        settings, notes = self._models.settings_for(asked)
        text = asked.question.strip()
        if not text:
            raise ApiError(400, "The prompt is empty.", param="prompt")
        question = Question(id="1", question=text)
        return await self._vote(
            request, Asking(asked, question, settings, notes, f"cmpl-{uuid.uuid4().hex}", False)
        )

    async def _vote(self, request: web.Request, asking: Asking) -> web.StreamResponse:
        wanted = asking.request.n or 1
        if wanted > _MAX_CHOICES:
            raise ApiError(400, f"n is {wanted}: ask for at most {_MAX_CHOICES}.", param="n")
        if asking.request.logprobs not in (None, False):
            raise ApiError(400, "A voted answer has no logprobs: leave them out.", param="logprobs")
        streamed = StreamedReply(request, asking) if asking.request.stream else None
        async with self._questions.asked(
            asking.question,
            asking.settings,
            choices=wanted,
            seconds=asking.request.deepprune.seconds,
            waiting=None if streamed is None else streamed.wait,
        ) as asked:
            if streamed is not None:
                return await streamed.send(asked)
            choices = asking.choices(await asked.results())
            found = asking.details(asked, choices)
            model = asking.request.model
            if asking.chat:
                reasoning = asking.request.deepprune.reasoning
                body = chat_completion(asking.reply_id, model, choices, found, reasoning=reasoning)
            else:
                body = text_completion(asking.reply_id, model, choices, found)
            return web.json_response(body, headers=headers(found))


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

"""Judges asked for logprobs, on any OpenAI-compatible server.

The judge generates one token; p(identical) is read from the logprobs of the two labels among the likely tokens,
whichever token was generated.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import msgspec

from orchestrator.client.endpoint import all_of
from orchestrator.client.judge.protocols import JudgeServer, Verdicts, check_length, verdicts
from orchestrator.client.usage import Usage
from orchestrator.core.judging import PairPrompt, probability_identical
from orchestrator.errors import EndpointRejected, JudgeError

__all__ = ["ChatLogprobs", "ChatLogprobsWithoutThinking", "CompletionsLogprobs", "label_logprobs"]

LEAST_LOGPROB = -9999.0
"""vLLM writes this for minus infinity, which JSON lacks."""

MOST_CHAT_LOGPROBS = 20
"""The most that OpenAI's API allows."""

_ONE_TOKEN = {"max_tokens": 1, "temperature": 0.0}


class _TopByText(msgspec.Struct):
    top_logprobs: list[dict[str, float] | None] | None = None


class _CompletionChoice(msgspec.Struct):
    logprobs: _TopByText | None = None


class _Completion(msgspec.Struct):
    choices: list[_CompletionChoice]
    usage: Usage | None = None


class CompletionsLogprobs:
    """/v1/completions with one generated token and its logprobs; one request per pair."""

    name = "completions"
    batched = False

    def __init__(self, server: JudgeServer) -> None:
        self._server = server
        self._forms = list(_completions_forms(server.label_token_ids))

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `JudgeProtocol.ask`. The first request finds the form of logprobs that the server accepts."""
        prompt = await self._prompt(prompts[0])
        while True:
            try:
                answer = await self._request(prompt, self._forms[0])
                break
            except EndpointRejected as error:
                if error.status not in (400, 422) or len(self._forms) == 1:
                    raise
                self._forms.pop(0)
        found = answer.choices[0].logprobs if answer.choices else None
        tops = found.top_logprobs[0] if found and found.top_logprobs else None
        sent = None if isinstance(prompt, str) else len(prompt)
        return verdicts([_probability(self._server, tops or {})], answer.usage, sent=sent)

    async def _request(self, prompt: str | list[int], form: dict[str, Any]) -> _Completion:
        http = self._server.http
        body = {"model": self._server.model, "prompt": prompt, **_ONE_TOKEN, **form}
        return await http.json("POST", f"{http.address.base}/completions", _Completion, body)

    async def _prompt(self, pair: PairPrompt) -> str | list[int]:
        tokenizer = self._server.tokenizer
        if tokenizer is None:
            return pair.query + pair.item
        query, item = await all_of([tokenizer.text(pair.query), tokenizer.text(pair.item)])
        check_length(self._server, len(query) + len(item))
        return [*query, *item]


class _Top(msgspec.Struct):
    token: str
    logprob: float


class _Position(msgspec.Struct):
    top_logprobs: list[_Top]


class _Positions(msgspec.Struct):
    content: list[_Position] | None = None


class _ChatChoice(msgspec.Struct):
    logprobs: _Positions | None = None


class _Chat(msgspec.Struct):
    choices: list[_ChatChoice]
    usage: Usage | None = None


class ChatLogprobs:
    """/v1/chat/completions with one generated token and its logprobs; one request per pair."""

    name = "chat"
    batched = False
    extras: Mapping[str, Any] = MappingProxyType({})

    def __init__(self, server: JudgeServer) -> None:
        self._server = server

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `JudgeProtocol.ask`."""
        http = self._server.http
        body = {
            "model": self._server.model,
            "messages": [{"role": "user", "content": prompts[0].user_message}],
            "logprobs": True,
            "top_logprobs": MOST_CHAT_LOGPROBS,
            **_ONE_TOKEN,
            **self.extras,
        }
        try:
            answer = await http.json("POST", f"{http.address.base}/chat/completions", _Chat, body)
        except EndpointRejected as error:
            raise _with_template_remedy(error) from None
        found = answer.choices[0].logprobs if answer.choices else None
        tokens = found.content[0].top_logprobs if found and found.content else ()
        tops = {top.token: top.logprob for top in tokens}
        return verdicts([_probability(self._server, tops)], answer.usage)


def _with_template_remedy(error: EndpointRejected) -> EndpointRejected:
    """The refusal of a server whose model has no chat template, with what to do."""
    if "chat template" not in str(error).lower():
        return error
    return EndpointRejected(
        f"{str(error).rstrip('.')}; this model has no chat template: set judge.dialect to completions, or serve it with one "
        "(vLLM: --chat-template FILE).",
        error.status,
    )


class ChatLogprobsWithoutThinking(ChatLogprobs):
    """The same for models that think first unless their template is told not to (Qwen3)."""

    extras: Mapping[str, Any] = MappingProxyType(
        {"chat_template_kwargs": {"enable_thinking": False}}
    )


def label_logprobs(
    tops: Mapping[str, float], labels: tuple[str, str], label_token_ids: tuple[int, int] | None
) -> tuple[float, float]:
    """Logprobs of the two labels' first tokens; minus infinity for a label that is not in `tops`.

    `tops` maps the likely tokens to their logprobs. A token is matched by id where the server writes
    "token_id:N", otherwise by text: it must begin one label and not the other (" ident" begins "identical").
    """
    by_id = [f"token_id:{token}" for token in label_token_ids or ()]
    if any(key.startswith("token_id:") for key in tops):
        found = [tops.get(key, -math.inf) for key in by_id] or [-math.inf, -math.inf]
    else:
        found = [
            max((p for token, p in tops.items() if _begins(token, mine, other)), default=-math.inf)
            for mine, other in (labels, labels[::-1])
        ]
    first, second = (p if p > LEAST_LOGPROB else -math.inf for p in found)
    return first, second


def _begins(token: str, mine: str, other: str) -> bool:
    text = token.strip()
    return bool(text) and mine.startswith(text) and not other.startswith(text)


def _completions_forms(
    label_token_ids: tuple[int, int] | None,
) -> Iterable[dict[str, Any]]:
    """Fields that ask for logprobs, best first: of the two labels, 20 by id, 20 by text, OpenAI's maximum of 5."""
    by_id = {"return_tokens_as_token_ids": True}
    if label_token_ids is not None:
        yield {"logprobs": 2, "logprob_token_ids": list(label_token_ids), **by_id}
        yield {"logprobs": 20, **by_id}
    yield {"logprobs": 20}
    yield {"logprobs": 5}


def _probability(server: JudgeServer, tops: Mapping[str, float]) -> float:
    try:
        return probability_identical(
            label_logprobs(tops, server.spec.labels, server.label_token_ids)
        )
    except ValueError:
        raise JudgeError(
            f"The judge at {server.http.address} gave no probability to either label "
            f"({' / '.join(server.spec.labels)}); check that judge.spec fits the served model."
        ) from None

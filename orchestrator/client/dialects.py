"""The ways to ask a judge for p(identical); each turns some pairs into one HTTP request.

The rule: where the server has /tokenize, query and item are tokenised separately and sent as ids, so the
model reads what it was trained on.
"""

import asyncio
import math
from collections.abc import Awaitable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.client.sdk import sdk_json
from orchestrator.client.sse import Usage
from orchestrator.client.tokenizing import ServerTokenizer
from orchestrator.core.judging import JudgeSpec, PairPrompt, probability_identical
from orchestrator.errors import EndpointRejected, JudgeError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "ChatLogprobs",
    "ChatLogprobsWithoutThinking",
    "CompletionsLogprobs",
    "Dialect",
    "GenerativeScoring",
    "JudgeServer",
    "Verdicts",
    "all_of",
    "label_logprobs",
]

T = TypeVar("T")

LEAST_LOGPROB = -9999.0
"""vLLM writes this for minus infinity, which JSON lacks."""


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """p(identical) for the pairs of one request, in order, and the tokens it cost."""

    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int


class JudgeServer(msgspec.Struct, frozen=True, kw_only=True):
    """What every dialect needs to know of the server.

    `tokenizer` and `label_token_ids` (first tokens of identical, not identical) are None where the server
    does not tokenise; `max_model_len` is in tokens.
    """

    http: HttpClient
    sdk: "AsyncOpenAI"
    model: str
    spec: JudgeSpec
    tokenizer: ServerTokenizer | None
    label_token_ids: tuple[int, int] | None
    max_model_len: int | None


class Dialect(Protocol):
    """One way to ask. `batched` says that one request takes many members."""

    name: str
    batched: bool

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """Verdicts for pairs that share their query, by one request.

        Raises EndpointError when the server fails or refuses, JudgeError when its answer is no verdict.
        """
        ...


class _Score(msgspec.Struct):
    index: int
    score: float


class _Scores(msgspec.Struct):
    data: list[_Score]
    usage: Usage | None = None


class GenerativeScoring:
    """vLLM's /generative_scoring: one query, many items, P(first label) among the labels."""

    name = "generative_scoring"
    batched = True

    def __init__(self, server: JudgeServer) -> None:
        if server.tokenizer is None or server.label_token_ids is None:
            raise EndpointRejected(
                f"{server.http.address} has no /tokenize for the label ids.", 404
            )
        self._server = server
        self._tokenizer = server.tokenizer
        self._labels = server.label_token_ids

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `Dialect.ask`."""
        query, *items = await all_of(
            self._tokenizer.text(text) for text in (prompts[0].query, *(p.item for p in prompts))
        )
        _check_length(self._server, len(query) + max(len(item) for item in items))
        body = {
            "model": self._server.model,
            "query": query,
            "items": items,
            "label_token_ids": self._labels,
            "apply_softmax": True,
            "item_first": False,
        }
        url = f"{self._server.http.address.root}/generative_scoring"
        answer = await self._server.http.json("POST", url, _Scores, body)
        return _verdicts(_in_order(answer.data, len(items)), answer.usage)


class _TopByText(msgspec.Struct):
    top_logprobs: list[dict[str, float] | None] | None = None


class _CompletionChoice(msgspec.Struct):
    logprobs: _TopByText | None = None


class _Completion(msgspec.Struct):
    choices: list[_CompletionChoice]
    usage: Usage | None = None


class CompletionsLogprobs:
    """/v1/completions with one token to write and its logprobs; one request per pair."""

    name = "completions"
    batched = False

    def __init__(self, server: JudgeServer) -> None:
        self._server = server
        self._forms = list(_completions_forms(server.label_token_ids))

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `Dialect.ask`. The first request finds out which form of logprobs the server takes."""
        prompt = await self._prompt(prompts[0])
        while True:
            logprobs, extra_body = self._forms[0]
            try:
                answer = await self._request(prompt, logprobs, extra_body)
                break
            except EndpointRejected as error:
                if error.status not in (400, 422) or len(self._forms) == 1:
                    raise
                self._forms.pop(0)
        found = answer.choices[0].logprobs if answer.choices else None
        tops = found.top_logprobs[0] if found and found.top_logprobs else None
        return _verdicts([_probability(self._server, tops or {})], answer.usage)

    async def _request(self, prompt: Any, logprobs: int, extra_body: dict[str, Any]) -> _Completion:
        call = self._server.sdk.completions.with_raw_response.create(
            model=self._server.model,
            prompt=prompt,
            max_tokens=1,
            temperature=0.0,
            logprobs=logprobs,
            extra_body=extra_body,
        )
        return await sdk_json(self._server.http, call, _Completion)

    async def _prompt(self, pair: PairPrompt) -> str | list[int]:
        tokenizer = self._server.tokenizer
        if tokenizer is None:
            return pair.query + pair.item
        query, item = await all_of([tokenizer.text(pair.query), tokenizer.text(pair.item)])
        _check_length(self._server, len(query) + len(item))
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
    """/v1/chat/completions with one token to write and its logprobs; one request per pair."""

    name = "chat"
    batched = False

    extra_body: Mapping[str, Any] | None = None

    def __init__(self, server: JudgeServer) -> None:
        self._server = server

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `Dialect.ask`."""
        call = self._server.sdk.chat.completions.with_raw_response.create(
            model=self._server.model,
            messages=[{"role": "user", "content": prompts[0].user_message}],
            max_tokens=1,
            temperature=0.0,
            logprobs=True,
            top_logprobs=20,
            extra_body=self.extra_body,
        )
        answer = await sdk_json(self._server.http, call, _Chat)
        found = answer.choices[0].logprobs if answer.choices else None
        tokens = found.content[0].top_logprobs if found and found.content else ()
        tops = {top.token: top.logprob for top in tokens}
        return _verdicts([_probability(self._server, tops)], answer.usage)


class ChatLogprobsWithoutThinking(ChatLogprobs):
    """The same for models whose template lets them think first unless told otherwise (Qwen3)."""

    extra_body: Mapping[str, Any] | None = MappingProxyType(
        {"chat_template_kwargs": {"enable_thinking": False}}
    )


def label_logprobs(
    tops: Mapping[str, float], labels: tuple[str, str], label_token_ids: tuple[int, int] | None
) -> tuple[float, float]:
    """Logprobs of the two labels' first tokens among a server's most likely tokens.

    `tops` maps a token to its logprob. A token is matched by id where the server writes "token_id:N", else
    by text: it must begin one label and not the other (" ident" begins "identical"). Minus infinity stands
    for a label that is not among them.
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


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _begins(token: str, mine: str, other: str) -> bool:
    text = token.strip()
    return bool(text) and mine.startswith(text) and not other.startswith(text)


def _completions_forms(
    label_token_ids: tuple[int, int] | None,
) -> Iterable[tuple[int, dict[str, Any]]]:
    """(logprobs, extra fields), best first: exactly the labels, 20 by id, 20 by text, OpenAI's most."""
    by_id = {"return_tokens_as_token_ids": True}
    if label_token_ids is not None:
        yield 2, {"logprob_token_ids": list(label_token_ids), **by_id}
        yield 20, by_id
    yield 20, {}
    yield 5, {}


def _probability(server: JudgeServer, tops: Mapping[str, float]) -> float:
    try:
        return probability_identical(
            label_logprobs(tops, server.spec.labels, server.label_token_ids)
        )
    except ValueError:
        raise JudgeError(
            f"The judge at {server.http.address} gave no probability to either label "
            f"({' / '.join(server.spec.labels)}): does judge.spec fit the served model?"
        ) from None


def _check_length(server: JudgeServer, tokens: int) -> None:
    """Raises EndpointRejected for a pair that vLLM would cut at its end, where the question stands."""
    if server.max_model_len is not None and tokens >= server.max_model_len:
        raise EndpointRejected(
            f"A pair takes {tokens} tokens, and the judge has room for {server.max_model_len}: lower "
            "max_segment_chars in the judge spec or serve it with a larger --max-model-len.",
            400,
        )


def _in_order(scores: Sequence[_Score], count: int) -> list[float]:
    ordered = sorted(scores, key=lambda score: score.index)
    if [score.index for score in ordered] != list(range(count)):
        raise JudgeError(f"The judge answered {len(scores)} scores to {count} pairs.")
    return [score.score for score in ordered]


def _verdicts(probabilities: Sequence[float], usage: Usage | None) -> Verdicts:
    """Raises JudgeError for a score that is no probability."""
    if not all(0.0 <= probability <= 1.0 for probability in probabilities):
        raise JudgeError("The judge answered a score that is no probability.")
    usage = usage or Usage()
    details = usage.prompt_tokens_details
    return Verdicts(
        probabilities=tuple(probabilities),
        prompt_tokens=usage.prompt_tokens or 0,
        cached_prompt_tokens=(details and details.cached_tokens) or 0,
        completion_tokens=usage.completion_tokens or 0,
    )

"""A way to ask a judge for p(identical) turns some pairs into one HTTP request; vLLM's own is here.

The rule: where the server has /tokenize, query and item of a generative judge are tokenised separately and
sent as ids, so the model reads what it was trained on.
"""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol, TypeVar

import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.client.reasoner.sse import Usage
from orchestrator.client.tokenize import ServerTokenizer
from orchestrator.core.judging import JudgeSpec, PairPrompt
from orchestrator.errors import EndpointRejected, JudgeError

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = [
    "Dialect",
    "GenerativeScoring",
    "JudgeServer",
    "Verdicts",
    "all_of",
    "check_length",
    "in_order",
    "verdicts",
]

T = TypeVar("T")
Indexed = TypeVar("Indexed", bound="_Indexed")


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """p(identical) for the pairs of one request, in order, and the tokens it cost."""

    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int


class JudgeServer(msgspec.Struct, frozen=True, kw_only=True):
    """What every dialect needs to know of the server.

    `tokenizer` and `label_token_ids` (first tokens of identical, not identical) are None where the server
    does not tokenise, and for a classifier; `max_model_len` is in tokens.
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


class _Indexed(Protocol):
    index: int


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
        check_length(self._server, len(query) + max(len(item) for item in items))
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
        scores = in_order(answer.data, len(items))
        return verdicts([score.score for score in scores], answer.usage)


async def all_of(calls: Iterable[Awaitable[T]]) -> list[T]:
    """The results in order; the first error ends the others and is raised as it is."""
    tasks = [asyncio.ensure_future(call) for call in calls]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def check_length(server: JudgeServer, tokens: int) -> None:
    """Raises EndpointRejected for a pair that vLLM would cut at its end, where the question stands."""
    if server.max_model_len is not None and tokens >= server.max_model_len:
        raise EndpointRejected(
            f"A pair takes {tokens} tokens, and the judge has room for {server.max_model_len}: lower "
            "max_segment_chars in the judge spec or serve it with a larger --max-model-len.",
            400,
        )


def in_order(answers: Sequence[Indexed], count: int) -> list[Indexed]:
    """The answers in the order of the pairs. Raises JudgeError unless there is one for each."""
    ordered = sorted(answers, key=lambda answer: answer.index)
    if [answer.index for answer in ordered] != list(range(count)):
        raise JudgeError(f"The judge answered {len(answers)} scores to {count} pairs.")
    return ordered


def verdicts(probabilities: Sequence[float], usage: Usage | None) -> Verdicts:
    """What one request answered. Raises JudgeError for a score that is no probability."""
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

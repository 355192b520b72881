"""How a judge is asked: the interface of a judge protocol, and vLLM's /generative_scoring.

Where the server has /tokenize, query and item of a generative judge are tokenised separately and sent as ids,
as in the judge's training.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

import msgspec

from orchestrator.client.endpoint import all_of
from orchestrator.client.http import HttpClient
from orchestrator.client.tokenize import ServerTokenizer
from orchestrator.client.usage import Usage
from orchestrator.core.judging import JudgeSpec, PairPrompt
from orchestrator.errors import EndpointRejected, JudgeError

__all__ = [
    "GenerativeScoring",
    "JudgeProtocol",
    "JudgeServer",
    "Verdicts",
    "check_length",
    "in_order",
    "verdicts",
]

Indexed = TypeVar("Indexed", bound="_Indexed")


class Verdicts(msgspec.Struct, frozen=True, kw_only=True):
    """p(identical) for the pairs of one request, in order, and the tokens it cost.

    `requests` is 0 where everything was known already.
    """

    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    requests: int = 1


class JudgeServer(msgspec.Struct, frozen=True, kw_only=True):
    """The judge's server as every protocol needs it.

    `label_token_ids` are the first tokens of the labels identical and not identical. They and `tokenizer` are
    None where the server has no /tokenize, and for other kinds than generative judges. `max_model_len` is in tokens.
    """

    http: HttpClient
    model: str
    spec: JudgeSpec
    tokenizer: ServerTokenizer | None
    label_token_ids: tuple[int, int] | None
    max_model_len: int | None


class JudgeProtocol(Protocol):
    """One way to ask a judge, named as in `judge.dialect`; `batched` if one request takes many pairs."""

    name: str
    batched: bool

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """Verdicts on pairs that share their query, from one request.

        Raises EndpointError when the server fails or refuses, JudgeError when its answer holds no verdict.
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
    """vLLM's /generative_scoring: one query, many items, P(first label) among the two labels."""

    name = "generative_scoring"
    batched = True

    def __init__(self, server: JudgeServer) -> None:
        if server.tokenizer is None or server.label_token_ids is None:
            raise EndpointRejected(
                f"{server.http.address} has no /tokenize, which gives the label ids.", 404
            )
        self._server = server
        self._tokenizer = server.tokenizer
        self._labels = server.label_token_ids

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `JudgeProtocol.ask`."""
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
        return verdicts(
            [score.score for score in scores],
            answer.usage,
            sent=sum(len(query) + len(item) for item in items),
        )


def check_length(server: JudgeServer, tokens: int) -> None:
    """Raises EndpointRejected for a pair that vLLM would truncate at its end, where the labels are asked for."""
    if server.max_model_len is not None and tokens >= server.max_model_len:
        raise EndpointRejected(
            f"A pair has {tokens} tokens, and the judge's context holds {server.max_model_len}; lower "
            "max_segment_chars in the judge spec or serve the judge with a larger --max-model-len.",
            400,
        )


def in_order(answers: Sequence[Indexed], count: int) -> list[Indexed]:
    """The answers in the order of the pairs. Raises JudgeError unless there is one for each."""
    ordered = sorted(answers, key=lambda answer: answer.index)
    if [answer.index for answer in ordered] != list(range(count)):
        raise JudgeError(f"The judge answered {count} pairs with {len(answers)} scores.")
    return ordered


def verdicts(
    probabilities: Sequence[float], usage: Usage | None, *, sent: int | None = None
) -> Verdicts:
    """The verdicts of one request, whose prompt has `sent` tokens where that is known.

    Raises JudgeError for a score that is not a probability.
    """
    if not all(0.0 <= probability <= 1.0 for probability in probabilities):
        raise JudgeError("The judge answered with a score that is not a probability.")
    usage = usage or Usage()
    return Verdicts(
        probabilities=tuple(probabilities),
        prompt_tokens=usage.prompt or sent or 0,
        cached_prompt_tokens=usage.cached,
        completion_tokens=usage.completion or 0,
    )

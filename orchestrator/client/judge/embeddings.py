"""Judges with a head on two vectors, asked through /v1/embeddings: each segment is sent once and compared here.

The vectors of segments are kept as the head's few numbers, so a member that was compared before costs no tokens.
"""

from collections import OrderedDict
from collections.abc import Sequence

import msgspec

from orchestrator.client.judge.protocols import JudgeServer, Verdicts, in_order
from orchestrator.client.usage import Usage
from orchestrator.config.head_file import head_of
from orchestrator.core.embedding_head import Vector
from orchestrator.core.judging import PairPrompt
from orchestrator.errors import EndpointRejected, JudgeError

__all__ = ["Embeddings"]

KEPT_SEGMENTS = 16_384
"""Of a width of 32 these take 4 MiB."""


class _Embedding(msgspec.Struct):
    index: int
    embedding: list[float]


class _Answer(msgspec.Struct):
    data: list[_Embedding]
    usage: Usage | None = None


class Embeddings:
    """The OpenAI API for embeddings, as vLLM, llama.cpp and others have it."""

    name = "embeddings"
    batched = True

    def __init__(self, server: JudgeServer) -> None:
        self._server = server
        self._head = head_of(server.spec)
        self._known: OrderedDict[str, Vector] = OrderedDict()

    async def ask(self, prompts: Sequence[PairPrompt]) -> Verdicts:
        """See `JudgeProtocol.ask`. Only segments that are not known are sent."""
        texts = dict.fromkeys(text for prompt in prompts for text in (prompt.query, prompt.item))
        found = {text: self._known[text] for text in texts if text in self._known}
        new = [text for text in texts if text not in found]
        usage = await self._embed(new, found) if new else Usage()
        self._keep(found)
        return Verdicts(
            probabilities=tuple(
                self._head.probability(found[prompt.query], found[prompt.item])
                for prompt in prompts
            ),
            prompt_tokens=usage.prompt or 0,
            cached_prompt_tokens=usage.cached,
            completion_tokens=0,
            requests=1 if new else 0,
        )

    async def _embed(self, texts: Sequence[str], found: dict[str, Vector]) -> Usage:
        body = {"model": self._server.model, "input": texts, "encoding_format": "float"}
        url = f"{self._server.http.address.base}/embeddings"
        try:
            answer = await self._server.http.json("POST", url, _Answer, body)
        except EndpointRejected as error:
            raise _with_remedy(error) from None
        vectors = [one.embedding for one in in_order(answer.data, len(texts))]
        try:
            found.update(zip(texts, self._head.project(vectors), strict=True))
        except ValueError as error:
            raise JudgeError(
                f"The vectors of {self._server.http.address} do not fit the head of judge {self._server.spec.name} "
                f"({error}); serve the model that the head was trained with."
            ) from None
        return answer.usage or Usage()

    def _keep(self, found: dict[str, Vector]) -> None:
        for text, vector in found.items():
            self._known[text] = vector
            self._known.move_to_end(text)
        while len(self._known) > KEPT_SEGMENTS:
            self._known.popitem(last=False)


def _with_remedy(error: EndpointRejected) -> EndpointRejected:
    if error.status != 400:
        return error
    return EndpointRejected(
        f"{str(error).rstrip('.')}; if a segment is too long, lower max_segment_chars in the judge spec.",
        error.status,
    )

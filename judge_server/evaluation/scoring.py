"""Scores of pairs: the function that every judge and baseline offers, and the two ways to ask a judge.

A pair that a judge cannot read, because it is longer than the judge's context, has the score nan; the evaluation leaves
it out for every judge, so that all are compared on the same pairs. A judge that fails otherwise ends the evaluation.
"""

import asyncio
import math
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from judge_server.data.pairs import Pair
from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.endpoint import all_of
from orchestrator.client.judge.client import JudgeClient
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import PairTooLong
from orchestrator.settings import JudgeDialect, JudgeSettings

__all__ = ["EndpointJudge", "OnProgress", "Scorer", "say", "score_in_chunks"]

OnProgress = Callable[[float], None]
"""Called with the fraction of the work that is done, in 0..1."""

Scorer = Callable[[Sequence[Pair], OnProgress], list[float]]
"""p(identical), or another similarity in 0..1, for each pair in order; a higher score means more alike.

nan stands for a pair that the judge cannot read.
"""

CHUNK_PAIRS = 2_000
"""Pairs scored between two reports of progress."""


def say(text: str) -> None:
    """Prints a line for the user on stderr."""
    print(text, file=sys.stderr, flush=True)


def score_in_chunks(
    scores: Callable[[Sequence[Pair]], list[float]],
    pairs: Sequence[Pair],
    on_progress: OnProgress,
) -> list[float]:
    """The scores of a local judge, some pairs at a time; pairs with the same new trace stay together."""
    order = sorted(
        range(len(pairs)), key=lambda number: (pairs[number].question, pairs[number].new)
    )
    found = [0.0] * len(pairs)
    for start in range(0, len(order), CHUNK_PAIRS):
        numbers = order[start : start + CHUNK_PAIRS]
        for number, score in zip(numbers, scores([pairs[n] for n in numbers]), strict=True):
            found[number] = score
        on_progress((start + len(numbers)) / len(order))
    return found


@dataclass(frozen=True)
class EndpointJudge:
    """A judge at an address, asked through the orchestrator's own client.

    `concurrency` is the number of requests at a time. The dialect "auto" is the first one that the server answers.
    """

    url: str
    spec: JudgeSpec
    api_key: str | None
    concurrency: int
    dialect: JudgeDialect = "auto"

    def probe(self) -> JudgeCapabilities:
        """How the server can be asked, found by asking it. Raises what `JudgeClient.probe` raises."""

        async def probe() -> JudgeCapabilities:
            async with self._client() as client:
                return await client.probe()

        return asyncio.run(probe())

    def scores(self, pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
        """p(identical) of each pair, without the spec's calibration; members of one new trace are asked together.

        nan stands for a pair that is too long for the server. Raises JudgeError if a pair gets no verdict otherwise.
        """
        return asyncio.run(self._scores(pairs, on_progress))

    async def _scores(self, pairs: Sequence[Pair], on_progress: OnProgress) -> list[float]:
        groups: dict[tuple[str, str], list[int]] = {}
        for number, pair in enumerate(pairs):
            groups.setdefault((pair.question, pair.new), []).append(number)
        scores = [0.0] * len(pairs)
        answered = 0
        refusals: list[str] = []
        limiter = asyncio.Semaphore(self.concurrency)  # the client's own queue stays short

        async def ask(client: JudgeClient, numbers: list[int]) -> None:
            nonlocal answered
            first = pairs[numbers[0]]
            members = [pairs[number].member for number in numbers]
            async with limiter:
                found = await _verdicts(client, first, members, refusals)
            for number, score in zip(numbers, found, strict=True):
                scores[number] = score
            answered += len(numbers)
            on_progress(answered / len(pairs))

        async with self._client() as client:
            await client.probe()
            await all_of(ask(client, numbers) for numbers in groups.values())
        if refusals:
            say(f"{self.url} refuses {len(refusals):,} pairs: {refusals[0]}")
        return scores

    def _client(self) -> JudgeClient:
        settings = JudgeSettings(url=self.url, concurrency=self.concurrency, dialect=self.dialect)
        raw = self.spec.model_copy(update={"calibration": None})
        return JudgeClient(settings, raw, self.api_key)


async def _verdicts(
    client: JudgeClient, first: Pair, members: Sequence[str], refusals: list[str]
) -> Sequence[float]:
    """The scores of one new trace with its members; where one of them is too long, each by itself.

    The sentence about each pair that is too long is added to `refusals`.
    """
    try:
        scores = await client.score(question=first.question, new=first.new, members=members)
    except PairTooLong as error:
        if len(members) == 1:
            refusals.append(str(error))
            return [math.nan]
        alone = [await _verdicts(client, first, [member], refusals) for member in members]
        return [score for scores in alone for score in scores]
    return scores.probabilities

"""A judge that is served somewhere, asked through the client that the orchestrator uses.

The rule: a pair that gets no verdict ends the evaluation; a table with holes would compare unlike things.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from judge_server.pairs import Pair
from judge_server.scoring import Advance
from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.dialects import all_of
from orchestrator.client.judge import JudgeClient
from orchestrator.config import JudgeDialect, JudgeSettings
from orchestrator.core.judging import JudgeSpec

__all__ = ["EndpointJudge"]


@dataclass(frozen=True)
class EndpointJudge:
    """A judge server's address and how it is asked; `concurrency` counts requests at once.

    The dialect "auto" is the first that answers.
    """

    url: str
    spec: JudgeSpec
    api_key: str | None
    concurrency: int
    dialect: JudgeDialect = "auto"

    def check(self) -> JudgeCapabilities:
        """How it can be asked, found by asking. Raises what `JudgeClient.probe` raises."""

        async def probe() -> JudgeCapabilities:
            async with self._client() as client:
                return await client.probe()

        return asyncio.run(probe())

    def scores(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        """p(identical) of each pair, without the spec's calibration; members of one new trace are asked together.

        Raises JudgeError if a pair gets no verdict.
        """
        return asyncio.run(self._scores(pairs, advance))

    async def _scores(self, pairs: Sequence[Pair], advance: Advance) -> list[float]:
        groups: dict[tuple[str, str], list[int]] = {}
        for number, pair in enumerate(pairs):
            groups.setdefault((pair.question, pair.new), []).append(number)
        scores = [0.0] * len(pairs)
        asked = 0
        slots = asyncio.Semaphore(self.concurrency)  # waiting groups must not pile up in the client

        async def ask(client: JudgeClient, numbers: list[int]) -> None:
            nonlocal asked
            first = pairs[numbers[0]]
            members = [pairs[number].member for number in numbers]
            async with slots:
                found = await client.score(question=first.question, new=first.new, members=members)
            for number, score in zip(numbers, found.probabilities, strict=True):
                scores[number] = score
            asked += len(numbers)
            advance(asked / len(pairs))

        async with self._client() as client:
            await client.probe()
            await all_of(ask(client, numbers) for numbers in groups.values())
        return scores

    def _client(self) -> JudgeClient:
        settings = JudgeSettings(url=self.url, concurrency=self.concurrency, dialect=self.dialect)
        raw = self.spec.model_copy(update={"calibration": None})
        return JudgeClient(settings, raw, self.api_key)

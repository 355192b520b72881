"""From the names on the command line to what scores pairs: an address, a model folder, or a baseline.

The rule: whatever can be wrong with a name is found here, before any pair is made.

A judge that is served somewhere, asked through the client that the orchestrator uses.

The rule: a pair that gets no verdict ends the evaluation; a table with holes would compare unlike things.

What scores pairs, whichever way it does it, and how far it has come on stderr.
"""

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import ValidationError

from judge_server.data.pairs import Pair
from judge_server.data.training_record import TrainingRecord, read_record
from judge_server.evaluation import baselines
from judge_server.evaluation.scoring import Advance, Score, say
from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.endpoint import all_of
from orchestrator.client.http import parse_address
from orchestrator.client.judge.client import JudgeClient
from orchestrator.config.explain import explain
from orchestrator.config.shipped import judge_spec
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError
from orchestrator.settings import JudgeDialect, JudgeSettings

__all__ = ["BASELINES", "Candidate", "EndpointJudge", "QueryOptions", "find_candidates"]


BASELINES = ("overlap", "words", "tfidf", "embedding")
API_KEY = "DEEPPRUNE_JUDGE_API_KEY"
SPEC_FILE = "judge.yaml"
DEFAULT_SPEC = "nano"


@dataclass(frozen=True)
class QueryOptions:
    """What the flags say about how judges are asked; `specs` is none, one for all, or one for each model.

    `concurrency` and `dialect` are for addresses.
    """

    specs: Sequence[str]
    embedding_model: Path | None
    concurrency: int
    dialect: JudgeDialect = "auto"


@dataclass(frozen=True)
class Candidate:
    """One that is measured. Scores are raw: `spec.calibrated` is still to be applied.

    `open` makes it ready, which may take memory, so it is called when its turn has come. `spec` is None for a
    baseline, `folder` for what has none, `record` for what was not trained here.
    """

    name: str
    open: Callable[[], Score]
    spec: JudgeSpec | None = None
    folder: Path | None = None
    record: TrainingRecord | None = None


def find_candidates(names: Sequence[str], query: QueryOptions) -> list[Candidate]:
    """The contenders in order.

    Raises:
        ConfigError: a name that is none, a folder without a model, a spec that is missing or too many.
        EndpointError: a server that cannot be asked.
    """
    if len(set(names)) < len(names):
        raise ConfigError("A --judge is named twice; name each once.")
    models = [name for name in names if name not in BASELINES]
    spec_of = dict(zip(models, _one_for_each(models, query.specs), strict=True))
    return [
        _baseline(name, query) if name in BASELINES else _model(name, spec_of[name], query)
        for name in names
    ]


def _one_for_each(models: Sequence[str], specs: Sequence[str]) -> Sequence[str | None]:
    if not specs:
        return [None] * len(models)
    if len(specs) == 1 and models:
        return [*specs] * len(models)
    if len(specs) != len(models):
        raise ConfigError(
            f"{len(specs)} --spec for {len(models)} judges; give one for all, or one for each in order."
        )
    return specs


def _baseline(name: str, query: QueryOptions) -> Candidate:
    if name == "embedding":
        from judge_server.evaluation.embedding import cosines, find_encoder

        score: Score = partial(cosines, find_encoder(query.embedding_model))
    else:
        score = {
            "overlap": baselines.overlap,
            "words": baselines.words,
            "tfidf": baselines.tfidf,
        }[name]
    return Candidate(name, lambda: score)


def _model(name: str, spec: str | None, query: QueryOptions) -> Candidate:
    if name.startswith(("http://", "https://")):
        return _endpoint(name, judge_spec(spec or DEFAULT_SPEC), query)
    folder = Path(name)
    if not folder.is_dir():
        raise ConfigError(
            f"There is no judge '{name}'; give an address that begins with http://, a model folder, or a "
            f"baseline: {', '.join(BASELINES)}."
        )
    return _folder(name, folder, spec)


def _endpoint(url: str, spec: JudgeSpec, query: QueryOptions) -> Candidate:
    parse_address(url)
    judge = EndpointJudge(url, spec, os.environ.get(API_KEY), query.concurrency, query.dialect)
    found = judge.check()
    say(f"{url}: {found.model}, asked by {found.dialect} as judge {spec.name}")
    return Candidate(url, lambda: judge.scores, spec)


def _folder(name: str, folder: Path, given_spec: str | None) -> Candidate:
    if not (folder / "config.json").is_file():
        raise ConfigError(f"{folder} holds no model (config.json is missing); name a model folder.")
    record = read_record(folder)
    spec = _spec_of(folder, given_spec, record)

    def score() -> Score:
        from judge_server.models.load import load_judge

        judge = load_judge(folder, spec.model_copy(update={"calibration": None}))
        return partial(_in_chunks, judge.scores)

    return Candidate(name, score, spec, folder, record)


def _spec_of(folder: Path, given: str | None, record: TrainingRecord | None) -> JudgeSpec:
    """The spec given, else the one beside the weights, else the one it was trained with, else nano."""
    if given is not None:
        return judge_spec(given)
    if (folder / SPEC_FILE).is_file():
        return judge_spec(str(folder / SPEC_FILE))
    if record is not None and record.judge is not None:
        try:
            return JudgeSpec.model_validate(record.judge)
        except ValidationError as error:
            raise ConfigError(explain(error, JudgeSpec, {}, f"{folder}'s training.json")) from None
    say(f"{folder} has no {SPEC_FILE}: asked as judge {DEFAULT_SPEC}; name another with --spec.")
    return judge_spec(DEFAULT_SPEC)


CHUNK_PAIRS = 2_000
"""Pairs scored between two signs of progress; pairs that share a new trace are best kept together."""


def _in_chunks(
    scores: Callable[[Sequence[Pair]], list[float]], pairs: Sequence[Pair], advance: Advance
) -> list[float]:
    """The scores of a local judge, a part of the pairs at a time."""
    order = sorted(
        range(len(pairs)), key=lambda number: (pairs[number].question, pairs[number].new)
    )
    found = [0.0] * len(pairs)
    for start in range(0, len(order), CHUNK_PAIRS):
        numbers = order[start : start + CHUNK_PAIRS]
        for number, score in zip(numbers, scores([pairs[n] for n in numbers]), strict=True):
            found[number] = score
        advance((start + len(numbers)) / len(order))
    return found


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
        limiter = asyncio.Semaphore(
            self.concurrency
        )  # waiting groups must not pile up in the client

        async def ask(client: JudgeClient, numbers: list[int]) -> None:
            nonlocal asked
            first = pairs[numbers[0]]
            members = [pairs[number].member for number in numbers]
            async with limiter:
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


"""Told the share of the work that is done, in 0..1."""

"""p(identical), or another likeness in 0..1, for each pair in order; higher means rather the same answer."""

"""The judge's client: pairs in, p(identical) out, or JudgeError, which means unknown and prunes nothing."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.endpoint import Connected, find_model, open_sdk
from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.judge.classify import Classification
from orchestrator.client.judge.logprobs import (
    ChatLogprobs,
    ChatLogprobsWithoutThinking,
    CompletionsLogprobs,
)
from orchestrator.client.judge.protocols import (
    Dialect,
    GenerativeScoring,
    JudgeServer,
    Verdicts,
    all_of,
)
from orchestrator.client.retry import Breaker, reported, retries
from orchestrator.client.server_counters import ServerCounters, read_counters
from orchestrator.client.tokenize import ServerTokenizer
from orchestrator.core.judging import JudgeSpec, PairPrompt, pair_prompt
from orchestrator.errors import (
    ConfigError,
    EndpointError,
    EndpointRejected,
    JudgeError,
    StreamBroken,
)
from orchestrator.settings import JudgeSettings

__all__ = ["JudgeClient", "JudgeScores"]

KEY_NAME = "DEEPPRUNE_JUDGE_API_KEY"
CONNECT_SECONDS = 10.0

DIALECTS: Mapping[str, Sequence[tuple[str, Callable[[JudgeServer], Dialect]]]] = {
    "generative": (
        ("generative_scoring", GenerativeScoring),
        ("completions", CompletionsLogprobs),
        ("chat", ChatLogprobs),
        ("chat", ChatLogprobsWithoutThinking),
    ),
    "classification": (("classify", Classification),),
}
"""By the kind of judge, best first; the probe takes the first that answers."""


class JudgeScores(msgspec.Struct, frozen=True):
    """p(identical) for each member in order, and what the answer cost.

    `seconds` is the wall-clock time of the call, waiting for a free slot and retries included; `requests`
    counts the scoring requests that were answered, without those to /tokenize.
    """

    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    seconds: float
    requests: int


class JudgeClient(Connected):
    """One judge endpoint, as an async context manager; `probe` comes first."""

    def __init__(self, settings: JudgeSettings, spec: JudgeSpec, api_key: str | None) -> None:
        if settings.url is None:
            raise ConfigError("No judge: give its address with --judge-endpoint.")
        self.address = parse_address(settings.url)
        self._settings = settings
        self._spec = spec
        self._api_key = api_key
        super().__init__(
            HttpClient(
                self.address,
                api_key=api_key,
                key_name=KEY_NAME,
                connect_seconds=min(CONNECT_SECONDS, settings.timeout_seconds),
                read_seconds=settings.timeout_seconds,
            )
        )
        self._limiter = asyncio.Semaphore(settings.concurrency)
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
        self._server: JudgeServer | None = None
        self._dialect: Dialect | None = None

    async def probe(self) -> JudgeCapabilities:
        """How this judge can be asked, found by asking it about one tiny pair.

        Raises ConfigError when the labels cannot be told apart or the dialect is not for this kind of judge,
        EndpointRejected when no dialect works, and the other EndpointErrors when the server is not there or
        not ready.
        """
        server = await self._find_server()
        dialect = await self._find_dialect(server)
        self._dialect = dialect
        return JudgeCapabilities(
            endpoint=self.address.base,
            model=server.model,
            dialect=dialect.name,
            label_token_ids=server.label_token_ids,
            metrics=await self.counters() is not None,
        )

    async def counters(self) -> ServerCounters | None:
        """The server's own counters now; None where it shows none.

        /generative_scoring does not tell its cached prompt tokens: their sum is found here.
        """
        return await read_counters(self._http)

    async def score(self, *, question: str, new: str, members: Sequence[str]) -> JudgeScores:
        """p(identical) of segment `new` with each of `members`.

        Raises JudgeError after the last attempt, or at once while the breaker is open.
        """
        if self._dialect is None:
            raise RuntimeError("probe() comes before everything else")
        if not self._breaker.allows(time.monotonic()):
            left = self._breaker.seconds_left(time.monotonic())
            raise JudgeError(f"The judge failed repeatedly; it is not asked for {left:.0f} s more.")
        began = time.monotonic()
        try:
            with reported(self._breaker):
                verdicts = await self._verdicts(self._dialect, question, new, members)
        except EndpointError as error:
            raise JudgeError(str(error)) from None
        return self._sum(verdicts, time.monotonic() - began)

    async def _verdicts(
        self, dialect: Dialect, question: str, new: str, members: Sequence[str]
    ) -> list[Verdicts]:
        prompts = [
            pair_prompt(self._spec, question=question, new=new, member=member) for member in members
        ]
        size = self._settings.batch if dialect.batched else 1
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        return await all_of(self._with_retries(dialect, batch) for batch in batches)

    async def _with_retries(self, dialect: Dialect, prompts: Sequence[PairPrompt]) -> Verdicts:
        settings = self._settings
        retrying = retries(settings.max_attempts, longest_wait=settings.timeout_seconds)
        return await retrying(self._once, dialect, prompts)

    async def _once(self, dialect: Dialect, prompts: Sequence[PairPrompt]) -> Verdicts:
        async with self._limiter:
            try:
                async with asyncio.timeout(self._settings.timeout_seconds):
                    return await dialect.ask(prompts)
            except TimeoutError:
                raise StreamBroken(
                    f"The judge at {self.address} did not answer within "
                    f"{self._settings.timeout_seconds:g} seconds."
                ) from None

    async def _find_server(self) -> JudgeServer:
        sdk = open_sdk(
            self.address,
            self._api_key,
            timeout_seconds=self._settings.timeout_seconds,
            connect_seconds=CONNECT_SECONDS,
        )
        self._exit.push_async_callback(sdk.close)
        model = await find_model(self._http, sdk, self._settings.model, "judge.model")
        tokenizer = ServerTokenizer(self._http, model.name)
        is_classifier = self._spec.kind == "classification"
        labels = None if is_classifier else await self._label_token_ids(tokenizer)
        return JudgeServer(
            http=self._http,
            sdk=sdk,
            model=model.name,
            spec=self._spec,
            tokenizer=tokenizer if labels is not None else None,
            label_token_ids=labels,
            max_model_len=model.max_model_len,
        )

    async def _label_token_ids(self, tokenizer: ServerTokenizer) -> tuple[int, int] | None:
        """The labels' first tokens; None where the server does not tokenise."""
        try:
            identical, different = await all_of(
                tokenizer.text(label) for label in self._spec.labels
            )
        except (EndpointRejected, StreamBroken):
            return None
        if not identical or not different or identical[0] == different[0]:
            raise ConfigError(
                f"The judge's labels {self._spec.labels[0]!r} and {self._spec.labels[1]!r} begin with the "
                "same token, so they cannot be told apart: choose others in the judge spec."
            )
        return identical[0], different[0]

    async def _find_dialect(self, server: JudgeServer) -> Dialect:
        """The first dialect that answers a tiny pair."""
        pair = pair_prompt(self._spec, question="1 + 1 = ?", new="1 + 1 = 2", member="It is 2.")
        reasons = []
        for name, make in self._dialects():
            try:
                dialect = make(server)
                await self._once(dialect, [pair])
            except (EndpointRejected, StreamBroken, JudgeError) as error:
                reasons.append(f"{name}: {error}")
            else:
                return dialect
        raise EndpointRejected(
            f"The judge at {self.address} cannot be asked. {' '.join(reasons)}", 404
        )

    def _dialects(self) -> list[tuple[str, Callable[[JudgeServer], Dialect]]]:
        """Those for this kind of judge, or the one that is set."""
        known = DIALECTS[self._spec.kind]
        chosen = [one for one in known if self._settings.dialect in ("auto", one[0])]
        if not chosen:
            names = " or ".join(dict.fromkeys(name for name, _ in known))
            raise ConfigError(
                f"judge.dialect is {self._settings.dialect}, but judge {self._spec.name} is of the "
                f"{self._spec.kind} kind: set it to auto or {names}."
            )
        return chosen

    def _sum(self, verdicts: Sequence[Verdicts], seconds: float) -> JudgeScores:
        return JudgeScores(
            probabilities=tuple(
                self._spec.calibrated(p) for verdict in verdicts for p in verdict.probabilities
            ),
            prompt_tokens=sum(verdict.prompt_tokens for verdict in verdicts),
            cached_prompt_tokens=sum(verdict.cached_prompt_tokens for verdict in verdicts),
            completion_tokens=sum(verdict.completion_tokens for verdict in verdicts),
            seconds=seconds,
            requests=len(verdicts),
        )

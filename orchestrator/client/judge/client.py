"""The judge's client: pairs in, p(identical) out, or JudgeError: the verdict is unknown and nothing is pruned."""

import re
import time
from collections.abc import Callable, Mapping, Sequence

import msgspec

from orchestrator.capabilities import JudgeCapabilities
from orchestrator.client.endpoint import RequestClient, all_of
from orchestrator.client.judge.classify import Classification
from orchestrator.client.judge.embeddings import Embeddings
from orchestrator.client.judge.logprobs import (
    ChatLogprobs,
    ChatLogprobsWithoutThinking,
    CompletionsLogprobs,
)
from orchestrator.client.judge.protocols import (
    GenerativeScoring,
    JudgeProtocol,
    JudgeServer,
    Verdicts,
)
from orchestrator.client.retry import Breaker, guarded
from orchestrator.client.tokenize import ServerTokenizer
from orchestrator.core.judging import JudgeSpec, PairPrompt, pair_prompt
from orchestrator.errors import (
    ConfigError,
    EndpointError,
    EndpointRejected,
    JudgeError,
    PairTooLong,
    StreamBroken,
)
from orchestrator.settings import JudgeSettings

__all__ = ["KEY_NAME", "JudgeClient", "JudgeScores"]

KEY_NAME = "DEEPPRUNE_JUDGE_API_KEY"
_TOO_LONG = re.compile(
    r"context (length|size|holds)|maximum (model|input|sequence) length|(prompt|input) is too long",
    re.IGNORECASE,
)
"""How servers say that a prompt is longer than their context."""

PROTOCOLS: Mapping[str, Sequence[tuple[str, Callable[[JudgeServer], JudgeProtocol]]]] = {
    "generative": (
        ("generative_scoring", GenerativeScoring),
        ("completions", CompletionsLogprobs),
        ("chat", ChatLogprobs),
        ("chat", ChatLogprobsWithoutThinking),
    ),
    "classification": (("classify", Classification),),
    "embedding-head": (("embeddings", Embeddings),),
}
"""By the kind of judge, best first; the probe takes the first that works."""


class JudgeScores(msgspec.Struct, frozen=True):
    """p(identical) for each member in order, and the cost of the answer.

    `seconds` is the wall-clock time of the call, including the wait for a free slot and retries; `requests`
    counts the scoring requests that were answered, without those to /tokenize.
    """

    probabilities: tuple[float, ...]
    prompt_tokens: int
    cached_prompt_tokens: int
    completion_tokens: int
    seconds: float
    requests: int


class JudgeClient(RequestClient):
    """One judge endpoint, as an async context manager; call `probe` first.

    `judge.timeout_seconds` bound one attempt, and a request gives up its slot between attempts.
    """

    def __init__(self, settings: JudgeSettings, spec: JudgeSpec, api_key: str | None) -> None:
        if len(settings.urls) != 1:
            raise ConfigError("No judge is given; name its address with --judge-endpoint.")
        super().__init__(
            settings.urls[0],
            api_key=api_key,
            key_name=KEY_NAME,
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
            max_attempts=settings.max_attempts,
            headers=settings.headers,
        )
        self._settings = settings
        self._spec = spec
        self._breaker = Breaker(settings.breaker_failures, settings.breaker_seconds)
        self._protocol: JudgeProtocol | None = None

    async def probe(self) -> JudgeCapabilities:
        """The best protocol for this judge, found by asking it about one tiny pair.

        Raises ConfigError when the labels cannot be told apart or `judge.dialect` does not fit this kind of
        judge, EndpointRejected when no protocol works, and the other EndpointErrors when the server is not
        there or not ready.
        """
        server = await self._find_server()
        with self.explained():
            protocol = await self._find_protocol(server)
        self._protocol = protocol
        return JudgeCapabilities(
            endpoint=self.address.base,
            model=server.model,
            dialect=protocol.name,
            label_token_ids=server.label_token_ids,
            metrics=await self.counters() is not None,
        )

    async def score(self, *, question: str, new: str, members: Sequence[str]) -> JudgeScores:
        """p(identical) of segment `new` with each of `members`.

        Raises JudgeError after the last attempt, or at once while the breaker is open; PairTooLong where one of
        the pairs is longer than the judge's context.
        """
        if self._protocol is None:
            raise RuntimeError("probe() must be called first")
        began = time.monotonic()
        try:
            with guarded(self._breaker, f"The judge at {self.address}"):
                verdicts = await self._verdicts(self._protocol, question, new, members)
        except EndpointRejected as error:
            raise (PairTooLong if _is_too_long(error) else JudgeError)(str(error)) from None
        except EndpointError as error:
            raise JudgeError(str(error)) from None
        return self._sum(verdicts, time.monotonic() - began)

    async def _verdicts(
        self, protocol: JudgeProtocol, question: str, new: str, members: Sequence[str]
    ) -> list[Verdicts]:
        prompts = [
            pair_prompt(self._spec, question=question, new=new, member=member) for member in members
        ]
        size = self._settings.batch if protocol.batched else 1
        batches = [prompts[start : start + size] for start in range(0, len(prompts), size)]
        return await all_of(self._retries()(self._attempt, protocol, batch) for batch in batches)

    async def _attempt(self, protocol: JudgeProtocol, prompts: Sequence[PairPrompt]) -> Verdicts:
        async with self._slots, self._in_time():
            return await protocol.ask(prompts)

    async def _find_server(self) -> JudgeServer:
        model = await self.find_model(self._settings.model, "judge.model")
        tokenizer = ServerTokenizer(self._http, model.name)
        labels = None
        if self._spec.kind == "generative":
            labels = await self._label_token_ids(tokenizer)
        return JudgeServer(
            http=self._http,
            model=model.name,
            spec=self._spec,
            tokenizer=tokenizer if labels is not None else None,
            label_token_ids=labels,
            max_model_len=model.max_model_len,
        )

    async def _label_token_ids(self, tokenizer: ServerTokenizer) -> tuple[int, int] | None:
        """The first tokens of the labels; None where the server cannot tokenise."""
        try:
            identical, different = await all_of(
                tokenizer.text(label) for label in self._spec.labels
            )
        except (EndpointRejected, StreamBroken):
            return None
        if identical[0] == different[0]:
            raise ConfigError(
                f"The judge's labels {self._spec.labels[0]!r} and {self._spec.labels[1]!r} begin with the "
                "same token, so they cannot be told apart; choose others in the judge spec."
            )
        return identical[0], different[0]

    async def _find_protocol(self, server: JudgeServer) -> JudgeProtocol:
        """The first protocol that gives a verdict on a tiny pair."""
        pair = pair_prompt(self._spec, question="1 + 1 = ?", new="1 + 1 = 2", member="It is 2.")
        reasons = []
        for name, make in self._candidates():
            try:
                protocol = make(server)
                await self._retries()(self._attempt, protocol, [pair])  # a fault is no refusal
            except (EndpointRejected, StreamBroken, JudgeError) as error:
                reasons.append(f"{name}: {error}")
            else:
                return protocol
        raise EndpointRejected(
            f"The judge at {self.address} cannot be asked. {' '.join(reasons)}", 404
        )

    def _candidates(self) -> list[tuple[str, Callable[[JudgeServer], JudgeProtocol]]]:
        """The protocols for this kind of judge, or the one that is set."""
        known = PROTOCOLS[self._spec.kind]
        chosen = [one for one in known if self._settings.dialect in ("auto", one[0])]
        if not chosen:
            names = " or ".join(dict.fromkeys(name for name, _ in known))
            raise ConfigError(
                f"judge.dialect is {self._settings.dialect}, but judge {self._spec.name} is of the "
                f"{self._spec.kind} kind; set it to auto or {names}."
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
            requests=sum(verdict.requests for verdict in verdicts),
        )


def _is_too_long(error: EndpointRejected) -> bool:
    if error.status == 413:
        return True
    return error.status in (400, 422) and _TOO_LONG.search(str(error)) is not None

"""The reward model's client: a question and a whole trace in, a reward in 0..1 out, or EndpointError: it has none.

The rule: vLLM's /classify and /pooling are spoken, one trace a request, and what is no reward is refused, never mended.
"""

import asyncio
import math
import time
from typing import Any

import msgspec

from orchestrator.client.endpoint import Connected, find_model, open_sdk
from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.judge.classify import Classes
from orchestrator.client.reasoner.sse import Usage
from orchestrator.client.retry import Breaker, reported, retries
from orchestrator.core.judging import fill
from orchestrator.errors import (
    ConfigError,
    EndpointRejected,
    StreamBroken,
)
from orchestrator.settings import RewardSettings

__all__ = ["Reward", "RewardClient"]

KEY_NAME = "DEEPPRUNE_REWARD_API_KEY"
_CONNECT_SECONDS = 10.0
_BREAKER_FAILURES = 3  # in a row; then nothing is asked for a while
_BREAKER_SECONDS = 30.0


class Reward(msgspec.Struct, frozen=True):
    """A reward in 0..1; the tokens read for it, and the seconds it took, waiting for a free slot included."""

    value: float
    prompt_tokens: int
    seconds: float


class _Rows(msgspec.Struct):
    data: list[float | list[float]]


class _Pooled(msgspec.Struct):
    data: list[_Rows]
    usage: Usage | None = None


class RewardClient(Connected):
    """One reward endpoint, as an async context manager; `probe` comes first."""

    def __init__(self, settings: RewardSettings, api_key: str | None) -> None:
        if settings.url is None:
            raise ConfigError("No reward model: give its address with --reward-endpoint.")
        self.model = ""
        self.address = parse_address(settings.url)
        self._settings = settings
        self._api_key = api_key
        super().__init__(
            HttpClient(
                self.address,
                api_key=api_key,
                key_name=KEY_NAME,
                connect_seconds=min(_CONNECT_SECONDS, settings.timeout_seconds),
                read_seconds=settings.timeout_seconds,
            )
        )
        self._limiter = asyncio.Semaphore(settings.concurrency)
        self._breaker = Breaker(_BREAKER_FAILURES, _BREAKER_SECONDS)

    async def probe(self) -> None:
        """Finds the model and asks for one small reward; raises EndpointError or ConfigError if it gives none."""
        sdk = open_sdk(
            self.address,
            self._api_key,
            timeout_seconds=self._settings.timeout_seconds,
            connect_seconds=_CONNECT_SECONDS,
        )
        async with sdk:
            served = await find_model(self._http, sdk, self._settings.model, "reward.model")
        self.model = served.name
        await self._ask(self._body("1 + 1 = ?", "It is 2."))

    async def score(self, *, question: str, trace: str) -> Reward:
        """The reward of a whole trace.

        Raises EndpointError after the last attempt or `timeout_seconds`, and at once while the server is left alone
        because it failed several times in a row.
        """
        began = time.monotonic()
        async with self._limiter:
            if not self._breaker.allows(time.monotonic()):
                raise StreamBroken(
                    f"{self.address} failed repeatedly and is not asked for a while."
                )
            value, usage = await self._guarded(self._body(question, trace))
        return Reward(value, usage.prompt_tokens or 0, round(time.monotonic() - began, 6))

    async def _guarded(self, body: dict[str, Any]) -> tuple[float, Usage]:
        """An answer in time; the breaker hears how it went."""
        seconds = self._settings.timeout_seconds
        retrying = retries(self._settings.max_attempts, longest_wait=seconds)
        try:
            with reported(self._breaker):
                async with asyncio.timeout(seconds):
                    return await retrying(self._ask, body)
        except TimeoutError:
            raise StreamBroken(
                f"{self.address} gave no reward within {seconds:g} seconds."
            ) from None

    def _body(self, question: str, trace: str) -> dict[str, Any]:
        settings = self._settings
        if settings.max_chars is not None:
            trace = trace[-settings.max_chars :]
        if settings.template is not None:
            text = fill(settings.template, {"question": question, "trace": trace})
            return {"model": self.model, "input": text}
        turns = [
            {"role": "user", "content": question},
            {"role": "assistant", "content": trace},
        ]
        return {"model": self.model, "messages": turns}

    async def _ask(self, body: dict[str, Any]) -> tuple[float, Usage]:
        url = f"{self.address.root}/{self._settings.dialect}"
        try:
            if self._settings.dialect == "classify":
                classes = await self._http.json("POST", url, Classes, body)
                rows: list[Any] = [one.probs for one in classes.data]
                usage = classes.usage
            else:
                pooled = await self._http.json("POST", url, _Pooled, body)
                rows, usage = [_last_row(one.data) for one in pooled.data], pooled.usage
        except EndpointRejected as error:
            raise self._with_remedy(error) from None
        if len(rows) != 1:
            raise self._refused(f"answered {len(rows)} rewards to one trace")
        return self._read(rows[0]), usage or Usage()

    def _read(self, row: list[float]) -> float:
        """The label's value as a probability."""
        label = self._settings.label
        if not -len(row) <= label < len(row):
            raise self._refused(f"gives {len(row)} values, so reward.label cannot be {label}")
        value = row[label]
        if self._settings.scale == "logit":
            value = 0.5 * (1.0 + math.tanh(0.5 * value))  # the sigmoid, without overflow
        if not 0.0 <= value <= 1.0:
            raise self._refused(
                f"gave {value:g}, which is no probability; set reward.scale to logit if it gives logits"
            )
        return value

    def _refused(self, reason: str) -> EndpointRejected:
        return EndpointRejected(f"The reward model at {self.address} {reason}.")

    def _with_remedy(self, error: EndpointRejected) -> EndpointRejected:
        said = str(error).rstrip(".")
        if error.status == 404:
            said += (
                "; a reward model answers at /classify or /pooling, which reward.dialect chooses"
            )
        elif error.status == 400:
            said += (
                "; if the trace is too long, set reward.max_chars; if there is no chat template, "
                "set reward.template"
            )
        return EndpointRejected(f"{said}.", error.status)


def _last_row(data: list[float | list[float]]) -> list[float]:
    """The values at the last token or step, or those of the whole trace."""
    rows = [each for each in data if isinstance(each, list)]
    return rows[-1] if rows else [each for each in data if isinstance(each, float)]

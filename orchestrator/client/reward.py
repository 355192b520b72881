"""The reward model's client: a question and a whole trace in, a reward in 0..1 out, or EndpointError.

It asks vLLM's /classify or /pooling, one trace a request. A value outside 0..1 is an error and never clipped.
"""

import math
import time
from typing import Any

import msgspec

from orchestrator.client.endpoint import RequestClient
from orchestrator.client.judge.classify import Classes
from orchestrator.client.retry import Breaker, guarded
from orchestrator.client.usage import Usage
from orchestrator.core.judging import fill
from orchestrator.errors import ConfigError, EndpointRejected
from orchestrator.settings import RewardSettings

__all__ = ["Reward", "RewardClient"]

KEY_NAME = "DEEPPRUNE_REWARD_API_KEY"
_BREAKER_FAILURES = 3  # in a row
_BREAKER_SECONDS = 30.0


class Reward(msgspec.Struct, frozen=True):
    """A reward in 0..1, the tokens read for it, and its seconds, including the wait for a free slot."""

    value: float
    prompt_tokens: int
    seconds: float


class _Rows(msgspec.Struct):
    data: list[float | list[float]]


class _Pooled(msgspec.Struct):
    data: list[_Rows]
    usage: Usage | None = None


class RewardClient(RequestClient):
    """One reward endpoint, as an async context manager; call `probe` first.

    `reward.timeout_seconds` bound all attempts, and a request keeps its slot between them.
    """

    def __init__(self, settings: RewardSettings, api_key: str | None) -> None:
        if settings.url is None:
            raise ConfigError("No reward model is given; name its address with --reward-endpoint.")
        super().__init__(
            settings.url,
            api_key=api_key,
            key_name=KEY_NAME,
            timeout_seconds=settings.timeout_seconds,
            concurrency=settings.concurrency,
            max_attempts=settings.max_attempts,
            headers=settings.headers,
        )
        self.model = ""
        self._settings = settings
        self._breaker = Breaker(_BREAKER_FAILURES, _BREAKER_SECONDS)

    async def probe(self) -> None:
        """Finds the model and asks for one small reward; raises EndpointError or ConfigError if it gives none."""
        served = await self.find_model(self._settings.model, "reward.model")
        self.model = served.name
        with self.explained():
            await self._ask(self._body("1 + 1 = ?", "It is 2."))

    async def score(self, *, question: str, trace: str) -> Reward:
        """The reward of a whole trace.

        Raises EndpointError after the last attempt or `timeout_seconds`, or at once while the breaker is open.
        """
        began = time.monotonic()
        body = self._body(question, trace)
        async with self._slots:
            value, usage = await self._answer(body)
        return Reward(value, usage.prompt or 0, round(time.monotonic() - began, 6))

    async def _answer(self, body: dict[str, Any]) -> tuple[float, Usage]:
        with guarded(self._breaker, f"The reward model at {self.address}"):
            async with self._in_time():
                return await self._retries()(self._ask, body)

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
            raise self._refused(f"answered one trace with {len(rows)} rewards")
        return self._read(rows[0]), usage or Usage()

    def _read(self, row: list[float]) -> float:
        """The label's value as a probability."""
        label = self._settings.label
        if not -len(row) <= label < len(row):
            raise self._refused(
                f"gives {len(row)} values, so reward.label cannot be {label}; set it to one of them"
            )
        value = row[label]
        if self._settings.scale == "logit":
            value = 0.5 * (1.0 + math.tanh(0.5 * value))  # the sigmoid, without overflow
        if not 0.0 <= value <= 1.0:
            raise self._refused(
                f"gave {value:g}, which is not a probability; set reward.scale to logit if it gives logits"
            )
        return value

    def _refused(self, reason: str) -> EndpointRejected:
        return EndpointRejected(f"The reward model at {self.address} {reason}.")

    def _with_remedy(self, error: EndpointRejected) -> EndpointRejected:
        said = str(error).rstrip(".")
        if error.status == 404:
            said += "; set reward.dialect to the path at which this server gives rewards, classify or pooling"
        elif error.status == 400:
            said += (
                "; if the trace is too long, set reward.max_chars; if there is no chat template, "
                "set reward.template"
            )
        return EndpointRejected(f"{said}.", error.status)


def _last_row(data: list[float | list[float]]) -> list[float]:
    """The values at the last token or step, or the values of the whole trace."""
    rows = [each for each in data if isinstance(each, list)]
    return rows[-1] if rows else [each for each in data if isinstance(each, float)]

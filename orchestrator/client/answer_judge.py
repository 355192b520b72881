"""Whether two answers mean the same, asked of a chat model: for answers that no rule can check.

The rule: unknown is different. Both orders must say yes, and a model that fails, or says neither yes nor no, has not
said yes; such pairs are counted.
"""

import asyncio
from collections.abc import Sequence

import msgspec

from orchestrator.client.endpoint import Connected, find_model, open_sdk
from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.judge.client import CONNECT_SECONDS, KEY_NAME
from orchestrator.client.judge.protocols import all_of
from orchestrator.client.reasoner.sse import Usage
from orchestrator.client.retry import retries
from orchestrator.core.answer import trim_answer
from orchestrator.errors import EndpointError
from orchestrator.settings import AnswerSettings

__all__ = ["AnswersOf", "SameAnswerClient"]

_PROMPT = """\
Two people were asked the same question. Do their final answers mean the same? Wording and form do not matter.

Question:
{question}

First answer:
{one}

Second answer:
{other}

Reply with one word, yes or no."""

_MAX_TOKENS = 1024  # for models that think before they say yes or no
_ATTEMPTS = 3
_AT_ONCE = 8


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: Sequence[_Choice]
    usage: Usage | None = None


class SameAnswerClient(Connected):
    """One chat endpoint, as an async context manager; `probe` comes first. Every pair is asked about once.

    `requests` were answered and cost `tokens` (prompt and reply); `unknown` pairs got no clear verdict.
    """

    def __init__(self, settings: AnswerSettings, url: str, api_key: str | None) -> None:
        self.requests = 0
        self.tokens = 0
        self.unknown = 0
        self.model = ""
        self._settings = settings
        self._api_key = api_key
        self._address = parse_address(url)
        super().__init__(
            HttpClient(
                self._address,
                api_key=api_key,
                key_name=KEY_NAME,
                connect_seconds=CONNECT_SECONDS,
                read_seconds=settings.llm_timeout_seconds,
            )
        )
        self._limiter = asyncio.Semaphore(_AT_ONCE)
        self._known: dict[tuple[str, frozenset[str]], bool] = {}

    async def probe(self) -> None:
        """Finds the model and asks it one question; raises EndpointError or ConfigError if it cannot be asked."""
        sdk = open_sdk(
            self._address,
            self._api_key,
            timeout_seconds=self._settings.llm_timeout_seconds,
            connect_seconds=CONNECT_SECONDS,
        )
        async with sdk:
            served = await find_model(
                self._http, sdk, self._settings.llm_model, "answers.llm_model"
            )
        self.model = served.name
        await self._ask("Is it raining?", "yes", "yes, it is")

    async def same(self, question: str, one: str, other: str) -> bool:
        """Whether the model says, in both orders, that the answers to `question` mean the same."""
        pair = (question, frozenset((one, other)))
        if pair not in self._known:
            self._known[pair] = await self._both_orders(question, one, other)
        return self._known[pair]

    async def _both_orders(self, question: str, one: str, other: str) -> bool:
        try:
            verdicts = await all_of(
                self._with_retries(question, *order) for order in ((one, other), (other, one))
            )
        except EndpointError:
            verdicts = [None]
        self.unknown += None in verdicts
        return all(verdicts)

    async def _with_retries(self, question: str, one: str, other: str) -> bool | None:
        retrying = retries(_ATTEMPTS, longest_wait=self._settings.llm_timeout_seconds)
        return await retrying(self._ask, question, one, other)

    async def _ask(self, question: str, one: str, other: str) -> bool | None:
        """The model's verdict, None if it gives none."""
        body = {
            "model": self.model,
            "messages": [
                {
                    "role": "user",
                    "content": _PROMPT.format(question=question, one=one, other=other),
                }
            ],
            "temperature": 0.0,
            "max_tokens": _MAX_TOKENS,
        }
        async with self._limiter:
            url = f"{self._address.base}/chat/completions"
            reply = await self._http.json("POST", url, _Reply, body)
        self.requests += 1
        if reply.usage is not None:
            usage = reply.usage
            self.tokens += (usage.prompt_tokens or 0) + (usage.completion_tokens or 0)
        return _verdict(reply.choices[0].message.content or "" if reply.choices else "")


class AnswersOf:
    """The answers to one question, compared by meaning; see `orchestrator.answers.equality.Equality`."""

    def __init__(self, client: SameAnswerClient, question: str) -> None:
        self._client = client
        self._question = question

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are spelled alike, or the model holds them to mean the same."""
        one, other = trim_answer(one), trim_answer(other)
        if one.casefold() == other.casefold():
            return True
        return bool(one and other) and await self._client.same(self._question, one, other)


def _verdict(reply: str) -> bool | None:
    """The first word behind the model's thoughts: True for yes, False for no."""
    words = reply.rpartition("</think>")[2].split(maxsplit=1)
    word = words[0].strip("*.,:;!\"'`").casefold() if words else ""
    return {"yes": True, "no": False}.get(word)

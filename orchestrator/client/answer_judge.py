"""Whether two answers mean the same, decided by a chat model: for answers that no rule can compare.

Two answers are the same only if the model says yes in both orders. A model that fails or says neither yes nor no
leaves a pair unknown: it counts as different, and unknown pairs are counted.
"""

from collections.abc import Mapping, Sequence

import msgspec

from orchestrator.client.endpoint import RequestClient, all_of
from orchestrator.client.judge.client import KEY_NAME
from orchestrator.client.usage import Usage
from orchestrator.core.answer import trim_answer
from orchestrator.errors import EndpointError
from orchestrator.settings import AnswerSettings

__all__ = ["AnswerJudgeClient", "JudgedEquality"]

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
_CONCURRENCY = 8


class _Message(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: Sequence[_Choice]
    usage: Usage | None = None


class AnswerJudgeClient(RequestClient):
    """One chat endpoint, as an async context manager; call `probe` first. Each pair is asked about once.

    `requests` were answered and cost `tokens` (prompt and reply); `unknown` pairs got no clear verdict.
    """

    def __init__(
        self,
        settings: AnswerSettings,
        url: str,
        api_key: str | None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(
            url,
            api_key=api_key,
            key_name=KEY_NAME,
            timeout_seconds=settings.llm_timeout_seconds,
            concurrency=_CONCURRENCY,
            max_attempts=_ATTEMPTS,
            headers=headers,
        )
        self.requests = 0
        self.tokens = 0
        self.unknown = 0
        self.model = ""
        self._settings = settings
        self._known: dict[tuple[str, frozenset[str]], bool | None] = {}

    async def probe(self) -> None:
        """Finds the model and asks it one question; raises EndpointError or ConfigError if it cannot be asked."""
        served = await self.find_model(self._settings.llm_model, "answers.llm_model")
        self.model = served.name
        with self.explained():
            await self._ask("Is it raining?", "yes", "yes, it is")

    async def same(self, question: str, one: str, other: str) -> bool | None:
        """Whether the model says, in both orders, that the answers to `question` mean the same; None if it says neither."""
        pair = (question, frozenset((one, other)))
        if pair not in self._known:
            self._known[pair] = await self._both_orders(question, one, other)
        return self._known[pair]

    async def _both_orders(self, question: str, one: str, other: str) -> bool | None:
        try:
            verdicts = await all_of(
                self._retries()(self._ask, question, *order)
                for order in ((one, other), (other, one))
            )
        except EndpointError:
            verdicts = [None]
        self.unknown += None in verdicts
        return None if None in verdicts else all(verdicts)

    async def _ask(self, question: str, one: str, other: str) -> bool | None:
        """The model's verdict; None if it says neither yes nor no."""
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
        async with self._slots:
            url = f"{self.address.base}/chat/completions"
            reply = await self._http.json("POST", url, _Reply, body)
        self.requests += 1
        if reply.usage is not None:
            self.tokens += (reply.usage.prompt or 0) + (reply.usage.completion or 0)
        return _verdict(reply.choices[0].message.content or "" if reply.choices else "")


class JudgedEquality:
    """Compares the answers to one question by meaning; see `orchestrator.answers.equality.Equality`."""

    def __init__(self, client: AnswerJudgeClient, question: str) -> None:
        self.undecided = 0
        self._client = client
        self._question = question

    @property
    def why_undecided(self) -> str:
        """Says that the model gave no verdict."""
        return f"the chat model {self._client.model} said neither yes nor no"

    async def equal(self, one: str, other: str) -> bool:
        """Whether the answers are spelled alike, or the model says that they mean the same."""
        one, other = trim_answer(one), trim_answer(other)
        if one.casefold() == other.casefold():
            return True
        if not one or not other:
            return False
        verdict = await self._client.same(self._question, one, other)
        self.undecided += verdict is None
        return bool(verdict)


def _verdict(reply: str) -> bool | None:
    """The first word after the model's reasoning: True for yes, False for no."""
    words = reply.rpartition("</think>")[2].split(maxsplit=1)
    word = words[0].strip("*.,:;!\"'`").casefold() if words else ""
    return {"yes": True, "no": False}.get(word)

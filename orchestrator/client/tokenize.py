"""vLLM's /tokenize: chats rendered to token ids, and texts tokenised with a cache."""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from orchestrator.client.http import HttpClient
from orchestrator.client.retry import retries
from orchestrator.core.prompting import Message
from orchestrator.errors import EndpointRejected

__all__ = ["ServerTokenizer", "Tokenized"]

CACHED_TEXTS = 8192
"""Segments of at most a few thousand tokens each: tens of megabytes."""


_ATTEMPTS = 3
_LONGEST_WAIT_SECONDS = 5.0


class Tokenized(msgspec.Struct, frozen=True):
    """Token ids, and the model's context in tokens where the server tells it."""

    tokens: tuple[int, ...]
    max_model_len: int | None = None


class ServerTokenizer:
    """Token ids from the server's own tokenizer."""

    def __init__(self, http: HttpClient, model: str) -> None:
        self._http = http
        self._model = model
        self._texts: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    async def chat(
        self, messages: Sequence[Message], arguments: Mapping[str, Any] | None = None
    ) -> Tokenized:
        """The rendered chat, up to the start of the assistant's turn; `arguments` are those of the chat template.

        Raises EndpointRejected if it has no tokens.
        """
        form: dict[str, Any] = {"messages": messages, "add_generation_prompt": True}
        return await self._request(
            form | ({"chat_template_kwargs": arguments} if arguments else {})
        )

    async def text(self, text: str) -> tuple[int, ...]:
        """The ids of `text`, without special tokens around it; cached. Raises EndpointRejected if there are none."""
        if (known := self._texts.get(text)) is not None:
            self._texts.move_to_end(text)
            return known
        found = await self._request({"prompt": text, "add_special_tokens": False})
        self._texts[text] = found.tokens
        if len(self._texts) > CACHED_TEXTS:
            self._texts.popitem(last=False)
        return found.tokens

    async def _request(self, form: dict[str, Any]) -> Tokenized:
        """Asks again after a fault, which would be taken for a server that cannot tokenise."""
        return await retries(_ATTEMPTS, longest_wait=_LONGEST_WAIT_SECONDS)(self._ask, form)

    async def _ask(self, form: dict[str, Any]) -> Tokenized:
        url = f"{self._http.address.root}/tokenize"
        found = await self._http.json("POST", url, Tokenized, {"model": self._model, **form})
        if (
            not found.tokens and form.get("prompt") != ""
        ):  # some servers ignore fields they do not know
            raise EndpointRejected(f"{url} answers without tokens, so it cannot tokenise.", 404)
        return found

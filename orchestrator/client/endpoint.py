"""What all clients of one endpoint share: connections that live as long as an `async with` block.

The rule: whatever a client opens later it gives to `_exit`, so that one way out closes everything.

The `openai` client, where compatibility matters more than speed: the list of models and the judge's logprobs.

The rule: it is imported only when a server is asked, so that `--help` stays fast, and its exceptions end
here. Retries are ours, so its own are off.
"""

from collections.abc import Awaitable
from contextlib import AsyncExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import msgspec

from orchestrator.client.http import Address, HttpClient, decode_answer, unreachable
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken

if TYPE_CHECKING:
    from openai import AsyncOpenAI
    from openai._legacy_response import LegacyAPIResponse

__all__ = [
    "Connected",
    "ServedModel",
    "find_model",
    "is_refusal_of_form",
    "open_sdk",
    "sdk_json",
]


class Connected:
    """An async context manager around the session with one server."""

    def __init__(self, http: HttpClient) -> None:
        self._http = http
        self._exit = AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._http.open()
        self._exit.push_async_callback(self._http.close)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._exit.aclose()


T = TypeVar("T")


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers; `max_model_len` is its context in tokens where the server tells."""

    name: str
    owner: str | None
    max_model_len: int | None


def open_sdk(
    address: Address, api_key: str | None, *, timeout_seconds: float, connect_seconds: float
) -> "AsyncOpenAI":
    """A client for one server; the caller closes it.

    Without a key it sends a placeholder: the SDK would otherwise take OPENAI_API_KEY from the environment
    and show the reasoner's key to the judge's server.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient, Timeout

    return AsyncOpenAI(
        base_url=address.base,
        api_key=api_key or "none",
        timeout=Timeout(timeout_seconds, connect=min(connect_seconds, timeout_seconds)),
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(trust_env=False),
    )


async def sdk_json(http: HttpClient, call: Awaitable["LegacyAPIResponse[Any]"], kind: type[T]) -> T:
    """The answer to a `with_raw_response` call, its exceptions translated as those of `http` are.

    It is decoded here because the SDK takes answers of any form for what it asked for.
    """
    import openai

    try:
        answer = await call
    except openai.APIStatusError as error:
        retry_after = error.response.headers.get("Retry-After")
        raise http.rejection(error.status_code, error.response.text, retry_after) from None
    except openai.APIConnectionError as error:
        reason = type(error.__cause__ or error).__name__
        if reason in ("ConnectError", "ConnectTimeout"):
            raise unreachable(http.address, "the connection failed") from None
        if isinstance(error, openai.APITimeoutError):
            raise StreamBroken(f"{http.address} did not answer in time.") from None
        raise StreamBroken(f"{http.address} broke off the answer ({reason}).") from None
    return decode_answer(str(http.address), answer.http_response.content, kind)


class _Card(msgspec.Struct):
    id: str
    owned_by: str | None = None
    max_model_len: int | None = None


class _Cards(msgspec.Struct):
    data: list[_Card]


async def find_model(
    http: HttpClient, sdk: "AsyncOpenAI", wanted: str | None, flag: str
) -> ServedModel:
    """The configured model, or the only one served.

    Raises EndpointRejected when `wanted` is not served, ConfigError when there are several to choose from;
    `flag` is the setting that the remedy names.
    """
    listed = await sdk_json(http, sdk.models.with_raw_response.list(), _Cards)
    cards = {card.id: card for card in listed.data}
    names = ", ".join(cards) or "none"
    if wanted is not None and wanted not in cards:
        raise EndpointRejected(
            f"{http.address} does not serve the model {wanted!r}; it serves: {names}. "
            f"Set {flag} to one of these.",
            404,
        )
    if not cards:
        raise EndpointRejected(f"{http.address} lists no model: is it still loading?", 404)
    if wanted is None and len(cards) > 1:
        raise ConfigError(
            f"{http.address} serves several models: {names}. Set {flag} to one of these."
        )
    card = cards[wanted or next(iter(cards))]
    return ServedModel(name=card.id, owner=card.owned_by, max_model_len=card.max_model_len)


def is_refusal_of_form(error: EndpointError) -> bool:
    """Whether the server does not know this kind of request or one of its fields, and another may do."""
    return isinstance(error, EndpointRejected) and error.status in (400, 404, 405, 415, 422, 501)

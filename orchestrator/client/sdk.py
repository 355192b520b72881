"""The `openai` client, where compatibility matters more than speed: the list of models and the judge's logprobs.

The rule: it is imported only when a server is asked, so that `--help` stays fast, and its exceptions end
here. Retries are ours, so its own are off.
"""

from collections.abc import Awaitable
from typing import TYPE_CHECKING, TypeVar

import msgspec

from orchestrator.client.http import Address, HttpClient, unreachable
from orchestrator.errors import ConfigError, EndpointError, EndpointRejected, StreamBroken

if TYPE_CHECKING:
    from openai import AsyncOpenAI

__all__ = ["ServedModel", "find_model", "open_sdk", "sdk_call"]

T = TypeVar("T")


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers; `max_model_len` is its context in tokens where the server tells."""

    name: str
    owner: str | None
    max_model_len: int | None


def open_sdk(address: Address, api_key: str | None, timeout_seconds: float) -> "AsyncOpenAI":
    """A client for one server; the caller closes it.

    Without a key it sends a placeholder: the SDK would otherwise take OPENAI_API_KEY from the environment
    and show the reasoner's key to the judge's server.
    """
    from openai import AsyncOpenAI, DefaultAsyncHttpxClient

    return AsyncOpenAI(
        base_url=address.base,
        api_key=api_key or "none",
        timeout=timeout_seconds,
        max_retries=0,
        http_client=DefaultAsyncHttpxClient(trust_env=False),
    )


async def sdk_call(http: HttpClient, call: Awaitable[T]) -> T:
    """The SDK's answer, its exceptions translated as those of `http` are."""
    import openai

    try:
        return await call
    except openai.APITimeoutError:
        raise StreamBroken(f"{http.address} did not answer in time.") from None
    except openai.APIStatusError as error:
        retry_after = error.response.headers.get("Retry-After")
        raise http.rejection(error.status_code, error.response.text, retry_after) from None
    except openai.APIConnectionError as error:
        reason = type(error.__cause__ or error).__name__
        if reason in ("ConnectError", "ConnectTimeout"):
            raise unreachable(http.address, "connection failed") from None
        raise StreamBroken(f"{http.address} broke off the answer ({reason}).") from None
    except (openai.OpenAIError, ValueError) as error:
        raise StreamBroken(
            f"{http.address} gave an answer that cannot be read ({type(error).__name__}).", "decode"
        ) from None


async def find_model(
    http: HttpClient, sdk: "AsyncOpenAI", wanted: str | None, flag: str
) -> ServedModel:
    """The configured model, or the only one served.

    Raises EndpointRejected when `wanted` is not served, ConfigError when there are several to choose from;
    `flag` is the setting that the remedy names.
    """
    page = await sdk_call(http, sdk.models.list())
    models = {model.id: model for model in page.data or ()}
    names = ", ".join(models) or "none"
    if wanted is not None and wanted not in models:
        raise EndpointRejected(
            f"{http.address} does not serve the model {wanted!r}; it serves: {names}. "
            f"Set {flag} to one of these.",
            404,
        )
    if not models:
        raise EndpointRejected(f"{http.address} lists no model: is it still loading?", 404)
    if wanted is None and len(models) > 1:
        raise ConfigError(
            f"{http.address} serves several models: {names}. Set {flag} to one of these."
        )
    model = models[wanted or next(iter(models))]
    length = (model.model_extra or {}).get("max_model_len")
    return ServedModel(
        name=model.id,
        owner=getattr(model, "owned_by", None),
        max_model_len=length if isinstance(length, int) else None,
    )


def is_refusal_of_form(error: EndpointError) -> bool:
    """Whether the server does not know this kind of request or one of its fields, and another may do."""
    return isinstance(error, EndpointRejected) and error.status in (400, 404, 405, 415, 422, 501)

"""Settings that are mappings: further fields of a request, arguments of the chat template, headers."""

import json
import re
from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from orchestrator.settings.section import LOCATION, SECRET

__all__ = ["ExtraFields", "Headers", "TemplateArguments"]

_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_OWN_HEADERS = (
    "accept-encoding",
    "connection",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
)
"""Headers that belong to the connection and the form of a request."""

_ELSEWHERE: Final = {
    "chat_template_kwargs": "sampling.chat_template_kwargs",
    "max_completion_tokens": "sampling.max_tokens",
    "max_tokens": "sampling.max_tokens",
    "min_p": "sampling.min_p",
    "model": "endpoint.model",
    "temperature": "sampling.temperature",
    "top_k": "sampling.top_k",
    "top_p": "sampling.top_p",
}
_UNUSABLE: Final = {
    "best_of": "one of several texts of a request cannot be stopped",
    "echo": "the question would count as the trace",
    "logprobs": "they are asked for where the policy or the vote needs them",
    "messages": "the question is sent there",
    "n": "one of several texts of a request cannot be stopped",
    "prompt": "the question is sent there",
    "return_token_ids": "it is asked for where the server can",
    "seed": "with one seed all traces are equal",
    "stream": "traces are always streamed",
    "stream_options": "usage is asked for where the server can",
    "top_logprobs": "they are asked for where the policy or the vote needs them",
}


def _plain(value: Any) -> Any:
    """A mapping as JSON holds it, so that a run reads its own settings again; nulls are left out."""
    if value is None:
        return {}
    if not isinstance(value, Mapping):
        raise PydanticCustomError("mapping", "not a mapping")
    try:
        content = json.loads(json.dumps(dict(value), allow_nan=False))
    except (TypeError, ValueError) as error:
        raise ValueError("must hold texts, numbers, truth values, lists and mappings") from error
    return {name: each for name, each in content.items() if each is not None}


def _extra_fields(fields: dict[str, Any]) -> dict[str, Any]:
    for name in fields:
        if name in _ELSEWHERE:
            raise ValueError(f"must not hold {name}, which is set with {_ELSEWHERE[name]}")
        if name in _UNUSABLE:
            raise ValueError(f"must not hold {name}: {_UNUSABLE[name]}")
    if fields.get("stop") and fields.get("include_stop_str_in_output") is False:
        raise ValueError(
            "must not leave out stop texts: the text that is held back for them would be lost in a pause"
        )
    return fields


def _headers(headers: dict[str, Any]) -> dict[str, str]:
    """The headers, with texts that a request can carry. No error shows a value."""
    return {name: _header(name, value) for name, value in headers.items()}


def _header(name: str, value: Any) -> str:
    if not _HEADER_NAME.fullmatch(name):
        raise ValueError("must hold names of HTTP headers, such as X-Team")
    if name.lower() in _OWN_HEADERS:
        raise ValueError(f"must not hold {name}, which belongs to the request itself")
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise ValueError(f"must hold a text for {name}")
    text = str(value).strip()
    if not text or not all(_can_be_sent(ord(character)) for character in text):
        raise ValueError(f"holds a text for {name} that no HTTP header can carry")
    return text


def _can_be_sent(code: int) -> bool:
    """Whether a header can carry the character (RFC 9110, section 5.5)."""
    return 0x20 <= code < 0x7F or 0xA0 <= code <= 0xFF


ExtraFields = Annotated[dict[str, Any], AfterValidator(_extra_fields), BeforeValidator(_plain)]
TemplateArguments = Annotated[dict[str, Any], BeforeValidator(_plain)]
Headers = Annotated[
    dict[str, Any],
    AfterValidator(_headers),
    BeforeValidator(_plain),
    LOCATION,
    SECRET,
    Field(
        exclude=True,
        repr=False,
        description="sent with every request; may hold keys, so they are never written into a run, and --resume takes them anew",
    ),
]
"""Sent with every request to a server. They may hold keys: they are never written anywhere."""

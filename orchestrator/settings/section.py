"""What every section of the settings shares: strictness, the types of values, the mark of locations."""

import re
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
)
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

__all__ = [
    "LOCATION",
    "SECRET",
    "HeaderName",
    "Number",
    "OptionalNumber",
    "OptionalUrls",
    "OptionalWhole",
    "Pattern",
    "Probability",
    "Section",
    "Template",
    "Texts",
    "Url",
    "Urls",
    "Whole",
    "Words",
    "is_location",
    "is_secret",
]


class _Location:
    """The type of `LOCATION`."""


LOCATION: Final = _Location()
"""Marks a setting that says where a server or a folder is, what is checked at the start or what runs side by side,
and not how the run decides.

Two runs that differ in marked settings only are the same run: it may continue on servers that have moved.
"""


class _Secret:
    """The type of `SECRET`."""


SECRET: Final = _Secret()
"""Marks a setting that may hold keys: no message shows its value, and it is left out wherever settings are written."""


def is_secret(field: FieldInfo) -> bool:
    """Whether the field is marked with `SECRET`."""
    return any(isinstance(mark, _Secret) for mark in field.metadata)


def is_location(field: FieldInfo) -> bool:
    """Whether the field is marked with `LOCATION`."""
    return any(isinstance(mark, _Location) for mark in field.metadata)


class Section(BaseModel):
    """A frozen model that refuses unknown keys and infinite numbers."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def _no_truth_value(value: Any) -> Any:
    """YAML's `yes` and `true` would pass as the number 1."""
    if isinstance(value, bool):
        raise PydanticCustomError("not_a_truth_value", "not a truth value")
    return value


def _http_url(url: str) -> str:
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address such as http://gpu:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or password; keys are read from the environment")
    return url


def _one_or_several(urls: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
    """The addresses; a list of one is that one, an empty list none."""
    if urls is None or isinstance(urls, str):
        return None if urls is None else _http_url(urls)
    checked = tuple(_http_url(url) for url in urls)
    if len(checked) > 1:
        return checked
    return checked[0] if checked else None


def _pattern(regex: str) -> str:
    try:
        re.compile(regex)
    except re.error as error:
        raise ValueError(f"must be a regular expression ({error})") from error
    return regex


def _with_trace(template: str) -> str:
    if "{trace}" not in template:
        raise ValueError("must contain {trace}")
    return template


def _as_list(value: Any) -> Any:
    """A single text where a list of texts is wanted, so that `--set endpoint.urls=URL` works."""
    return (value,) if isinstance(value, str) else value


Url = Annotated[str, AfterValidator(_http_url)]
OptionalUrls = Annotated[str | tuple[str, ...] | None, AfterValidator(_one_or_several)]
"""No address, one (a text), or several (a list)."""
Urls = Annotated[tuple[Url, ...], BeforeValidator(_as_list)]
Words = Annotated[tuple[Annotated[str, Field(pattern=r"^\w+$")], ...], BeforeValidator(_as_list)]
Texts = Annotated[tuple[str, ...], BeforeValidator(_as_list)]
Pattern = Annotated[str, AfterValidator(_pattern)]
HeaderName = Annotated[str, Field(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$")]
Template = Annotated[str, AfterValidator(_with_trace)]
Whole = Annotated[int, BeforeValidator(_no_truth_value)]
Number = Annotated[float, BeforeValidator(_no_truth_value)]
OptionalWhole = Annotated[int | None, BeforeValidator(_no_truth_value)]
OptionalNumber = Annotated[float | None, BeforeValidator(_no_truth_value)]
Probability = Annotated[float, Field(ge=0.0, le=1.0), BeforeValidator(_no_truth_value)]

"""Which model a server is asked for, by what it lists under /v1/models: a list that many servers write in their own way."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

import msgspec

from orchestrator.client.messages import one_line
from orchestrator.errors import ConfigError, EndpointRejected

__all__ = ["MAX_LIST_BYTES", "Choice", "ServedModel", "choose_model", "models_in"]

MAX_LIST_BYTES = 4 * 2**20
"""The lists of the largest gateways have less than 1 MiB."""

_MOST_NAMES = 10
_MOST_NAME_CHARS = 100
_LONGEST_NAME = 500
_MOST_CONTEXT = 10**9  # tokens; more is no context


class ServedModel(msgspec.Struct, frozen=True, kw_only=True):
    """A model that a server offers; `max_model_len` is its context in tokens where the server tells."""

    name: str
    owner: str | None = None
    max_model_len: int | None = None


class Choice(NamedTuple):
    """The model that is asked for, and a sentence if the server does not list it."""

    model: ServedModel
    note: str | None = None


def models_in(answer: Any) -> list[ServedModel]:
    """The models in an answer of /v1/models: a list, or an object with one; entries that name none are left out."""
    if isinstance(answer, dict):
        answer = answer.get("data") or answer.get("models")
    entries = answer if isinstance(answer, list) else []
    return [model for entry in entries if (model := _model(entry)) is not None]


def choose_model(
    server: str,
    listed: Sequence[ServedModel],
    wanted: str | None,
    *,
    setting: str,
    secrets: Sequence[str] = (),
) -> Choice:
    """The model `wanted`, also where it is not listed, or the only one that is.

    A gateway may list patterns, such as `*` or `openai/*`.

    Raises:
        ConfigError: there are several to choose from, or only patterns.
        EndpointRejected: none is listed, and none is wanted.
    """
    named = [model for model in listed if "*" not in model.name]
    shown = _names(listed, secrets)
    if wanted is not None:
        for model in listed:
            if model.name == wanted:
                return Choice(model)
        asked = ServedModel(name=wanted)
        if any(fnmatchcase(wanted, model.name) for model in listed):
            return Choice(asked)
        return Choice(
            asked,
            f"{server} does not list the model {wanted!r} and is asked for it nevertheless; it lists: {shown}.",
        )
    if not listed:
        raise EndpointRejected(
            f"{server} lists no model; wait until it has loaded one, or set {setting} to its name.",
            404,
        )
    if len(named) != 1:
        raise ConfigError(
            f"{server} serves several models: {shown}. Set {setting} to one of these."
        )
    return Choice(named[0])


def _model(entry: Any) -> ServedModel | None:
    if isinstance(entry, str):
        entry = {"id": entry}
    if not isinstance(entry, dict):
        return None
    name = entry.get("id") or entry.get("name") or entry.get("model")
    if not isinstance(name, str) or len(name) > _LONGEST_NAME:
        return None
    owner, length = entry.get("owned_by"), entry.get("max_model_len")
    return ServedModel(
        name=name,
        owner=one_line(owner, limit=_MOST_NAME_CHARS) if isinstance(owner, str) else None,
        max_model_len=length if type(length) is int and 0 < length <= _MOST_CONTEXT else None,
    )


def _names(models: Sequence[ServedModel], secrets: Sequence[str]) -> str:
    names = [one_line(model.name, secrets, _MOST_NAME_CHARS) for model in models[:_MOST_NAMES]]
    if len(models) > _MOST_NAMES:
        names.append(f"and {len(models) - _MOST_NAMES:,} more")
    return ", ".join(names) or "none"

"""What is wrong with a setting, in one sentence: its path, its value, where that came from, what is allowed.

The words are derived from the models, so a new setting needs no new message.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from orchestrator.settings.section import is_secret

__all__ = ["Leaf", "explain", "foreign_setting", "leaves", "one_line", "unknown_key"]

_SHOWN_CHARS = 80


class Leaf(NamedTuple):
    """A setting: the models that hold it (several where a section is one of several models), and its name."""

    owners: tuple[type[BaseModel], ...]
    name: str

    @property
    def alternatives(self) -> list[dict[str, Any]]:
        """The JSON schemas of the values it may have."""
        found: list[dict[str, Any]] = []
        for owner in self.owners:
            schema = _properties(owner)[self.name]
            found += [each for each in schema.get("anyOf", [schema]) if each not in found]
        return found

    @property
    def is_text(self) -> bool:
        """Whether its value is free text, and not also a list."""
        kinds = {option.get("type") for option in self.alternatives if not _choices(option)}
        return "string" in kinds and "array" not in kinds

    @property
    def is_mapping(self) -> bool:
        """Whether its value is a mapping, whose keys are not settings of their own."""
        return any(option.get("type") == "object" for option in self.alternatives)

    @property
    def is_secret(self) -> bool:
        """Whether no message may show its value."""
        return any(is_secret(owner.model_fields[self.name]) for owner in self.owners)

    @property
    def allowed(self) -> str:
        """What its value may be, in words."""
        choices = [choice for option in self.alternatives for choice in _choices(option)]
        others = [_kind(option) for option in self.alternatives if not _choices(option)]
        listed = ["one of " + ", ".join(choices)] if choices else []
        return " or ".join(dict.fromkeys(listed + others))

    def tags(self, discriminator: str) -> list[str]:
        """The values of the key `discriminator` that choose a model with this setting."""
        return [tag for owner in self.owners for tag in _tags(owner, discriminator)]


@cache
def _properties(model: type[BaseModel]) -> Mapping[str, Any]:
    """The JSON schemas of a model's fields; pydantic takes 5 ms for each model that it describes."""
    properties: Mapping[str, Any] = model.model_json_schema()["properties"]
    return properties


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Leaf]:
    """Every setting of a tree of models, by dotted path."""
    found: dict[str, Leaf] = {}
    for name, field in model.model_fields.items():
        sections = _sections(field)
        if not sections:
            found[prefix + name] = Leaf((model,), name)
        for section in sections:
            for path, leaf in leaves(section, f"{prefix}{name}.").items():
                owners = found[path].owners if path in found else ()
                found[path] = Leaf((*owners, *leaf.owners), leaf.name)
    return found


def _sections(field: FieldInfo) -> tuple[type[BaseModel], ...]:
    """The models that a field's value can be; empty for a field that is a setting."""
    kinds = get_args(field.annotation) if field.discriminator else (field.annotation,)
    return tuple(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, BaseModel))


def unknown_key(path: str, origin: str, known: Iterable[str]) -> str:
    """One sentence about a key that does not exist, with the nearest that does."""
    known = tuple(known)
    inside = [name.removeprefix(path + ".") for name in known if name.startswith(path + ".")]
    if inside:
        return f"'{path}' (from {origin}) is a section; set one of its keys: {', '.join(inside)}."
    sentence = f"Unknown setting '{path}' (from {origin}); the nearest valid key is '{_nearest(path, known)}'"
    if path.endswith(("api_key", "password", "secret")):
        return (
            sentence + ", and keys are read from OPENAI_API_KEY, DEEPPRUNE_JUDGE_API_KEY and "
            "DEEPPRUNE_REWARD_API_KEY."
        )
    return sentence + "."


def foreign_setting(path: str, origin: str, chosen: str, owners: Sequence[str]) -> str:
    """One sentence about a setting that `owners` have and the `chosen` one has not."""
    listed = ", ".join(owners[:-1]) + " and " + owners[-1] if len(owners) > 1 else owners[0]
    knows, remedy = ("knows", "that policy") if len(owners) == 1 else ("know", "one of those")
    return (
        f"{path} (from {origin}) is not a setting of {chosen}; {listed} {knows} it. "
        f"Choose {remedy} or leave {path.rpartition('.')[2]} out."
    )


def explain(
    error: ValidationError, model: type[BaseModel], origins: Mapping[str, str], elsewhere: str
) -> str:
    """The first problem that validating `model` met, in one sentence.

    `origins` says where the value at each path came from; `elsewhere` stands for all other paths.
    """
    problem = error.errors(include_url=False)[0]
    tree = leaves(model)
    place = _locate(problem, model)
    path = place.path
    origin = origins.get(path, elsewhere)
    reason = one_line(problem.get("ctx", {}).get("error", ""))
    if not path:
        return f"{origin} cannot be used: {reason or one_line(problem['msg'])}."
    if problem["type"] == "missing":
        return f"'{path}' is missing in {origin}; add it."
    if path not in tree:
        return unknown_key(path, origin, tree)
    if problem["type"] == "extra_forbidden":
        return foreign_setting(path, origin, place.tag, tree[path].tags(place.discriminator))
    leaf = tree[path] if place.owner is None else Leaf((place.owner,), tree[path].name)
    demand = reason or f"must be {leaf.allowed}"
    if leaf.is_secret:
        return f"{path} (from {origin}) {demand}."
    return f"{path} is {_shown(place.value)} (from {origin}), but {demand}."


class _Place(NamedTuple):
    """Where a problem is.

    `path` is dotted, `value` what stands there, and `owner` the model that holds it (None where the problem is that no
    model could be chosen). Inside one of several models, `tag` is the value of the key `discriminator` that chose it.
    """

    path: str
    value: Any
    owner: type[BaseModel] | None
    discriminator: str = ""
    tag: str = ""


def _locate(problem: ErrorDetails, model: type[BaseModel]) -> _Place:
    """Follows a problem's location through the models; the tags in it are no part of the path."""
    path: list[str] = []
    owner, discriminator, tag = model, "", ""
    location = iter([str(part) for part in problem["loc"]])
    for name in location:
        path.append(name)
        field = owner.model_fields.get(name)
        sections = () if field is None else _sections(field)
        if field is None or not sections:
            break
        if isinstance(field.discriminator, str):
            discriminator, tag = field.discriminator, next(location, "")
            if not tag and isinstance(problem["input"], Mapping):
                value = problem["input"].get(discriminator)
                return _Place(".".join([*path, discriminator]), value, None)
            sections = tuple(each for each in sections if tag in _tags(each, discriminator))
        owner = sections[0] if sections else owner
    return _Place(".".join(path), problem["input"], owner, discriminator, tag)


def _tags(model: type[BaseModel], discriminator: str) -> tuple[str, ...]:
    return get_args(model.model_fields[discriminator].annotation)


def one_line(error: object) -> str:
    """An exception's text on one line, without its final period."""
    return " ".join(str(error).split()).rstrip(".")


def _choices(option: Mapping[str, Any]) -> list[str]:
    """The values that a schema lists; empty for one that does not."""
    listed = option.get("enum", [option["const"]] if "const" in option else [])
    return [str(value) for value in listed]


def _kind(option: Mapping[str, Any]) -> str:
    kind = option.get("type", "")
    if kind == "integer":
        return "a whole number" + _range(option)
    if kind == "number":
        return "a number" + _range(option)
    if kind == "array":
        return "a list of texts" + (" that is not empty" if option.get("minItems") else "")
    names: dict[str, str] = {"string": "text", "boolean": "true or false", "object": "a mapping"}
    return names.get(kind, str(kind))


def _range(option: Mapping[str, Any]) -> str:
    """The bounds of a number: " from 0 to 1", " above 0 and of at most 1", " of at least 1"."""
    if "minimum" in option and "maximum" in option:
        return f" from {option['minimum']:g} to {option['maximum']:g}"
    words = {
        "minimum": "of at least",
        "exclusiveMinimum": "above",
        "maximum": "of at most",
        "exclusiveMaximum": "below",
    }
    bounds = [f"{word} {option[name]:g}" for name, word in words.items() if name in option]
    return " " + " and ".join(bounds) if bounds else ""


def _nearest(path: str, known: Sequence[str]) -> str:
    """The known path most like `path`; one with the same last part goes before all others."""
    last = path.rpartition(".")[2]
    for name in known:
        if name.rpartition(".")[2] == last:
            return name
    return difflib.get_close_matches(path, known, n=1, cutoff=0.0)[0]


def _shown(value: Any) -> str:
    """`value` for an error message: short, on one line, without a password inside a URL."""
    names = {None: "null", True: "true", False: "false"}
    spelled = names.get(value) if value is None or isinstance(value, bool) else repr(value)
    text = re.sub(r"//[^/@\s]*@", "//…@", str(spelled))
    return text if len(text) <= _SHOWN_CHARS else text[:_SHOWN_CHARS] + "…"

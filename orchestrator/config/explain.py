"""What is wrong with a setting, in one sentence: its path, its value, where that came from, what is allowed.

The rule: the words are derived from the models, so a new setting needs no new message.
"""

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

__all__ = ["Leaf", "explain", "leaves", "one_line", "unknown_key"]

_SHOWN_CHARS = 80


class Leaf(NamedTuple):
    """A setting: the model that holds it, and its name in there."""

    owner: type[BaseModel]
    name: str

    @property
    def alternatives(self) -> list[dict[str, Any]]:
        """The JSON schemas of the values it may have."""
        schema: dict[str, Any] = self.owner.model_json_schema()["properties"][self.name]
        alternatives: list[dict[str, Any]] = schema.get("anyOf", [schema])
        return alternatives

    @property
    def is_text(self) -> bool:
        """Whether its value is free text."""
        return any(o.get("type") == "string" and "enum" not in o for o in self.alternatives)

    @property
    def allowed(self) -> str:
        """What its value may be, in words."""
        return " or ".join(_kind(option) for option in self.alternatives)


def leaves(model: type[BaseModel], prefix: str = "") -> dict[str, Leaf]:
    """Every setting of a tree of models, by dotted path."""
    found: dict[str, Leaf] = {}
    for name, field in model.model_fields.items():
        path = prefix + name
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found |= leaves(field.annotation, path + ".")
        else:
            found[path] = Leaf(model, name)
    return found


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


def explain(
    error: ValidationError, model: type[BaseModel], origins: Mapping[str, str], elsewhere: str
) -> str:
    """The first problem that validating `model` met, in one sentence.

    `origins` says where the value at each path came from; `elsewhere` stands for all other paths.
    """
    problem = error.errors(include_url=False)[0]
    tree = leaves(model)
    loc = [str(part) for part in problem["loc"]]
    path = next(
        (known for end in range(len(loc), 0, -1) if (known := ".".join(loc[:end])) in tree),
        ".".join(loc),
    )
    origin = origins.get(path, elsewhere)
    reason = one_line(problem.get("ctx", {}).get("error", ""))
    if not path:
        return f"{origin} cannot be used: {reason or one_line(problem['msg'])}."
    if problem["type"] == "missing":
        return f"'{path}' is missing in {origin}; add it."
    if path not in tree:
        return unknown_key(path, origin, tree)
    demand = reason or f"must be {tree[path].allowed}"
    return f"{path} is {_shown(problem['input'])} (from {origin}), but {demand}."


def one_line(error: object) -> str:
    """An exception's text on one line, without its final period."""
    return " ".join(str(error).split()).rstrip(".")


def _kind(option: Mapping[str, Any]) -> str:
    if "enum" in option:
        return "one of " + ", ".join(str(value) for value in option["enum"])
    kind = option.get("type", "")
    if kind == "integer":
        return "a whole number" + _range(option)
    if kind == "number":
        return "a number" + _range(option)
    if kind == "array":
        return "a list of texts" + (" that is not empty" if option.get("minItems") else "")
    names: dict[str, str] = {"string": "text", "boolean": "true or false"}
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

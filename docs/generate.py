"""The generated part of the reference pages: a MkDocs hook that replaces `<!-- generated: NAME -->`.

At each build it reads the console scripts' own parsers, the settings models and the structs of the journal and the
report. No page has to be edited when one of them changes.
"""

import argparse
import importlib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn
from unittest import mock

import msgspec

from orchestrator.core import commands, events
from orchestrator.core.judging import JudgeSpec
from orchestrator.report.report import Report
from orchestrator.settings import Settings

__all__ = ["GENERATED", "on_page_markdown", "parsers"]

_ROOT = Path(__file__).parents[1]
_MARKER = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)


def on_page_markdown(markdown: str, **_context: object) -> str:
    """The page with its markers replaced.

    Raises:
        KeyError: a marker names nothing that can be generated.
    """
    return _MARKER.sub(lambda marker: GENERATED[marker[1]](), markdown)


# --- commands ----------------------------------------------------------------------------------------


class _ParserFound(Exception):
    def __init__(self, parser: argparse.ArgumentParser) -> None:
        self.parser = parser


def parsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of every console script by its name, taken where the script would use it."""
    project = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    found = {}
    for name, target in project["scripts"].items():
        module, _, function = target.partition(":")
        with (
            mock.patch("_signal.signal"),  # a program takes Ctrl-C over as soon as it is imported
            mock.patch.object(argparse.ArgumentParser, "parse_args", _raise_parser),
        ):
            main = getattr(importlib.import_module(module), function)
            try:
                main([])
            except _ParserFound as result:
                found[name] = result.parser
    return found


def _raise_parser(parser: argparse.ArgumentParser, *_arguments: object) -> NoReturn:
    raise _ParserFound(parser)


def _commands() -> str:
    return "\n\n".join(
        part for name, parser in parsers().items() for part in _command(name, parser, "##")
    )


def _command(name: str, parser: argparse.ArgumentParser, heading: str) -> Iterator[str]:
    """The sections of a command and of its subcommands, in Markdown."""
    yield f"{heading} {name}"
    yield _described(parser.description or "")
    subcommands: Mapping[str, argparse.ArgumentParser] = {}
    for group in parser._action_groups:
        rows = []
        for action in group._group_actions:
            if isinstance(action, argparse._SubParsersAction):
                subcommands = action.choices
            elif not isinstance(action, argparse._HelpAction | argparse._VersionAction):
                rows.append((f"`{_spelling(action)}`", _meaning(action)))
        if rows:
            yield _table((group.title or "options", "meaning"), rows)
    if parser.epilog:
        yield f"```text\n{parser.epilog.strip()}\n```"
    for subcommand, subparser in subcommands.items():
        yield from _command(f"{name} {subcommand}", subparser, heading + "#")


def _described(description: str) -> str:
    """A description; paragraphs of example commands become code."""
    paragraphs = inspect.cleandoc(description).split("\n\n")
    return "\n\n".join(
        f"```\n{paragraph}\n```" if paragraph.startswith("deepprune-") else paragraph
        for paragraph in paragraphs
    )


def _spelling(action: argparse.Action) -> str:
    """How the argument is written: `--flag VALUE`, or the name of a positional one."""
    if action.nargs == 0:
        return ", ".join(action.option_strings)
    value = action.metavar or "|".join(map(str, action.choices or ()))
    value = value or (action.dest.upper() if action.option_strings else action.dest)
    return " ".join(
        [*([", ".join(action.option_strings)] if action.option_strings else []), str(value)]
    )


def _meaning(action: argparse.Action) -> str:
    notes = [_cell((action.help or "") % vars(action))] if action.help else []
    if action.required and action.option_strings:
        notes.append("required")
    default = action.default
    if default not in (None, False, "", [], argparse.SUPPRESS) and "default" not in (
        action.help or ""
    ):
        shown = "x".join(map(str, default)) if isinstance(default, tuple) else default
        notes.append(f"default: `{shown}`")
    return "; ".join(notes)


# --- settings ----------------------------------------------------------------------------------------


def _settings() -> str:
    schema = Settings.model_json_schema()
    parts = []
    for name, reference in schema["properties"].items():
        section = _resolved(reference, schema)
        parts.append(f"## {name}")
        if "oneOf" in section:
            parts += _variants([_resolved(each, schema) for each in section["oneOf"]], schema, name)
        else:
            parts += [section["description"], _fields(section, schema, prefix=f"{name}.")]
    return "\n\n".join(parts)


def _variants(
    variants: Sequence[Mapping[str, Any]], schema: Mapping[str, Any], section: str
) -> Iterator[str]:
    """The parts of a section whose fields depend on its name: the shared ones, then those of each name."""
    shared = set.intersection(*(set(each["properties"]) for each in variants)) - {"name"}
    first = variants[0]["properties"]
    prefix = f"{section}."
    yield f"`{section}.name` selects one of those below. All have these settings:"
    yield _fields(
        {"properties": {k: v for k, v in first.items() if k in shared}}, schema, prefix=prefix
    )
    for variant in variants:
        own = {k: v for k, v in variant["properties"].items() if k not in shared | {"name"}}
        name = variant["properties"]["name"]
        yield f"### {', '.join(name.get('enum') or [name['const']])}"
        yield variant["description"]
        if own:
            yield _fields({"properties": own}, schema, prefix=prefix)


def _judge() -> str:
    schema = JudgeSpec.model_json_schema()
    return _fields(schema, schema, prefix="")


def _fields(model: Mapping[str, Any], schema: Mapping[str, Any], *, prefix: str) -> str:
    """The table of a model's fields."""
    rows = [
        (
            f"`{prefix}{name}`",
            "required" if name in model.get("required", ()) else f"`{_yaml(field.get('default'))}`",
            _values(field, schema),
            _cell(field.get("description", "")),
        )
        for name, field in model["properties"].items()
    ]
    return _table(("field", "default", "values", "meaning"), rows)


def _resolved(node: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return dict(node)
    return {**schema["$defs"][node["$ref"].rpartition("/")[2]], **node}


def _values(node: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    """What a setting may be, in words."""
    node = _resolved(node, schema)
    for choices in (node.get("anyOf"), node.get("oneOf")):
        if choices:
            return " or ".join(dict.fromkeys(_values(each, schema) for each in choices))
    if "enum" in node:
        return ", ".join(f"`{each}`" for each in node["enum"])
    if node.get("type") == "array":
        return f"list of {_values(node.get('items') or node['prefixItems'][0], schema)}"
    names = {"string": "text", "boolean": "`true`, `false`", "null": "`null`", "object": "section"}
    kind = str(node.get("type", ""))
    return names.get(kind, kind) + _bounds(node)


def _bounds(node: Mapping[str, Any]) -> str:
    words = {
        "exclusiveMinimum": "above",
        "minimum": "at least",
        "exclusiveMaximum": "below",
        "maximum": "at most",
    }
    bounds = [f"{word} {node[key]:g}" for key, word in words.items() if key in node]
    return " " + " and ".join(bounds) if bounds else ""


def _yaml(value: object) -> str:
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, list):
        return "[" + ", ".join(map(str, value)) + "]"
    return str(value) or '""'


# --- journal and report ------------------------------------------------------------------------------


def _journal() -> str:
    derived = typing.get_args(events.DerivedEvent)
    outside = [each for each in typing.get_args(events.Event) if each not in derived]
    ordered = typing.get_args(commands.Command)
    parts = _parts_of([*outside, *derived, *ordered])
    groups = {
        "Events from outside": outside,
        "Derived events": derived,
        "Commands": ordered,
        "Parts of events": parts,
    }
    return "\n\n".join(
        f"## {title}\n\n" + "\n\n".join(_struct(each, "###") for each in structs)
        for title, structs in groups.items()
        if structs
    )


def _report() -> str:
    return "\n\n".join(_struct(each, "##") for each in [Report, *_parts_of([Report])])


def _parts_of(structs: Sequence[type]) -> list[type]:
    """The structs that are fields of these, or of their parts, in the order in which they are met."""
    known, waiting = list(structs), list(structs)
    for struct in waiting:
        for hint in typing.get_type_hints(struct).values():
            for part in _types_in(hint):
                if issubclass(part, msgspec.Struct) and part not in known:
                    known.append(part)
                    waiting.append(part)
    return known[len(structs) :]


def _types_in(hint: Any) -> Iterator[type]:
    """The classes that a type is made of: those of `list[A] | None` are A and NoneType."""
    if inspect.isclass(hint) and typing.get_origin(hint) is None:
        yield hint
    for argument in typing.get_args(hint):
        yield from _types_in(argument)


def _struct(struct: type, heading: str) -> str:
    """A struct: what it says, and a table of its fields."""
    hints = typing.get_type_hints(struct)
    rows = [(f"`{name}`", _type_name(hint)) for name, hint in hints.items()]
    text = f"{heading} {struct.__name__}\n\n{inspect.getdoc(struct) or ''}"
    return f"{text}\n\n{_table(('field', 'value'), rows)}" if rows else text


def _type_name(hint: Any) -> str:
    """A type in words: `list of text`, `integer or null`."""
    words: dict[Any, str] = {
        Any: "any JSON",
        str: "text",
        int: "integer",
        float: "number",
        bool: "`true`, `false`",
        types.NoneType: "`null`",
        Settings: "the [settings](settings.md)",
    }
    arguments = typing.get_args(hint)
    match typing.get_origin(hint):
        case None if hint in words:
            return words[hint]
        case None:
            return f"[{hint.__name__}](#{hint.__name__.lower()})"
        case typing.Literal:
            return ", ".join(f"`{each}`" for each in arguments)
        case types.UnionType | typing.Union:
            return " or ".join(_type_name(each) for each in arguments)
        case origin if issubclass(origin, Mapping):
            return f"object of {_type_name(arguments[1])}"
        case _:
            return f"list of {_type_name(arguments[0])}"


# --- Markdown ----------------------------------------------------------------------------------------


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(text: str) -> str:
    """Plain text for a cell of a table: what Markdown would read as markup is escaped."""
    return re.sub(r"([|*\[\]<>_{}])", r"\\\1", " ".join(text.split()))


GENERATED: Mapping[str, Callable[[], str]] = {
    "commands": _commands,
    "settings": _settings,
    "journal": _journal,
    "report": _report,
    "judge": _judge,
}
"""What a marker may name."""

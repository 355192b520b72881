"""Where settings come from (a YAML file, the environment, --set, flags), as one flat list of assignments.

The rule: every assignment remembers its origin, so that whatever is wrong with it can be said in one
sentence. This module knows no setting by name; the tree is handed to it.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from orchestrator.config.explain import Leaf, explain, leaves, one_line, unknown_key
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings

__all__ = [
    "Assigned",
    "from_environment",
    "from_file",
    "from_flags",
    "from_set",
    "load_settings",
    "nest",
    "read_yaml",
    "resolve",
]

_ENVIRONMENT_PREFIX = "DEEPPRUNE__"
_MAX_YAML_BYTES = 1 << 20
_MAX_YAML_VALUES = 20_000
_OPEN = -1


class Assigned(NamedTuple):
    """A value for the setting at the dotted `path`; `origin` completes "... (from {origin})"."""

    path: str
    value: Any
    origin: str


def from_file(path: Path) -> Iterator[Assigned]:
    """The settings in a YAML file, which may name a part of the tree only."""
    content = read_yaml(path)
    if content is None:
        return
    if not isinstance(content, Mapping):
        raise ConfigError(
            f"{path} must hold sections with settings, such as 'policy: {{tau: 0.5}}'."
        )
    yield from _flatten(content, "", str(path))


def from_environment(environ: Mapping[str, str], tree: Mapping[str, Leaf]) -> Iterator[Assigned]:
    """The settings in variables such as DEEPPRUNE__POLICY__TAU, in the order of their names."""
    for variable in sorted(environ):
        if variable.startswith(_ENVIRONMENT_PREFIX):
            path = variable.removeprefix(_ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield Assigned(path, _value(environ[variable], tree.get(path)), variable)


def from_set(
    assignments: Sequence[str], tree: Mapping[str, Leaf], origin: str = "--set"
) -> Iterator[Assigned]:
    """The settings in `a.b=value` texts, in the order given."""
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        path = path.strip()
        if not equals or not path:
            raise ConfigError(f"--set {assignment} needs the form section.key=value.")
        yield Assigned(path, _value(text, tree.get(path)), origin)


def from_flags(flags: Mapping[str, Any], origin: str = "the command line") -> Iterator[Assigned]:
    """The settings given as flags; None stands for a flag that was not given."""
    for path, value in flags.items():
        if value is not None:
            yield Assigned(path, value, origin)


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as nested mappings, the form in which a tree of models is validated."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *sections, key = path.split(".")
        level = nested
        for section in sections:
            level = level.setdefault(section, {})
        level[key] = value
    return nested


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ConfigError with the file and, for a syntax error, the line."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_YAML_BYTES + 1)
        if len(data) > _MAX_YAML_BYTES:
            raise ConfigError(f"{path} is larger than a megabyte; give a file of settings.")
        return _parse_yaml(data.decode("utf-8-sig"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ConfigError(f"Cannot read {path}: {reason}; check the path.") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 text; save it as UTF-8.") from error
    except yaml.MarkedYAMLError as error:
        raise ConfigError(_syntax_sentence(path, error)) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        too_deep = isinstance(error, RecursionError)
        reason = "it is nested too deeply" if too_deep else one_line(error)
        raise ConfigError(f"{path} is not valid YAML ({reason}).") from error


def _parse_yaml(text: str) -> Any:
    """What a YAML text holds, within limits: aliases may neither recur nor multiply the content.

    Raises yaml.YAMLError, ValueError or RecursionError, as PyYAML does.
    """
    content = yaml.safe_load(text)
    if _size(content, {}) > _MAX_YAML_VALUES:
        raise ValueError("its aliases stand for too many values; write out what is needed")
    return content


def _size(value: Any, known: dict[int, int]) -> int:
    """How many values `value` holds with every alias written out. `known` has the sizes by identity."""
    if not isinstance(value, dict | list | set | tuple):
        return 1
    if known.get(id(value)) == _OPEN:
        raise ValueError("an alias in it stands for a value that holds the alias")
    if id(value) not in known:
        known[id(value)] = _OPEN
        inner = [*value, *value.values()] if isinstance(value, dict) else value
        known[id(value)] = 1 + sum(_size(each, known) for each in inner)
    return known[id(value)]


def _flatten(content: Mapping[Any, Any], prefix: str, origin: str) -> Iterator[Assigned]:
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flatten(value, path + ".", origin)
        elif prefix or value is not None:  # a section without settings is as good as none
            yield Assigned(path, value, origin)


def _value(text: str, leaf: Leaf | None) -> Any:
    """`text` read as YAML, except that a text setting takes anything YAML would not call text as it is."""
    try:
        value = _parse_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    if leaf is not None and leaf.is_text and value is not None and not isinstance(value, str):
        return text
    return value


def _syntax_sentence(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{path}, line {mark.line + 1}" if mark else str(path)
    return f"{where}: not valid YAML ({error.problem or error.context}); mend that line."


def load_settings(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    assignments: Sequence[str],
    flags: Mapping[str, Any],
    flags_origin: str = "the command line",
) -> Settings:
    """The settings of a run: defaults < `file` < `environ` < `assignments` < `flags`.

    Args:
        file: a YAML file that may name a part of the tree.
        environ: variables; only those such as DEEPPRUNE__POLICY__TAU are settings.
        assignments: the texts of --set, such as "policy.tau=0.6".
        flags: values by dotted path; None stands for a flag that was not given.
        flags_origin: what messages call the flags.

    Raises:
        ConfigError: one sentence on the first unknown key or wrong value.
    """
    tree = leaves(Settings)
    return resolve(
        [
            *(from_file(file) if file else ()),
            *from_environment(environ, tree),
            *from_set(assignments, tree),
            *from_flags(flags, flags_origin),
        ]
    )


def resolve(given: Iterable[Assigned]) -> Settings:
    """The settings that `given` say, the later ones before the earlier ones; defaults for the rest.

    Raises:
        ConfigError: one sentence on the first unknown key or wrong value.
    """
    given, tree = list(given), leaves(Settings)
    for assigned in given:
        if assigned.path not in tree:
            raise ConfigError(unknown_key(assigned.path, assigned.origin, tree))
    try:
        return Settings.model_validate(nest({item.path: item.value for item in given}))
    except ValidationError as error:
        origins = {item.path: item.origin for item in given}
        raise ConfigError(explain(error, Settings, origins, "the settings")) from error

"""Where settings come from (a YAML file, the environment, --set, flags), as one flat list of assignments.

Every assignment remembers its origin, so that whatever is wrong with it can be said in one
sentence. This module knows no setting by name.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml
from pydantic import ValidationError

from orchestrator.config.explain import Leaf, explain, leaves, unknown_key
from orchestrator.config.prompts import with_templates
from orchestrator.config.shipped import preset_file
from orchestrator.config.yaml_file import parse_yaml, read_yaml
from orchestrator.errors import ConfigError
from orchestrator.settings import Settings

__all__ = [
    "Assigned",
    "flatten",
    "from_environment",
    "from_file",
    "from_flags",
    "from_set",
    "load_settings",
    "nest",
    "resolve",
]

_ENVIRONMENT_PREFIX = "DEEPPRUNE__"


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
    for name, value in flatten(content):
        if "." in name or value is not None:  # a section without settings is as good as none
            yield Assigned(name, value, str(path))


def from_environment(environ: Mapping[str, str], tree: Mapping[str, Leaf]) -> Iterator[Assigned]:
    """The settings in variables such as DEEPPRUNE__POLICY__TAU, in the order of their names."""
    for variable in sorted(environ):
        if variable.startswith(_ENVIRONMENT_PREFIX):
            path = variable.removeprefix(_ENVIRONMENT_PREFIX).lower().replace("__", ".")
            yield Assigned(path, _value(environ[variable], path, tree), variable)


def from_set(
    assignments: Sequence[str], tree: Mapping[str, Leaf], origin: str = "--set"
) -> Iterator[Assigned]:
    """The settings in `a.b=value` texts, in the order given."""
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        path = path.strip()
        if not equals or not path:
            raise ConfigError(f"--set {assignment} needs the form section.key=value.")
        yield Assigned(path, _value(text, path, tree), origin)


def from_flags(flags: Mapping[str, Any], origin: str = "the command line") -> Iterator[Assigned]:
    """The settings given as flags; None stands for a flag that was not given."""
    for path, value in flags.items():
        if value is not None:
            yield Assigned(path, value, origin)


def nest(values: Mapping[str, Any]) -> dict[str, Any]:
    """Dotted paths as nested mappings, the form in which a tree of models is validated."""
    nested: dict[str, Any] = {}
    for path, value in values.items():
        *sections, key = _parts(path)
        level = nested
        for section in sections:
            level = level.setdefault(section, {})
        level[key] = value
    return nested


def _parts(path: str) -> list[str]:
    """The keys on the way to a setting; a key of a mapping is one part, whatever it contains."""
    mapping = _mapping_of(path)
    return path.split(".") if mapping is None else [*mapping.split("."), path[len(mapping) + 1 :]]


def _mapping_of(path: str) -> str | None:
    """The setting in whose mapping the path names a key."""
    return next((each for each in _mapping_settings() if path.startswith(each + ".")), None)


def flatten(content: Mapping[Any, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Nested mappings as values by dotted path; a setting that is itself a mapping gives one value for each of its keys."""
    for key, value in content.items():
        path = f"{prefix}{key}"
        if isinstance(value, Mapping) and _mapping_of(path) is None:
            yield from flatten(value, path + ".")
        else:
            yield path, value


@cache
def _mapping_settings() -> frozenset[str]:
    """The paths of the settings that are mappings."""
    return frozenset(path for path, leaf in leaves(Settings).items() if leaf.is_mapping)


def _value(text: str, path: str, tree: Mapping[str, Leaf]) -> Any:
    """`text` read as YAML, except that a text setting takes anything YAML would not call text as it is."""
    leaf, mapping = tree.get(path), _mapping_of(path)
    if (
        mapping is not None and mapping in tree and tree[mapping].is_secret
    ):  # a header, which is always text
        return text
    try:
        value = parse_yaml(text)
    except (yaml.YAMLError, ValueError, RecursionError):
        return text
    if leaf is not None and leaf.is_text and value is not None and not isinstance(value, str):
        return text
    return value


def load_settings(
    *,
    file: Path | None,
    environ: Mapping[str, str],
    assignments: Sequence[str],
    flags: Mapping[str, Any],
    flags_origin: str = "the command line",
    preset: str | None = None,
) -> Settings:
    """The settings of a run: defaults < `preset` < `file` < `environ` < `assignments` < `flags`.

    Args:
        file: a YAML file that may name a part of the tree.
        environ: variables; only those such as DEEPPRUNE__POLICY__TAU are settings.
        assignments: the texts of --set, such as "policy.tau=0.6".
        flags: values by dotted path; None stands for a flag that was not given.
        flags_origin: what messages call the flags.
        preset: the name of a model family in configs/models, or a YAML file of the same form.

    Raises:
        ConfigError: one sentence on the first unknown key or wrong value.
    """
    tree = leaves(Settings)
    return resolve(
        [
            *(from_file(preset_file(preset)) if preset else ()),
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
    given, tree = with_templates(_by_key(given)), leaves(Settings)
    values: dict[str, Any] = {}
    origins: dict[str, str] = {}
    for path, value, origin in given:
        mapping = _mapping_of(path)
        if path not in tree and mapping is None:
            raise ConfigError(unknown_key(path, origin, tree))
        origins[mapping or path] = origin
        if path in _mapping_settings():  # null, which empties it, or a value of another kind
            values = {each: values[each] for each in values if _mapping_of(each) != path}
        if mapping not in values and (value is not None or path not in _mapping_settings()):
            values[path] = value
    try:
        return Settings.model_validate(nest(values))
    except ValidationError as error:
        raise ConfigError(explain(error, Settings, origins, "the settings")) from error


def _by_key(given: Iterable[Assigned]) -> Iterator[Assigned]:
    """The assignments, with one for each key of a setting that is a mapping, so that sources add to each other."""
    for assigned in given:
        if assigned.path in _mapping_settings() and isinstance(assigned.value, Mapping):
            for key, value in assigned.value.items():
                yield assigned._replace(path=f"{assigned.path}.{key}", value=value)
        else:
            yield assigned

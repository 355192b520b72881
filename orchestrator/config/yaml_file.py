"""YAML files read safely: bounded in size, aliases and depth, and every fault one sentence."""

from pathlib import Path
from typing import Any

import yaml

from orchestrator.config.explain import one_line
from orchestrator.errors import ConfigError

__all__ = ["parse_yaml", "read_yaml"]

_MAX_YAML_BYTES = 1 << 20
_MAX_YAML_VALUES = 10_000
_MAX_YAML_DEPTH = 64
_MAX_MERGED = 100  # mappings that one mapping takes over
_OPEN = -1


def read_yaml(path: Path) -> Any:
    """What a YAML file holds. Raises ConfigError with the file and, for a syntax error, the line."""
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_YAML_BYTES + 1)
        if len(data) > _MAX_YAML_BYTES:
            raise ConfigError(f"{path} is larger than a megabyte; give a file of settings.")
        return parse_yaml(data.decode("utf-8-sig"))
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


def parse_yaml(text: str) -> Any:
    """What a YAML text holds, within limits: aliases may neither recur nor multiply the content.

    Raises yaml.YAMLError, ValueError or RecursionError, as PyYAML does.
    """
    content = yaml.load(text, _BoundedLoader)  # noqa: S506  it is a safe loader
    if _size(content, {}) > _MAX_YAML_VALUES:
        raise ValueError("its aliases stand for too many values; write out what is needed")
    return content


class _BoundedLoader(yaml.SafeLoader):
    """Stops reading where the limits are passed: the rest of a hostile file costs no time and no memory."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._values = 0
        self._depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        """The next node with all that is in it."""
        self._values += 1
        self._depth += 1
        if self._depth > _MAX_YAML_DEPTH:
            raise RecursionError
        if self._values > _MAX_YAML_VALUES:
            raise ValueError(f"it holds more than {_MAX_YAML_VALUES:,} values")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Takes over what merge keys (`<<`) name."""
        for key, value in node.value:
            if key.tag == "tag:yaml.org,2002:merge" and len(value.value) > _MAX_MERGED:
                raise ValueError(f"a merge key in it names more than {_MAX_MERGED} values")
        super().flatten_mapping(node)
        if len(node.value) > _MAX_YAML_VALUES:
            raise ValueError("its merge keys stand for too many values; write out what is needed")


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


def _syntax_sentence(path: Path, error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    where = f"{path}, line {mark.line + 1}" if mark else str(path)
    return f"{where}: not valid YAML ({error.problem or error.context}); correct that line."

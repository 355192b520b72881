"""A sweep's grid in YAML: policies with lists of settings, of which every combination is measured.

```
policies:
  - adaptive-consistency
  - cons: {traces: [1, 4, 16]}
  - deepprune: {tau: [0.25, 0.5, 0.75], survivors: [10, 20]}
```
"""

import itertools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from orchestrator.config.explain import explain
from orchestrator.config.yaml_file import read_yaml
from orchestrator.errors import ConfigError

__all__ = ["Grid", "expand_grid", "read_grid"]

Value = str | int | float | bool
SettingLists = dict[str, Value | list[Value]]


class Grid(BaseModel):
    """A sweep: its policies, and flags of `deepprune-bench run` that hold for all of them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    policies: list[str | dict[str, SettingLists]] = Field(min_length=1)
    max_traces: int = Field(default=128, ge=1)
    resamples: int = Field(default=20, ge=1)
    seed: int = Field(default=0, ge=0)
    judge_auroc: float | Literal["perfect"] = 0.71
    checkpoint_tokens: int | None = Field(default=None, ge=1)


def read_grid(path: Path) -> Grid:
    """The grid in a file.

    Raises:
        ConfigError: the file cannot be read or is not a grid.
    """
    content = read_yaml(path)
    if not isinstance(content, Mapping):
        raise ConfigError(f"{path} has no policies; write policies: [NAME, ...].")
    try:
        return Grid.model_validate(content)
    except ValidationError as error:
        raise ConfigError(explain(error, Grid, {}, str(path))) from error


def expand_grid(grid: Grid) -> list[str]:
    """Every policy of the grid once, in the form of `deepprune-bench run --policy`."""
    names: list[str] = []
    for entry in grid.policies:
        if isinstance(entry, str):
            names.append(entry)
        else:
            for name, settings in entry.items():
                names.extend(_combinations(name, settings))
    return list(dict.fromkeys(names))


def _combinations(name: str, settings: Mapping[str, Any]) -> Iterator[str]:
    """The policy with every combination of its settings; `traces` becomes @N."""
    values = [value if isinstance(value, list) else [value] for value in settings.values()]
    for combination in itertools.product(*values):
        own = dict(zip(settings, combination, strict=True))
        traces = own.pop("traces", None)
        head = name if traces is None else f"{name}@{traces}"
        options = ",".join(f"{key}={value}" for key, value in own.items())
        yield f"{head}:{options}" if options else head

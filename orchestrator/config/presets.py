"""Settings for families of models: which preset suits a model, by the model's name."""

from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any

from orchestrator.config.shipped import preset_file, preset_names
from orchestrator.config.yaml_file import read_yaml

__all__ = ["LOCAL_PRESET", "preset_prompt", "suitable_preset"]

LOCAL_PRESET = "nano"
"""The preset of the models that `--local` serves."""


@lru_cache(maxsize=64)
def suitable_preset(model: str) -> str | None:
    """The preset for the model, by the longest pattern that its name fits; None if there is none."""
    name = model.lower()
    fitting = [
        (len(pattern), preset)
        for preset in preset_names()
        for pattern in _content(preset)["model"]["names"]
        if fnmatchcase(name, pattern.lower())
    ]
    return max(fitting)[1] if fitting else None


def preset_prompt(model: str) -> str | None:
    """The prompt that the model's preset wants; None if it wants none."""
    preset = suitable_preset(model)
    prompt: str | None = None if preset is None else _content(preset).get("prompt", {}).get("name")
    return prompt


@lru_cache(maxsize=64)
def _content(preset: str) -> dict[str, Any]:
    content: dict[str, Any] = read_yaml(preset_file(preset))
    return content

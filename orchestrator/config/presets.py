"""Settings for families of models: which preset suits a model, by the model's name."""

from fnmatch import fnmatchcase

from orchestrator.config.shipped import preset_file, preset_names
from orchestrator.config.yaml_file import read_yaml

__all__ = ["LOCAL_PRESET", "suitable_preset"]

LOCAL_PRESET = "nano"
"""The preset of the models that `--local` serves."""


def suitable_preset(model: str) -> str | None:
    """The preset for the model, by the longest pattern that its name fits; None if there is none."""
    name = model.lower()
    fitting = [
        (len(pattern), preset)
        for preset in preset_names()
        for pattern in read_yaml(preset_file(preset))["model"]["names"]
        if fnmatchcase(name, pattern.lower())
    ]
    return max(fitting)[1] if fitting else None

"""The YAML files that ship with the program, found by name."""

from pathlib import Path

from pydantic import ValidationError

from orchestrator.config.explain import explain
from orchestrator.config.yaml_file import read_yaml
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["configs_folder", "judge_spec", "preset_file", "preset_names", "prompt_file"]


def configs_folder() -> Path:
    """The YAML files that ship: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def judge_spec(name_or_path: str) -> JudgeSpec:
    """How to ask a judge: by its name among the shipped ones, or from a YAML file.

    A head is named by its path. Raises ConfigError for a name or file that does not exist, or a file that is not a
    JudgeSpec.
    """
    path = _file_of(name_or_path, "judges", "judge")
    content = read_yaml(path)
    try:
        spec = JudgeSpec.model_validate({} if content is None else content)
    except ValidationError as error:
        raise ConfigError(explain(error, JudgeSpec, {}, str(path))) from error
    if spec.head is None:
        return spec
    return spec.model_copy(update={"head": str(path.parent / spec.head)})


def preset_file(name_or_path: str) -> Path:
    """The YAML file with the settings for a family of models: by its name in configs/models, or a file itself.

    Raises ConfigError for a name that does not exist.
    """
    return _file_of(name_or_path, "models", "preset")


def preset_names() -> list[str]:
    """The families of models that have a preset."""
    return _names("models")


def prompt_file(name_or_path: str) -> Path:
    """The YAML file of a prompt: by its name in configs/prompts, or a file itself.

    Raises ConfigError for a name that does not exist.
    """
    return _file_of(name_or_path, "prompts", "prompt")


def _file_of(name_or_path: str, folder: str, kind: str) -> Path:
    path = Path(name_or_path)
    if path.suffix in (".yaml", ".yml") or path.parent.name:
        return path
    names = _names(folder)
    if name_or_path not in names:
        available = ", ".join(names) or "none"
        raise ConfigError(
            f"There is no {kind} '{name_or_path}'; choose one of {available}, or give a YAML file."
        )
    return configs_folder() / folder / f"{name_or_path}.yaml"


def _names(folder: str) -> list[str]:
    """The names of the YAML files in a folder of configs, those of trainings left out."""
    paths = (configs_folder() / folder).glob("*.yaml")
    return sorted(path.stem for path in paths if not path.stem.endswith("-train"))

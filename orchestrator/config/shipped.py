"""The YAML files that ship with the program, found by name."""

from pathlib import Path

from pydantic import ValidationError

from orchestrator.config.explain import explain
from orchestrator.config.load import read_yaml
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError

__all__ = ["configs_folder", "judge_spec"]


def configs_folder() -> Path:
    """The YAML files that ship: inside an installed package, or at the root of a checkout."""
    package = Path(__file__).parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def judge_spec(name_or_path: str) -> JudgeSpec:
    """How to ask a judge: by its name among the shipped ones, or from a YAML file.

    Raises ConfigError for a name or file that does not exist, or a file that is not a JudgeSpec.
    """
    path = Path(name_or_path)
    if path.suffix not in (".yaml", ".yml") and not path.parent.name:
        path = _shipped_judge(name_or_path)
    content = read_yaml(path)
    try:
        return JudgeSpec.model_validate({} if content is None else content)
    except ValidationError as error:
        raise ConfigError(explain(error, JudgeSpec, {}, str(path))) from error


def _shipped_judge(name: str) -> Path:
    folder = configs_folder() / "judges"
    names = sorted(path.stem for path in folder.glob("*.yaml") if not path.stem.endswith("-train"))
    if name not in names:
        available = ", ".join(names) or "none"
        raise ConfigError(
            f"There is no judge '{name}'; choose one of {available}, or give a YAML file."
        )
    return folder / f"{name}.yaml"

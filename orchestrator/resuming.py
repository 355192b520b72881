"""What `--resume RUN` goes on with: the settings and the questions that lie in the run's folder.

The rule: a run keeps its settings; only the addresses of its servers, and their keys, may be other ones.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from orchestrator.config import Settings, load_settings
from orchestrator.errors import ConfigError
from orchestrator.journal import QUESTIONS_FILE, SETTINGS_FILE
from orchestrator.questions import Question, read_questions
from orchestrator.standing import changed_setting

__all__ = ["questions_of", "settings_of"]


def settings_of(
    run_dir: Path,
    *,
    environ: Mapping[str, str],
    assignments: Sequence[str],
    flags: Mapping[str, Any],
    local: bool,
) -> Settings:
    """The settings of the run in `run_dir`, with the addresses that are given now.

    With `local` the addresses are left open, unless `flags` names one. See `load_settings` for the sources.

    Raises:
        ConfigError: there is no such run, or one of the sources changes another setting.
    """
    file = _in(run_dir, SETTINGS_FILE)
    then = load_settings(file=file, environ={}, assignments=(), flags={})
    now = load_settings(file=file, environ=environ, assignments=assignments, flags=flags)
    if (changed := changed_setting(then, now)) is not None:
        raise ConfigError(
            f"--resume goes on with the run's own settings, and {changed} was another one; leave it out."
        )
    if local and not flags.get("endpoint.urls"):
        endpoint = now.endpoint.model_copy(update={"urls": ()})
        return now.model_copy(update={"endpoint": endpoint})
    return now


def questions_of(run_dir: Path) -> list[Question]:
    """The questions of the run in `run_dir`, in order.

    Raises:
        ConfigError: there is no such run.
        DatasetError: the file was damaged.
    """
    return read_questions(_in(run_dir, QUESTIONS_FILE))


def _in(run_dir: Path, name: str) -> Path:
    path = run_dir / name
    if not path.is_file():
        raise ConfigError(
            f"{run_dir} holds no run that can be resumed ({name} is missing); give the folder of a run, "
            "or ask anew."
        )
    return path

"""Optional dependencies: which extra of the project a missing module belongs to, and the command that installs it."""

import importlib.metadata
import json
from pathlib import Path
from urllib.parse import unquote, urlsplit

__all__ = ["install_command", "missing_extra"]

_EXTRAS = {
    "accelerate": ("judge",),
    "datasets": ("bench",),
    "matplotlib": ("bench", "judge"),
    "peft": ("judge",),
    "plotly": ("bench",),
    "pyarrow": ("judge",),
    "ray": ("ray",),
    "safetensors": ("judge",),
    "sklearn": ("judge",),
    "tensorboard": ("judge",),
    "tokenizers": ("judge",),
    "torch": ("judge",),
    "transformers": ("judge",),
}
"""The extras of pyproject.toml that bring a module."""


def missing_extra(error: ModuleNotFoundError, program: str) -> str | None:
    """One sentence with the remedy for a module of an extra that is not installed; None for any other module.

    Args:
        error: the failed import.
        program: the command; its own extra is preferred where several bring the module.
    """
    extras = _EXTRAS.get(error.name or "")
    if extras is None:
        return None
    own = program.removeprefix("deepprune-")
    extra = own if own in extras else extras[0]
    return f"This needs {error.name}, which is not installed; run: {install_command(extra)}"


def install_command(extra: str) -> str:
    """The command that installs an extra, for how the project is installed (PEP 610)."""
    try:
        found = importlib.metadata.distribution("deepprune").read_text("direct_url.json")
    except importlib.metadata.PackageNotFoundError:
        found = None
    origin = json.loads(found) if found else {}
    url = urlsplit(origin.get("url", ""))
    if vcs := origin.get("vcs_info"):
        return f'pip install "deepprune[{extra}] @ {vcs["vcs"]}+{origin["url"]}@{vcs["commit_id"]}"'
    if url.scheme == "file":  # a folder, or a wheel
        editable = "-e " if origin.get("dir_info", {}).get("editable") else ""
        return f'pip install {editable}"{unquote(url.path)}[{extra}]"'
    if origin:
        return f'pip install "deepprune[{extra}] @ {origin["url"]}"'
    checkout = Path(__file__).parents[1]
    if (checkout / "pyproject.toml").is_file():
        return f'pip install -e "{checkout}[{extra}]"'
    return f'pip install "deepprune[{extra}]"'

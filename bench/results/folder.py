"""The folder of a benchmark that can be continued: it belongs to one benchmark, whose identity it keeps."""

from pathlib import Path

from orchestrator.errors import ConfigError
from orchestrator.journal.run_dir import write_run_file

__all__ = ["claim_folder"]


def claim_folder(folder: Path, name: str, identity: str) -> None:
    """Makes `folder`, with `identity` in its file `name`; a folder that has the same identity is accepted.

    Raises:
        ConfigError: the folder holds another benchmark, or cannot be made.
    """
    path = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = path.read_text(encoding="utf-8") if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"Cannot use the folder {folder} ({error}); give another --out."
        ) from error
    if known is None:
        write_run_file(folder, name, identity)
    elif known != identity:
        raise ConfigError(f"{folder} holds a benchmark with other settings; give another --out.")

"""Servers in environments of their own, below build/foreign: installed once by pip, every package pinned.

They need other versions than this project does, and than each other.
"""

import asyncio
import hashlib
import sys
from pathlib import Path

__all__ = ["FOLDER", "PINS", "fetch_package", "installed", "python_of"]

FOLDER = Path("build/foreign")
PINS = Path(__file__).with_name("pins")
"""What `pip freeze` said of each environment."""


async def installed(name: str) -> Path:
    """The folder of the environment's programs, which is made if its pins have changed or it is not there."""
    pins = PINS / f"{name}.txt"
    digest = hashlib.sha256(pins.read_bytes()).hexdigest()
    folder = FOLDER / name
    mark = folder / ".pins"
    if not mark.exists() or mark.read_text() != digest:
        print(f"Installing {name} into {folder} ...", flush=True)
        await _run(sys.executable, "-m", "venv", "--clear", str(folder))
        pip = (str(python_of(name)), "-m", "pip", "install", "-q", "--no-deps", "-r", str(pins))
        await _run(*pip)
        mark.write_text(digest)
    return (folder / "bin").absolute()


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return (FOLDER / name / "bin" / "python").absolute()


async def fetch_package(name: str) -> Path:
    """The folder of the unpacked wheel that the pins of `name` list, without what it depends on."""
    pins = PINS / f"{name}.txt"
    folder = FOLDER / name
    if not folder.exists():
        pip = (sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", str(folder))
        await _run(*pip, "-r", str(pins))
    return folder


async def _run(*command: str) -> None:
    process = await asyncio.create_subprocess_exec(*command)
    if await process.wait() != 0:
        raise RuntimeError(f"{' '.join(command)} failed ({process.returncode}).")

"""What the lower layers load when they are imported, seen in a fresh interpreter.

The import contracts in `pyproject.toml` say the same of the source; here it is the running program that says so.
"""

import subprocess
import sys
from pkgutil import iter_modules

from orchestrator import core

STATED = """
import msgspec
import numpy.polynomial, numpy.random, numpy.typing
from pydantic import BaseModel, Field
class Model(BaseModel):
    number: int = Field(gt=0)
"""
"""The third-party packages that the core uses, each with what it loads when it is first used."""

PROBE = """
import sys
{first}
before = set(sys.modules)
import {modules}
print(*sorted(set(sys.modules) - before))
"""

FORBIDDEN = {
    "aiohttp",
    "asyncio",
    "concurrent",
    "http",
    "logging",
    "multiprocessing",
    "openai",
    "prometheus_client",
    "rich",
    "scipy",
    "ssl",
    "subprocess",
    "sympy",
    "tenacity",
    "textual",
    "torch",
    "yaml",
}
PURE = {
    "bisect",
    "json",
    "_json",
    "heapq",
    "statistics",
    "fractions",
    "numbers",
    "_statistics",
    "_bisect",
    "_heapq",
}
"""Modules of the standard library without any effect on the world."""


def loaded(*modules: str, after: str = "") -> set[str]:
    """The top-level modules and parts of `orchestrator` that importing `modules` loads, once `after` has run."""
    code = PROBE.format(first=after, modules=", ".join(modules))
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return {
        ".".join(name.split(".")[:2]) if name.startswith("orchestrator.") else name.split(".")[0]
        for name in done.stdout.split()
    }


CORE = [
    "orchestrator.settings",
    "orchestrator.capabilities",
    *(f"orchestrator.core.{found.name}" for found in iter_modules(core.__path__)),
]


def test_the_core_loads_nothing_that_touches_the_world() -> None:
    assert loaded(*CORE) & FORBIDDEN == set()


def test_the_core_loads_only_itself_beside_the_packages_that_it_states() -> None:
    extra = loaded(*CORE, after=STATED) - PURE
    own = {f"orchestrator.{part}" for part in ("core", "settings", "capabilities", "errors")}
    assert extra <= {"orchestrator", *own}


def test_the_core_loads_no_layer_above_it() -> None:
    found = loaded("orchestrator.core.engine")
    assert {name for name in found if name.startswith("orchestrator.")} == {
        "orchestrator.capabilities",
        "orchestrator.core",
        "orchestrator.errors",
        "orchestrator.settings",
    }


def test_the_settings_are_light() -> None:
    assert loaded("orchestrator.settings") & {"numpy", "msgspec", *FORBIDDEN} == set()


def test_what_is_forbidden_would_be_seen() -> None:
    assert {"yaml", "orchestrator.config"} <= loaded("orchestrator.config.load")

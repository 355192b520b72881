"""Importing a package of this project changes nothing but `sys.modules` entries of its own imports."""

import subprocess
import sys

import pytest

PROBE = """
import importlib, sys
before = set(sys.modules)
importlib.import_module({package!r})
print(*sorted(name for name in set(sys.modules) - before if not name.startswith({package!r})))
"""


@pytest.mark.parametrize("package", ["bench", "judge_server", "nano", "orchestrator", "tui"])
def test_importing_a_package_imports_and_hides_nothing_else(package: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROBE.format(package=package)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == []

"""Ctrl-C before a program has begun, and after it has ended: exit code 130, and nothing is printed."""

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orchestrator.errors import EXIT_INTERRUPTED

ROOT = Path(__file__).parents[3]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["scripts"]
INTERRUPT = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('went on')"


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)


@pytest.mark.parametrize("module", sorted({target.split(":")[0] for target in SCRIPTS.values()}))
def test_a_program_that_still_imports_is_ended(module: str) -> None:
    ended = python(f"import {module}\n{INTERRUPT}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (EXIT_INTERRUPTED, "", "")


@pytest.mark.parametrize("module", sorted({target.split(":")[0] for target in SCRIPTS.values()}))
def test_nothing_slow_is_imported_before(module: str) -> None:
    ended = python(f"import sys; before = set(sys.modules); import {module}\n"
                   "print(sorted(set(sys.modules) - before))")  # fmt: skip
    named = module.split(".")
    packages = {".".join(named[:depth]) for depth in range(1, len(named) + 1)}
    packages |= {"orchestrator", "orchestrator.cli", "orchestrator.cli.leaving"}
    assert set(eval(ended.stdout)) <= packages, ended.stderr


@pytest.mark.parametrize("target", sorted(SCRIPTS.values()))
def test_a_program_that_has_ended_is_ended_at_once(target: str) -> None:
    module, _, function = target.partition(":")
    ended = python(
        f"from {module} import {function} as main\n"
        f"try:\n    main(['--help'])\nexcept SystemExit:\n    {INTERRUPT}"
    )
    assert (ended.returncode, ended.stderr) == (EXIT_INTERRUPTED, "")
    assert ended.stdout.startswith("usage: deepprune-")
    assert "went on" not in ended.stdout


def test_an_interrupt_that_is_ignored_stays_ignored() -> None:
    ended = python(
        "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n"
        f"import tui.start\n{INTERRUPT}"
    )
    assert (ended.returncode, ended.stdout) == (0, "went on\n")


def test_in_another_thread_nothing_is_changed() -> None:
    ended = python(
        "import signal, threading\n"
        "thread = threading.Thread(target=__import__, args=('tui.start',))\n"
        "thread.start(); thread.join()\n"
        "print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    )
    assert (ended.stdout, ended.stderr) == ("True\n", "")

"""What an import and a `--help` load, seen in fresh interpreters."""

import subprocess
import sys

import pytest

IMPORT = """
import importlib, sys
before = set(sys.modules)
importlib.import_module({package!r})
print(*sorted(name for name in set(sys.modules) - before if not name.startswith({package!r})))
"""

HELP = """
import contextlib, importlib, io, sys
main = importlib.import_module({module!r}).main
with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
    main(["--help"])
print(*sorted(set(sys.modules) & {heavy!r}))
"""

SLOW_TO_IMPORT = {
    *("aiohttp", "asyncio", "msgspec", "numpy", "openai", "pydantic", "rich", "scipy"),
    *("tenacity", "textual", "torch", "transformers", "yaml"),
}


def printed(code: str) -> list[str]:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.split()


@pytest.mark.parametrize(
    "package", ["bench", "deepprune", "judge_server", "nano", "orchestrator", "tui"]
)
def test_importing_a_package_hides_no_module(package: str) -> None:
    hidden = f"import sys, {package}; print(*(n for n, m in sys.modules.items() if m is None))"
    assert printed(hidden) == []


@pytest.mark.parametrize("package", ["bench", "judge_server", "nano", "orchestrator", "tui"])
def test_importing_a_package_imports_nothing_else(package: str) -> None:
    assert printed(IMPORT.format(package=package)) == []


@pytest.mark.parametrize(
    "module",
    [
        "bench.cli.main",
        "judge_server.cli.main",
        "orchestrator.cli.replay",
        "tui.cli",
        "tui.launcher",
    ],
)
def test_the_help_of_a_program_imports_nothing_slow(module: str) -> None:
    assert printed(HELP.format(module=module, heavy=SLOW_TO_IMPORT)) == []


def test_a_replay_loads_no_learning_package_before_a_policy_needs_it() -> None:
    code = "import sys, bench.programs.replay; print(*sorted({'sklearn', 'pandas'} & set(sys.modules)))"
    assert printed(code) == []

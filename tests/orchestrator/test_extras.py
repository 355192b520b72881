"""What is said where an optional dependency is missing."""

import importlib.metadata
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from orchestrator import extras
from orchestrator.extras import install_command, missing_extra

ROOT = Path(__file__).parents[2]


def no_module(name: str) -> ModuleNotFoundError:
    return ModuleNotFoundError(f"No module named {name!r}", name=name)


def installed_from(monkeypatch: pytest.MonkeyPatch, origin: object) -> None:
    class Distribution:
        def read_text(self, name: str) -> str | None:
            assert name == "direct_url.json"
            return None if origin is None else json.dumps(origin)

    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: Distribution())


def test_every_module_is_brought_by_its_extras() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    names = importlib.metadata.packages_distributions()
    for module, owners in extras._EXTRAS.items():
        distributions = {name.lower().replace("_", "-") for name in names[module]}
        for extra in owners:
            brought = {
                re.split(r"[<>=]", each)[0] for each in project["optional-dependencies"][extra]
            }
            assert distributions & brought, (module, extra)


@pytest.mark.parametrize(
    ("origin", "command"),
    [
        (
            {"url": "file:///my%20code/dp", "dir_info": {"editable": True}},
            'pip install -e "/my code/dp[judge]"',
        ),
        ({"url": "file:///code/dp", "dir_info": {}}, 'pip install "/code/dp[judge]"'),
        ({"url": "file:///a/dp.whl", "archive_info": {}}, 'pip install "/a/dp.whl[judge]"'),
        (
            {"url": "https://host/dp.whl", "archive_info": {}},
            'pip install "deepprune[judge] @ https://host/dp.whl"',
        ),
        (
            {"url": "https://host/dp", "vcs_info": {"vcs": "git", "commit_id": "1ab"}},
            'pip install "deepprune[judge] @ git+https://host/dp@1ab"',
        ),
        (None, f'pip install -e "{ROOT}[judge]"'),
    ],
)
def test_the_command_fits_how_the_project_is_installed(
    monkeypatch: pytest.MonkeyPatch, origin: object, command: str
) -> None:
    installed_from(monkeypatch, origin)
    assert install_command("judge") == command


def test_a_package_without_a_folder_is_installed_by_its_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def unknown(name: str) -> object:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "distribution", unknown)
    monkeypatch.setattr(extras, "__file__", str(tmp_path / "orchestrator" / "extras.py"))
    assert install_command("judge") == 'pip install "deepprune[judge]"'


def test_a_module_of_several_extras_is_that_of_the_program(monkeypatch: pytest.MonkeyPatch) -> None:
    installed_from(monkeypatch, {"url": "file:///dp", "dir_info": {}})
    for program, extra in (("deepprune-judge", "judge"), ("deepprune-bench", "bench")):
        sentence = missing_extra(no_module("matplotlib"), program)
        assert sentence == (
            f'This needs matplotlib, which is not installed; run: pip install "/dp[{extra}]"'
        )
    assert "[judge]" in (missing_extra(no_module("torch"), "deepprune-bench") or "")


@pytest.mark.parametrize("name", ["orchestrator.gone", "torch._C", "aiohttp"])
def test_any_other_missing_module_is_a_fault_of_the_program(name: str) -> None:
    assert missing_extra(no_module(name), "deepprune-judge") is None


HIDING = """\
import sys
class Hidden:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("sklearn", "torch", "transformers", "plotly", "matplotlib"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Hidden())
from MODULE.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.slow  # starts two programs
def test_commands_of_an_extra_say_so_in_a_light_install(tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    traces.write_text(
        "".join(
            json.dumps(
                {
                    "question_id": f"q{question}",
                    "question": f"{question}?",
                    "trace_id": trace,
                    "text": f"{'so wait ' * 20}\\\\boxed{{{trace % 2}}}",
                    "answer": str(trace % 2),
                    "gold": "1",
                }
            )
            + "\n"
            for question in range(4)
            for trace in range(4)
        )
    )
    outcomes = tmp_path / "outcomes.jsonl"
    outcomes.touch()
    for module, arguments, extra in (
        ("judge_server", ["evaluate", "--judge", "length", "--traces", traces], "judge"),
        ("bench", ["compare", outcomes, "--out", tmp_path / "page"], "bench"),
    ):
        ended = subprocess.run(
            [sys.executable, "-c", HIDING.replace("MODULE", module), *map(str, arguments)],
            capture_output=True,
            text=True,
            cwd=ROOT,
        )
        assert ended.returncode == 2, ended.stderr
        assert "Traceback" not in ended.stderr
        assert f'[{extra}]"' in ended.stderr.splitlines()[-1]


def test_no_other_text_names_an_extra_of_a_package_index() -> None:
    sources = [
        path
        for folder in ("orchestrator", "bench", "judge_server", "tui", "nano", "docs", "examples")
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".md") and "decisions" not in path.parts
    ]
    named = [path for path in sources if "deepprune[" in path.read_text(encoding="utf-8")]
    assert named == [ROOT / "orchestrator" / "extras.py"]

"""The documentation site: its generated pages say all that the code says, and it builds without a warning."""

import os
import re
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import deepprune
from docs.generate import on_page_markdown, parsers
from orchestrator import errors
from orchestrator.core.commands import Command
from orchestrator.core.events import Event
from orchestrator.journal.encoding import HEADER_LINE
from orchestrator.settings import POLICY_NAMES, Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, built as `make docs` builds it, without a network."""
    folder = tmp_path_factory.mktemp("site")
    built = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert built.returncode == 0, built.stderr
    assert built.stderr == ""
    return folder


def page(name: str) -> str:
    return on_page_markdown((REFERENCE / name).read_text(encoding="utf-8"))


@pytest.mark.slow  # builds the site
def test_every_page_of_the_site_is_read_without_another_host(site: Path) -> None:
    pages = sorted(site.rglob("*.html"))
    assert len(pages) > 30
    for each in pages:
        loaded = re.findall(r'(?:src|href)="?(https?://[^"\s>]+)', each.read_text(encoding="utf-8"))
        assert loaded == [], each


def test_every_flag_of_every_console_script_is_on_the_page_of_commands() -> None:
    text = page("commands.md")
    scripts = parsers()
    assert len(scripts) >= 5
    for name, parser in scripts.items():
        assert f"## {name}\n" in text
        flags = re.findall(r"--[a-z][a-z-]+", parser.format_help())
        assert {flag for flag in flags if not re.search(rf"(?:`|, ){flag}\b", text)} <= {
            "--help",
            "--version",
        }


def test_subcommands_have_sections_of_their_own() -> None:
    text = page("commands.md")
    for name in ("deepprune-bench compare", "deepprune-judge train"):
        assert f"### {name}\n" in text


def test_every_setting_is_on_the_page_of_settings() -> None:
    text = page("settings.md")
    settings = Settings().model_dump()
    assert len(settings) > 5
    for section, values in settings.items():
        for name in set(values) - {"name"}:
            assert f"| `{section}.{name}` |" in text


def test_every_policy_has_its_own_settings_on_the_page_of_settings() -> None:
    text = page("settings.md")
    for name in POLICY_NAMES:
        assert re.search(rf"^### .*\b{name}\b", text, re.MULTILINE)
    own = text.partition("### deepprune\n")[2].partition("###")[0]
    assert "| `policy.tau` | `0.5` | number at least 0 and at most 1 |" in own
    assert "policy.effort" not in own


@pytest.mark.parametrize("name", ["settings.md", "judge-files.md"])
def test_no_field_is_left_without_a_meaning(name: str) -> None:
    rows = [line for line in page(name).splitlines() if line.startswith("| `")]
    assert rows
    assert [row for row in rows if re.search(r"\|\s*\|$", row)] == []


def test_every_event_and_command_is_on_the_page_of_the_journal() -> None:
    text = page("journal.md")
    structs = (*typing.get_args(Event), *typing.get_args(Command))
    assert len(structs) > 20
    for struct in structs:
        assert f"### {struct.__name__}\n" in text


def test_the_page_of_the_journal_shows_the_header_that_journals_have() -> None:
    assert f"\n{HEADER_LINE.decode()}" in page("journal.md")


def test_every_public_name_of_the_package_is_in_the_reference() -> None:
    described = set(re.findall(r"^::: deepprune\.(\w+)$", page("python.md"), re.MULTILINE))
    described |= set(re.findall(r"^### (\w+)$", page("journal.md"), re.MULTILINE))
    described |= {name for name, value in vars(errors).items() if isinstance(value, type)}
    assert set(deepprune.__all__) - described <= {"Command", "Event", "__version__"}


def test_a_marker_that_names_nothing_is_refused() -> None:
    with pytest.raises(KeyError):
        on_page_markdown("<!-- generated: nothing -->")

"""What the documents name must exist."""

import re
from pathlib import Path

import pytest
import yaml

from orchestrator.cli.main import _parser
from orchestrator.config.explain import leaves
from orchestrator.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
]


def names(document, pattern):
    return set(re.findall(pattern, document.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_in_a_document_exists(document) -> None:
    for name in names(document, r"`((?:[\w.-]+/)+[\w.-]*)`"):
        if not name.startswith(("runs/", "v1/")):
            assert (ROOT / name).exists(), f"{document.name} names {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document) -> None:
    for target in names(document, r"\]\(([^)#]+)\)"):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_named_in_a_document_exists(document) -> None:
    known = leaves(Settings)
    for path in names(document, r"--set ([a-z_]+\.[a-z_]+)="):
        assert path in known, path


def test_every_flag_of_the_readme_exists() -> None:
    known = set(_parser()._option_string_actions)
    for line in (ROOT / "README.md").read_text(encoding="utf-8").splitlines():
        if "deepprune-orchestrate" in line:
            assert set(re.findall(r"(--[a-z-]+)", line)) <= known


def test_documents_name_no_host_but_examples() -> None:
    for document in DOCUMENTS:
        hosts = names(document, r"https?://([^/\s:)`]+)")
        assert hosts <= {"gpu", "judge", "HOST", "b", "127.0.0.1"}, document.name


def test_every_shipped_yaml_can_be_read() -> None:
    files = sorted((ROOT / "configs").rglob("*.yaml"))
    assert files
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


def test_every_console_script_can_be_called() -> None:
    project = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for module in re.findall(r'= "([\w.]+):main"', project):
        assert __import__(module, fromlist=["main"]).main

"""What the documents name must exist."""

import argparse
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from docs.generate import parsers
from orchestrator.config.explain import leaves
from orchestrator.settings import Settings

ROOT = Path(__file__).parents[1]
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted((ROOT / "examples").rglob("*.md")),
]
SCRIPTS: dict[str, str] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))[
    "project"
]["scripts"]


def names(document: Path, pattern: str) -> set[str]:
    return set(re.findall(pattern, document.read_text(encoding="utf-8")))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_file_named_in_a_document_exists(document: Path) -> None:
    for name in names(document, r"`((?:[\w.-]+/)+[\w.-]*)`"):
        if not name.startswith(("runs/", "v1/")):
            assert (ROOT / name).exists(), f"{document.name} names {name}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(document: Path) -> None:
    for target in names(document, r"\]\(([^)#]+)\)"):
        assert (document.parent / target).exists(), f"{document.name} links to {target}"


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_setting_named_in_a_document_exists(document: Path) -> None:
    known = leaves(Settings)
    for path in names(document, r"--set ([a-z_]+\.[a-z_]+)="):
        assert path in known, path


def commands(document: Path) -> Iterator[tuple[str, str]]:
    """Each console script that the document calls, with the rest of its command line."""
    text = document.read_text(encoding="utf-8").replace("\\\n", " ")
    for script, rest in re.findall(r"(deepprune-[a-z]+)\b([^`\n|>#]*)", text):
        if script in SCRIPTS:
            yield script, rest.partition(" -- ")[0]  # what follows is for vLLM


def parser_of(parser: argparse.ArgumentParser, rest: str) -> argparse.ArgumentParser:
    """The parser of the subcommand that `rest` begins with, or `parser` itself."""
    first = (rest.split() or [""])[0]
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction) and first in action.choices:
            subcommand: argparse.ArgumentParser = action.choices[first]
            return subcommand
    return parser


@pytest.mark.parametrize("script", SCRIPTS)
def test_every_flag_that_a_document_gives_a_command_exists(script: str) -> None:
    parser = parsers()[script]
    checked = 0
    for document in DOCUMENTS:
        for rest in (rest for called, rest in commands(document) if called == script):
            flags = set(re.findall(r"(?<!\S)(--[a-z][a-z-]+)", rest))
            known = set(parser_of(parser, rest)._option_string_actions)
            assert flags <= known, f"{document.name}: {script}{rest}"
            checked += len(flags)
    assert checked > 0


EXAMPLE_HOSTS = {"gpu", "gpu1", "gpu2", "gpu3", "judge", "HOST", "b", "127.0.0.1"}


def test_documents_name_no_host_but_examples() -> None:
    for document in DOCUMENTS:
        hosts = names(document, r"https?://([^/\s:)`]+)")
        assert hosts <= EXAMPLE_HOSTS, document.name


def test_every_shipped_yaml_can_be_read() -> None:
    files = sorted((ROOT / "configs").rglob("*.yaml"))
    assert files
    for file in files:
        assert isinstance(yaml.safe_load(file.read_text(encoding="utf-8")), dict)


@pytest.mark.parametrize("target", SCRIPTS.values())
def test_every_console_script_can_be_called(target: str) -> None:
    module, _, function = target.partition(":")
    assert callable(getattr(importlib.import_module(module), function))

"""What a visitor of the repository reads first agrees with the code."""

import re
import tomllib
from pathlib import Path

import pytest
import yaml

import deepprune

ROOT = Path(__file__).parents[2]
PACKAGES = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"][
    "build"
]["targets"]["wheel"]["packages"]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def folders_of_the_tree() -> list[str]:
    """The folders in the README's annotated tree: a line's first one, and the others of the line below it."""
    tree = read("README.md").partition("## What is where\n\n```\n")[2].partition("```")[0]
    folders, package = [], ""
    for line in tree.splitlines():
        first, *below = re.findall(r"\w+/", line)
        if not line.startswith(" "):
            package = ""
        folders += [package + first, *(package + first + name for name in below)]
        if not line.startswith(" "):
            package = first
    return folders


def test_every_folder_of_the_annotated_tree_exists() -> None:
    folders = folders_of_the_tree()
    assert len(folders) > 30
    assert [folder for folder in folders if not (ROOT / folder).is_dir()] == []


def test_the_annotated_tree_has_every_package_and_every_folder_of_the_orchestrator() -> None:
    folders = set(folders_of_the_tree())
    assert {f"{package}/" for package in PACKAGES} <= folders
    parts = {
        f"orchestrator/{each.parent.name}/" for each in ROOT.glob("orchestrator/*/__init__.py")
    }
    assert parts <= folders


def test_the_newest_release_is_the_version_everywhere() -> None:
    releases = re.findall(r"^## (\d\S*) \((\S+)\)$", read("CHANGELOG.md"), re.MULTILINE)
    citation = yaml.safe_load(read("CITATION.cff"))
    assert releases[0] == (deepprune.__version__, str(citation["date-released"]))
    assert citation["version"] == deepprune.__version__


@pytest.mark.parametrize("package", PACKAGES)
def test_every_package_tells_type_checkers_that_it_is_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").exists()


def test_the_commands_of_the_contributing_guide_are_targets_of_make() -> None:
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", ".github/pull_request_template.md"):
        named = re.findall(r"(?:^|`)make ([a-z-]+)", read(document), re.MULTILINE)
        assert named
        assert set(named) <= targets, document


def test_the_workflow_tests_every_python_that_the_project_declares() -> None:
    workflow = yaml.safe_load(read(".github/workflows/ci.yml"))
    project = tomllib.loads(read("pyproject.toml"))["project"]
    declared = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    for job in ("light", "fast"):
        assert workflow["jobs"][job]["strategy"]["matrix"]["python"] == declared

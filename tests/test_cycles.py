"""Neither modules nor the parts of a folder import each other in a circle, in any package of the project."""

import tomllib
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PACKAGES: list[str] = PROJECT["tool"]["importlinter"]["root_packages"]


@pytest.fixture(scope="module")
def imports() -> dict[str, set[str]]:
    """For each module of the project the modules it imports, also inside functions and for types only."""
    graph = grimp.build_graph(*PACKAGES, cache_dir=None)
    return {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}


def circle(imports: dict[str, set[str]]) -> list[str]:
    """The modules of one import cycle, each imported by the next; empty where there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        found: list[str] = error.args[1]
        return found
    return []


def test_a_cycle_is_found() -> None:
    assert circle({"a": {"b"}, "b": {"c"}, "c": set()}) == []
    assert set(circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}


def test_the_parts_of_a_folder_are_its_modules_and_subfolders() -> None:
    imports = {"a.b.one": {"a.c"}, "a.b.two": {"a.b.one"}, "a.c": set[str](), "a.d": {"a.b", "z"}}
    assert circle(imports) == []
    assert between_parts("a", imports) == {"b": {"c"}, "c": set(), "d": {"b"}}
    assert set(circle(between_parts("a", {**imports, "a.c": {"a.b.two"}}))) == {"b", "c"}


def test_every_package_of_the_wheel_is_checked(imports: dict[str, set[str]]) -> None:
    shipped = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    assert set(PACKAGES) == set(shipped)
    assert {module.partition(".")[0] for module in imports} == set(shipped)


def test_no_modules_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    assert circle(imports) == []


def test_no_parts_of_a_folder_import_each_other_in_a_circle(imports: dict[str, set[str]]) -> None:
    folders = {module.rpartition(".")[0] for module in imports} - {""}
    circles = {folder: circle(between_parts(folder, imports)) for folder in folders}
    assert {folder: found for folder, found in circles.items() if found} == {}


def between_parts(folder: str, imports: dict[str, set[str]]) -> dict[str, set[str]]:
    """The imports between the modules and subfolders that lie directly in `folder`."""

    def part_of(module: str) -> str | None:
        inside = module.startswith(folder + ".")
        return module[len(folder) + 1 :].partition(".")[0] if inside else None

    parts: dict[str, set[str]] = {}
    for module, imported in imports.items():
        part = part_of(module)
        if part is not None:
            parts.setdefault(part, set()).update(filter(None, map(part_of, imported)))
    return {part: imported - {part} for part, imported in parts.items()}

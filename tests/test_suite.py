"""The suite itself: nothing in it is skipped or expected to fail."""

import ast
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
FORBIDDEN = {"skip", "skipif", "xfail", "importorskip", "SkipTest", "expectedFailure"}


def forbidden_in(source: str) -> list[str]:
    if not any(name in source for name in FORBIDDEN):
        return []
    names = (
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Attribute | ast.Name)
    )
    return sorted(FORBIDDEN & set(names))


@pytest.mark.parametrize(
    "source",
    ["pytest.skip('later')", "@pytest.mark.xfail\ndef test_x(): ...", "raise SkipTest"],
)
def test_a_test_that_need_not_pass_is_seen(source: str) -> None:
    assert forbidden_in(source)


def test_no_test_is_skipped_or_expected_to_fail() -> None:
    files = sorted(TESTS.rglob("*.py"))
    assert len(files) > 100
    found = {str(file): forbidden_in(file.read_text(encoding="utf-8")) for file in files}
    assert {file: names for file, names in found.items() if names} == {}

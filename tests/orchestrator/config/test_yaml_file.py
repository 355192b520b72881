from pathlib import Path

import pytest

from tests.support.settings_loading import refusal, written


def test_a_syntax_error_names_file_and_line(tmp_path: Path) -> None:
    file = written(tmp_path, "policy:\n  tau: 0.5\n\ttraces: 3\n")
    assert refusal(file=file).startswith(f"{file}, line 3: not valid YAML")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in refusal(file=tmp_path / "nowhere.yaml")


def test_a_list_is_no_settings_file(tmp_path: Path) -> None:
    assert "must hold sections" in refusal(file=written(tmp_path, "- 1"))


BOMB = (
    "a: &a ["
    + ", ".join(["x"] * 9)
    + "]\n"
    + "".join(
        f"{name}: &{name} [" + ", ".join([f"*{before}"] * 9) + "]\n"
        for before, name in zip("abcdefgh", "bcdefghi", strict=True)
    )
)


MERGES = "a: &a {x: 1}\n" + "".join(
    f"{name}: &{name} {{<<: [" + ", ".join([f"*{before}"] * 9) + "]}\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (BOMB, "too many values"),
        (MERGES, "merge keys stand for too many values"),
        ("a: &a {x: 1}\nb: {<<: [" + "*a, " * 5000 + "]}", "merge key in it names more than 100"),
        ("x: [" + "1," * 300_000 + "]", "more than 10,000 values"),
        ("x: " + "[" * 30_000 + "]" * 30_000, "nested too deeply"),
        ("x: " + "{a: " * 100_000, "nested too deeply"),
        ("- " * 100_000, "nested too deeply"),
        ("".join(" " * depth + "a:\n" for depth in range(1000)), "nested too deeply"),
        ("policy: &p {tau: *p}", "stands for a value that holds the alias"),
        ("policy: !!python/object/apply:os.system [echo]", "not valid YAML"),
        ("[" * 5000, "nested too deeply"),
        ("policy: {traces: " + "9" * 5000 + "}", "not valid YAML"),
        ("policy: {traces: 1e999999}", "policy.traces"),
        ("policy: {traces: 2026-01-01}", "policy.traces"),
        ("policy: {traces: 8\0}", "not valid YAML"),
        ("policy: {? [traces] : 8}", "not valid YAML"),
        ("x: " + "y" * 2_000_000, "larger than a megabyte"),
    ],
    ids=lambda value: value[:20],
)
def test_hostile_yaml_is_one_sentence(tmp_path: Path, text: str, reason: str) -> None:
    message = refusal(file=written(tmp_path, text))
    assert reason in message
    assert len(message) < 500


def test_control_characters_are_no_yaml(tmp_path: Path) -> None:
    assert "is not valid YAML" in refusal(file=written(tmp_path, "policy: \x00"))


def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"policy: \xff")
    assert "UTF-8" in refusal(file=path)


def test_objects_of_the_language_are_never_made(tmp_path: Path) -> None:
    file = written(tmp_path, "policy: !!python/object/apply:os.getcwd []")
    assert "not valid YAML" in refusal(file=file)

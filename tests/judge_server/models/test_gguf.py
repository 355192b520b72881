"""`deepprune-judge convert`: what it refuses; `tests/foreign` converts a real model."""

from pathlib import Path

import pytest

from judge_server.cli.main import main

pytestmark = pytest.mark.slow  # imports torch


@pytest.fixture
def gguf(tmp_path: Path) -> Path:
    """A file with nothing behind the mark of its format."""
    file = tmp_path / "small.gguf"
    file.write_bytes(b"GGUF")
    return file


def refusal(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["convert", *map(str, words)]) == 2
    return capsys.readouterr().err


def test_without_the_package_the_remedy_is_named(
    gguf: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(*args: object, **options: object) -> None:
        raise ImportError("Please install gguf")

    monkeypatch.setattr("judge_server.models.gguf.AutoTokenizer.from_pretrained", missing)
    assert "run pip install gguf." in refusal(capsys, gguf, gguf.with_name("model"))


def test_a_folder_that_exists_a_missing_file_and_a_missing_place_are_named(
    gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "exists already; name a new folder" in refusal(capsys, gguf, gguf.parent)
    assert "There is no file" in refusal(capsys, gguf / "not", gguf.with_name("model"))
    assert "make it first" in refusal(capsys, gguf, gguf.parent / "a" / "b")


def test_a_file_that_is_no_model_is_refused_and_nothing_is_written(
    gguf: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refusal(capsys, gguf, gguf.with_name("model"))
    assert "cannot be read as a language model" in said
    assert "Traceback" not in said
    assert [path.name for path in gguf.parent.iterdir()] == ["small.gguf"]

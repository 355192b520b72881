"""Names of models and questions that come from a file, in what the judge's commands print and write."""

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from markdown_it import MarkdownIt

from judge_server.cli.main import main

HOSTILE = "m\x1b]52;c;cm0=\x07\x9b2J\r\n| # [x](javascript:1) <img src=x> $\\frac{1}$ `c` \u202e"
DANGEROUS = "\x1b\x07\x9b\r\u202e"


def traces(tmp_path: Path) -> Path:
    """Traces of 20 questions by two models with hostile names."""
    file = tmp_path / "traces.jsonl"
    rows = [
        {
            "question_id": f"{HOSTILE}{question}",
            "question": f"How many are {question}?",
            "text": f"start {number}. " + "so on. " * 30 + rf"\boxed{{{number % 3}}}",
            "model": f"{HOSTILE}{number % 2}",
        }
        for question in range(20)
        for number in range(8)
    ]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def is_harmless(text: str) -> bool:
    return not any(character in text for character in DANGEROUS)


def has_text_only(document: str) -> bool:
    """Whether Markdown has no element from a name; pictures are the report's own."""
    page = MarkdownIt().enable("table").render(document)
    return not any(tag in page for tag in ("<a ", "<img src=x"))


def test_the_card_of_a_set_of_pairs_shows_names_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["pairs", "--traces", str(traces(tmp_path)), "--out", str(tmp_path / "pairs")]
    assert main([*words, "--validation-share", "0.3", "--test-share", "0.3"]) == 0
    printed = capsys.readouterr()
    card = (tmp_path / "pairs" / "README.md").read_text(encoding="utf-8")
    assert is_harmless(card + printed.out + printed.err)
    assert has_text_only(card)


@pytest.mark.slow  # evaluates judges
def test_an_evaluation_shows_names_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["evaluate", "--traces", str(traces(tmp_path)), "--judge", "words"]
    assert main([*words, "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    report = (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
    assert "By the model that wrote the traces" in report
    assert is_harmless(report + printed.out + printed.err)
    assert has_text_only(report)
    for picture in (tmp_path / "out").glob("*.svg"):
        ElementTree.parse(picture)

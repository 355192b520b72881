"""Hostile names of files and policies in a comparison: its tables, page and plots."""

import csv
import io
import json
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt

from bench.cli.main import main
from bench.reports.html import build_page
from bench.reports.plots import draw_differences, draw_distributions, draw_pareto, draw_series
from bench.reports.render import Comparison, as_csv, as_markdown, build_comparison
from bench.results.outcomes import Outcome, write_outcomes
from orchestrator.terminal.sanitize import sanitize
from tests.support.hostile import HOSTILE, is_harmless

pytestmark = pytest.mark.slow  # imports what draws plots


def comparison() -> Comparison:
    return build_comparison(outcomes(), judge_price=1.0)


def outcomes() -> list[Outcome]:
    """Two policies and a plain vote on a file, with hostile names."""
    return [
        Outcome(
            file=HOSTILE.replace("\ud800", ""),
            policy=policy.replace("\ud800", ""),
            question_id=f"q{number}",
            resample=0,
            answer="1",
            correct=number % 2 == 0,
            tokens=100 + 10 * length,
            cut_tokens=10,
            sequential_tokens=50.0,
            judge_tokens=5,
            seconds=1.0,
            traces=4,
            clusters=(2, 1),
            lengths={"finished": (30, 40), "pruned": (10,)},
        )
        for number in range(6)
        for length, policy in enumerate(
            ("cons@1", "cons@4", f"auto:{HOSTILE}", f"deepprune:tau=0.1,{HOSTILE}")
        )
    ]


def test_a_comparison_as_csv_holds_no_formula_and_no_control_character() -> None:
    rows = list(csv.DictReader(io.StringIO(as_csv(comparison().rows))))
    assert len(rows) == 4
    assert {row["file"] for row in rows} == {sanitize("'" + HOSTILE.replace("\ud800", ""))}
    assert all(is_harmless("".join(row.values())) for row in rows)


HTML_TAGS = ("<img", "<script", "<a ", "<strong", "<code")


def test_a_comparison_as_markdown_is_tables_of_text() -> None:
    text = as_markdown(comparison())
    assert is_harmless(text)
    page = MarkdownIt().enable("table").render(text)
    assert page.count("<table>") == 1 + len(comparison().series)
    assert not any(tag in page for tag in HTML_TAGS)
    assert len(text.splitlines()) == len(
        as_markdown(build_comparison(harmless(), judge_price=1.0)).splitlines()
    )


def harmless() -> list[Outcome]:
    """The same outcomes with names of letters."""
    return [
        msgspec.structs.replace(
            each, file="x", policy=each.policy.replace(HOSTILE.replace("\ud800", ""), "x")
        )
        for each in outcomes()
    ]


class Tags(HTMLParser):
    """Collects the tags and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, attrs))


def test_the_page_of_a_comparison_has_no_markup_from_names() -> None:
    page = build_page(comparison())
    tags = Tags()
    tags.feed(page)
    assert "img" not in {tag for tag, _ in tags.found}
    assert not any(name.startswith("on") for _, attributes in tags.found for name, _ in attributes)
    assert is_harmless(page[page.index("</head>") :])


def test_plots_show_dollars_and_control_signs_as_text(tmp_path: Path) -> None:
    """Matplotlib raises for mathematics that it cannot read, and writes control characters into an SVG that no reader takes."""
    shown = comparison()
    figures = [draw_pareto(shown.rows), draw_differences(shown.rows)]
    figures += [draw_distributions(shown.distributions), *map(draw_series, shown.series)]
    for number, figure in enumerate(figures):
        file = tmp_path / f"{number}.svg"
        figure.savefig(file)
        ElementTree.parse(file)


def test_the_command_writes_and_prints_nothing_hostile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outcomes(tmp_path / "outcomes.jsonl", outcomes())
    assert main(["compare", str(tmp_path / "outcomes.jsonl"), "--out", str(tmp_path / "out")]) == 0
    printed = capsys.readouterr()
    assert is_harmless(printed.out + printed.err)
    for name in ("table.md", "table.csv"):
        assert is_harmless((tmp_path / "out" / name).read_text(encoding="utf-8")), name
    assert json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))["rows"]


def test_an_error_of_the_command_is_sanitized(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", HOSTILE.replace("\x00", "").replace("\ud800", ""), "--out", "x"]) == 2
    assert is_harmless(capsys.readouterr().err)

"""A hostile string, from a model, a server or a file, at every medium that a text leaves this program by."""

import csv
import io
import json
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt

from bench.cli.main import main as bench_main
from bench.reports.html import build_page
from bench.reports.plots import draw_differences, draw_distributions, draw_pareto, draw_series
from bench.reports.render import Comparison, as_csv, as_markdown, build_comparison
from bench.results.outcomes import Outcome, write_outcomes
from orchestrator.errors import ConfigError
from orchestrator.report.report import build_report
from orchestrator.report.summary import summarise
from orchestrator.terminal.document import csv_cell, html_text, markdown_text, plot_text
from orchestrator.terminal.progress import Progress
from orchestrator.terminal.render import render_report, render_summary
from orchestrator.terminal.safe_stream import error_text, safe_stream, write_line
from orchestrator.terminal.sanitize import sanitize
from tests.support.story import Story

HOSTILE = (
    "=cmd|' /C calc'!A0\x1b]52;c;cm0gLXJm\x07\x1b[31;1mred\x9b2J\r\nerror: pay\u202egpj.exe\u2028"
    "| # [x](javascript:alert(1)) <img src=x onerror=alert(1)> $\\frac{1}$ `code` **b** &amp; \x00\ud800"
)
"""OSC 52 writes the clipboard; then colours, a C1 control, line ends, a bidi mark, markup of four kinds, and a surrogate."""

DANGEROUS = "\x1b\x07\x9b\x00\r\u202e\u2028\ud800"


def is_harmless(text: str) -> bool:
    return not any(character in text for character in DANGEROUS)


def report() -> Story:
    """A run in which every name and text that others choose is hostile."""
    told = Story(2, gold=HOSTILE).start(0, 1).tokens(0, 3, HOSTILE).finish(0, 3, HOSTILE)
    told.events[0] = msgspec.structs.replace(told.events[0], question_id=HOSTILE)
    told.warn(1, "usage", HOSTILE).tokens(1, 3, HOSTILE).finish(1, 3, None)
    return told.open_cluster(0, 0).vote(HOSTILE).down(HOSTILE, HOSTILE).end(HOSTILE)


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


# --- the terminal ---------------------------------------------------------------------------------

PRINTED: dict[str, Callable[[io.StringIO], object]] = {
    "a print": lambda out: print(HOSTILE, file=safe_stream(out)),
    "a line": lambda out: write_line(HOSTILE, out),
    "an error": lambda out: out.write(error_text("program", ConfigError(HOSTILE))),
    "the report": lambda out: out.write(
        render_report(build_report(report().view(), run_dir=HOSTILE))
    ),
    "the summary": lambda out: out.write(
        render_summary(summarise([build_report(report().view(), run_dir=None)] * 2))
    ),
}


@pytest.mark.parametrize("way", PRINTED)
def test_nothing_on_a_terminal_is_interpreted(way: str) -> None:
    out = io.StringIO()
    PRINTED[way](out)
    assert out.getvalue().strip()
    assert is_harmless(out.getvalue())


def test_a_line_end_in_an_error_begins_no_line_of_the_programs_own() -> None:
    lines = error_text("program", ConfigError("one\nprogram: two")).splitlines()
    assert lines == ["program: one", "  program: two"]


def test_progress_shows_hostile_names_as_text() -> None:
    out = io.StringIO()
    with Progress("steps", 2, title=HOSTILE, stream=out, interval=0.0) as progress:
        progress.advance(name=HOSTILE)
        progress.say(HOSTILE)
    assert "␛]52;c;cm0gLXJm␇" in out.getvalue()
    assert is_harmless(out.getvalue())


def test_own_tabs_and_line_ends_pass_and_a_stream_keeps_its_nature() -> None:
    out = io.StringIO()
    stream = safe_stream(out)
    print("id\tanswer\nid\tanswer", file=stream)
    stream.writelines(["a\x1bb", "\n"])
    assert out.getvalue() == "id\tanswer\nid\tanswer\na␛b\n"
    assert not stream.isatty()
    assert safe_stream(stream) is stream


# --- documents ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "formula",
    ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r\n=1", " =1", "＝1", "﹣".replace("﹣", "－1")],
)
def test_no_cell_of_a_csv_file_is_a_formula(formula: str) -> None:
    assert csv_cell(formula).startswith("'")
    assert csv_cell(-1.5) == -1.5
    assert csv_cell("cons@16") == "cons@16"
    assert csv_cell(None) is None


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


@pytest.mark.parametrize(
    "text",
    [
        HOSTILE,
        "# head",
        "1. item",
        "> quote",
        "- item",
        "__x__ ~~y~~",
        "---",
        "===",
        "- - -",
        "###",
        "7)",
        "1.5",
        "-0.5",
        "a_b",
        "_a",
        "http://e",
    ],
)
def test_markdown_shows_a_text_as_it_is(text: str) -> None:
    page = MarkdownIt().enable(["table", "strikethrough"]).render(markdown_text(text))
    shown = "".join(ElementTree.fromstring(page).itertext()).strip()
    assert shown == sanitize(text)
    assert page.startswith("<p>")


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


def test_html_holds_a_text_in_elements_and_attributes() -> None:
    element = ElementTree.fromstring(f'<a title="{html_text(HOSTILE)}">{html_text(HOSTILE)}</a>')
    assert element.text == element.get("title") == sanitize(HOSTILE)


@pytest.mark.slow  # draws plots
def test_plots_show_dollars_and_control_signs_as_text(tmp_path: Path) -> None:
    """Matplotlib raises for mathematics that it cannot read, and writes control characters into an SVG that no reader takes."""
    shown = comparison()
    figures = [draw_pareto(shown.rows), draw_differences(shown.rows)]
    figures += [draw_distributions(shown.distributions), *map(draw_series, shown.series)]
    for number, figure in enumerate(figures):
        file = tmp_path / f"{number}.svg"
        figure.savefig(file)
        ElementTree.parse(file)
    assert plot_text("$x^2$") == r"\$x^2\$"


@pytest.mark.slow  # draws plots
def test_the_command_writes_and_prints_nothing_hostile(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_outcomes(tmp_path / "outcomes.jsonl", outcomes())
    assert (
        bench_main(["compare", str(tmp_path / "outcomes.jsonl"), "--out", str(tmp_path / "out")])
        == 0
    )
    printed = capsys.readouterr()
    assert is_harmless(printed.out + printed.err)
    for name in ("table.md", "table.csv"):
        assert is_harmless((tmp_path / "out" / name).read_text(encoding="utf-8")), name
    assert json.loads((tmp_path / "out" / "table.json").read_text(encoding="utf-8"))["rows"]


def test_an_error_of_the_command_is_sanitized(capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        bench_main(["compare", HOSTILE.replace("\x00", "").replace("\ud800", ""), "--out", "x"])
        == 2
    )
    assert is_harmless(capsys.readouterr().err)

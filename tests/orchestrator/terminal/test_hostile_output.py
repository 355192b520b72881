"""A hostile string, from a model, a server or a file, at every medium that a text leaves this program by."""

import io
from collections.abc import Callable
from xml.etree import ElementTree

import msgspec
import pytest
from markdown_it import MarkdownIt

from orchestrator.errors import ConfigError
from orchestrator.report.report import build_report
from orchestrator.report.summary import summarise
from orchestrator.terminal.document import csv_cell, html_text, markdown_text, plot_text
from orchestrator.terminal.progress import Progress
from orchestrator.terminal.render import render_report, render_summary
from orchestrator.terminal.safe_stream import error_text, safe_stream, write_line
from orchestrator.terminal.sanitize import sanitize
from tests.support.hostile import HOSTILE, is_harmless
from tests.support.story import Story


def report() -> Story:
    """A run in which every name and text that others choose is hostile."""
    told = Story(2, gold=HOSTILE).start(0, 1).tokens(0, 3, HOSTILE).finish(0, 3, HOSTILE)
    told.events[0] = msgspec.structs.replace(told.events[0], question_id=HOSTILE)
    told.warn(1, "usage", HOSTILE).tokens(1, 3, HOSTILE).finish(1, 3, None)
    return told.open_cluster(0, 0).vote(HOSTILE).down(HOSTILE, HOSTILE).end(HOSTILE)


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


def test_html_holds_a_text_in_elements_and_attributes() -> None:
    element = ElementTree.fromstring(f'<a title="{html_text(HOSTILE)}">{html_text(HOSTILE)}</a>')
    assert element.text == element.get("title") == sanitize(HOSTILE)


def test_a_dollar_is_no_mathematics_in_a_plot() -> None:
    assert plot_text("$x^2$") == r"\$x^2\$"

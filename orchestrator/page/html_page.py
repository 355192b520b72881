"""The page of a run: one HTML file without scripts, which loads nothing.

Every text of the run is untrusted. The template escapes what is put into it, and each string passes through `sanitize`
on the way, so no part of the template can leave either out. The page's policy (CSP) allows its own style and nothing
else, should both fail.
"""

import base64
import hashlib
from collections.abc import Sequence
from typing import Any, NamedTuple

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from orchestrator.page.facts import QuestionFacts, facts_of
from orchestrator.report.display_state import GLYPHS, LABELS
from orchestrator.report.report import Report
from orchestrator.report.summary import Summary, summarise
from orchestrator.report.view import RunView
from orchestrator.terminal.numbers import format_rate
from orchestrator.terminal.sanitize import sanitize

__all__ = ["TEXT_CHARACTERS", "IndexRow", "Page", "build_index", "build_page"]

TEXT_CHARACTERS = 20_000
"""How much of a trace's text a page has by default."""


class Page(NamedTuple):
    """A page and the policy that a server sends with it."""

    html: str
    policy: str


class IndexRow(NamedTuple):
    """A run in the list: its name, its (untrusted) question, and its report once it is over."""

    name: str
    question: str
    report: Report | None


def build_page(
    runs: Sequence[tuple[RunView, Report]], *, name: str, characters: int = TEXT_CHARACTERS
) -> Page:
    """The page of a run with one or more questions.

    Args:
        runs: each question's view, with its texts, and its report.
        name: what the run is called, such as its folder's name (untrusted).
        characters: the most of each trace's text before and after its checkpoint; of a longer one the middle is left out.
    """
    return _rendered(
        "page.html",
        name=name,
        questions=_questions(runs, characters),
        summary=_summary(runs),
        glyphs=GLYPHS,
        labels=LABELS,
    )


def build_index(rows: Sequence[IndexRow], *, total: int) -> Page:
    """The page that lists runs, with a link to the page of each; `total` counts those that it does not list as well."""
    return _rendered("runs.html", rows=rows, total=total)


def _rendered(template: str, **values: Any) -> Page:
    environment = _environment()
    style = environment.get_template("page.css").render()
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    trusted = Markup(style)  # noqa: S704  (our own file)
    return Page(
        environment.get_template(template).render(policy=policy, style=trusted, **values), policy
    )


def _questions(runs: Sequence[tuple[RunView, Report]], characters: int) -> list[QuestionFacts]:
    return [
        facts_of(view, report, number=number, characters=characters)
        for number, (view, report) in enumerate(runs, start=1)
    ]


def _summary(runs: Sequence[tuple[RunView, Report]]) -> Summary | None:
    """What several questions give together; None for a single one."""
    return summarise([report for _view, report in runs]).summary if len(runs) > 1 else None


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("orchestrator.page", "templates"),
        autoescape=True,
        finalize=_safe,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["count"] = lambda value: "–" if value is None else f"{value:,.0f}"
    environment.filters["rate"] = lambda value: "–" if value is None else format_rate(value)
    environment.filters["percent"] = lambda value: "–" if value is None else f"{value:.1%}"
    environment.filters["seconds"] = lambda value: f"{value:,.1f} s"
    return environment


def _safe(value: Any) -> Any:
    """What is put into the template: text without control characters and bidirectional marks."""
    if isinstance(value, str) and not isinstance(value, Markup):
        return sanitize(value, one_line=False)
    return value

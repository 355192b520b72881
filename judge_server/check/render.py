"""A check as Markdown, and as one HTML page that needs no network."""

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path

from judge_server.check.sections import Section
from judge_server.evaluation.markdown import table
from orchestrator.terminal.document import html_text, markdown_text

__all__ = ["as_markdown", "as_page"]

_STYLE = """
:root { color-scheme: light dark }
body { font: 15px/1.45 system-ui, sans-serif; margin: 2rem auto; max-width: 70rem; padding: 0 1rem }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums }
th, td { padding: .25rem .6rem; border-bottom: 1px solid #8886; text-align: left }
img { max-width: 100%; background: white; margin: .5rem 0 }
.wide { overflow-x: auto }
"""


def as_markdown(sections: Iterable[Section]) -> str:
    """The text on stdout."""
    parts = []
    for section in sections:
        parts.append(f"## {section.title}")
        parts.append("\n".join(f"- {markdown_text(sentence)}" for sentence in section.sentences))
        if section.rows:
            parts.append(table(section.heads, section.rows))
    return "\n\n".join(filter(None, parts)) + "\n"


def as_page(title: str, sections: Iterable[Section]) -> str:
    """The page; pictures are inside it, those that do not exist are left out."""
    body = "".join(_section(section) for section in sections)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{html_text(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{html_text(title)}</h1>{body}</body></html>\n"
    )


def _section(section: Section) -> str:
    sentences = "".join(f"<li>{html_text(sentence)}</li>" for sentence in section.sentences)
    pictures = "".join(_picture(file) for file in section.pictures if file.is_file())
    return f"<h2>{html_text(section.title)}</h2><ul>{sentences}</ul>{_table(section)}{pictures}"


def _table(section: Section) -> str:
    if not section.rows:
        return ""
    rows = "".join(_row("td", row) for row in section.rows)
    return f'<div class="wide"><table>{_row("th", section.heads)}{rows}</table></div>'


def _row(tag: str, cells: Sequence[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html_text(cell)}</{tag}>" for cell in cells) + "</tr>"


def _picture(file: Path) -> str:
    content = base64.b64encode(file.read_bytes()).decode()
    return f'<p><img alt="{html_text(file.stem)}" src="data:image/svg+xml;base64,{content}"></p>'

"""The page of a run: what it says, that it is inert, and how long it gets."""

import hashlib
import re
from base64 import b64encode
from html.parser import HTMLParser

import msgspec
import pytest

from orchestrator.page.html_page import build_page
from orchestrator.report.report import build_report
from tests.support.story import Story

HOSTILE = (
    "<script>alert(1)</script><img src=x onerror=alert(1)>\" onmouseover='x' {{ 7*7 }} &lt;b&gt;"
    "</style></pre><a href=javascript:alert(1)>\x1b]52;c;x\x07\u202egpj\x00\ud800"
)
DANGEROUS = "\x1b\x07\x00\u202e\ud800"


class Tags(HTMLParser):
    """The tags of a page with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in ("meta", "rect", "line", "polygon"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in ("rect", "line", "polygon"):
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def page_of(*stories: Story, characters: int = 1000, name: str = "a-run") -> str:
    runs = [(story.view(), build_report(story.view(), run_dir=None)) for story in stories]
    return build_page(runs, name=name, characters=characters).html


def hostile() -> Story:
    told = Story(3, gold=HOSTILE).start(0, 1, endpoint=HOSTILE).tokens(0, 3, HOSTILE)
    told.events[0] = msgspec.structs.replace(told.events[0], question=HOSTILE, question_id=HOSTILE)
    told.checkpoint(0, 3).open_cluster(0, 0).finish(0, 3, HOSTILE)
    told.warn(1, "usage", HOSTILE).tokens(1, 3, HOSTILE).stop(1, 3, HOSTILE).down(HOSTILE, HOSTILE)
    return told.vote(HOSTILE, **{HOSTILE: 1}).end(HOSTILE)


def test_every_text_of_others_is_shown_and_has_no_effect() -> None:
    page = page_of(hostile(), hostile(), name=HOSTILE)
    found = Tags(page)
    assert found.open == []
    assert not {"script", "img", "iframe", "object"} & {tag for tag, _ in found.found}
    for tag, attributes in found.found:
        assert not any(name.startswith("on") or name in ("src", "style") for name in attributes)
        assert (attributes.get("href") or "#").startswith("#"), tag
    assert found.text.count("<script>alert(1)</script>") > 10
    assert "{{ 7*7 }}" in found.text
    assert not set(DANGEROUS) & set(page)


def test_the_policy_allows_the_page_its_own_style_and_nothing_else() -> None:
    page = page_of(hostile())
    policy = next(
        attributes["content"] or ""
        for tag, attributes in Tags(page).found
        if tag == "meta" and attributes.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy.startswith("default-src 'none'")
    [style] = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in policy
    assert "url(" not in style
    assert "@import" not in style


def test_nothing_is_loaded_from_anywhere(pruned_story: Story) -> None:
    assert "//" not in page_of(pruned_story)


def test_the_vote_the_clusters_the_bill_and_the_log_are_told(pruned_story: Story) -> None:
    report = build_report(pruned_story.view(), run_dir=None)
    text = " ".join(Tags(page_of(pruned_story)).text.split())
    assert "How many apples?" in text
    assert f"{report.ledger.reasoner.generated_tokens:,}" in text
    assert "represented by trace 0, similarity 0.90" in text
    assert "cons@4 instead" in text
    assert "0.0 s4 traces planned" in text


def test_the_middle_of_a_long_text_is_left_out() -> None:
    told = Story(1).start(0).tokens(0, 9, "a" * 500 + "b" * 500).finish(0, 9).vote("42", a42=1)
    text = Tags(page_of(told.end("42"), characters=100)).text
    assert "a" * 50 + "\n[… 900 characters are left out …]\n" + "b" * 50 in text
    assert "a" * 51 not in text


def test_a_trace_has_a_bar_for_each_time_in_which_it_had_a_stream() -> None:
    told = Story(2).start(0, 1).tokens(0, 3).checkpoint(0, 3).pause(0, 3).resume(0).finish(0, 5)
    page = page_of(told.stop(1, 0).vote("42", a42=1).end("42"))
    bars = re.findall(r"<title>trace (\d)(.*?)</g>", page, re.DOTALL)
    assert {number: rest.count("<rect") for number, rest in bars} == {"0": 3, "1": 2}
    assert "y1=" in bars[0][1]


@pytest.mark.parametrize("told", [Story(2), Story(2).start(0), Story(2).start(0).tokens(0, 3)])
def test_a_run_that_is_not_over_is_shown_as_far_as_it_came(told: Story) -> None:
    text = Tags(page_of(told)).text
    assert "No answer: too few votes." in text
    assert "interrupted, or is not over" in text


def test_several_questions_begin_with_a_table_that_leads_to_each(pruned_story: Story) -> None:
    found = Tags(page_of(pruned_story, hostile()))
    assert "2 of 2" in found.text
    names = [attributes["id"] for _tag, attributes in found.found if "id" in attributes]
    links = {
        (attributes["href"] or "").removeprefix("#")
        for tag, attributes in found.found
        if tag == "a"
    }
    assert {"q1", "q2"} <= links <= set(names)
    assert len(names) == len(set(names))

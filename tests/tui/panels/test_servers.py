"""The servers' panel, which is there only with several of them."""

from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.header import draw_header
from tui.panels.servers import draw_servers, servers_height

A, B, C = (f"http://{name}:8000/v1" for name in "abc")


def told(*replicas: str) -> Story:
    story = Story(4, replicas=replicas).start(0, 1, endpoint=A).start(2, endpoint=B)
    return story.tokens(0, 1200).tokens(2, 50)


def drawn(story: Story, width: int = 100, height: int = 4) -> list[str]:
    return text_of_strips(draw_servers(frame_of(story.view(), width, height))).splitlines()


def test_each_server_has_a_line_with_what_it_does() -> None:
    head, first, second, third = drawn(told(A, B, C))
    assert "servers 3 of 3 up" in head
    assert "● a:8000" in first
    assert "2 open" in first
    assert "1,200 tokens" in first
    assert "1 open" in second
    assert "0 open" in third


def test_a_server_that_is_out_says_for_how_long_and_why() -> None:
    story = (
        told(A, B).down(A, f"{A} broke off\x1b[2J").resume(0, endpoint=B, moved="down", attempt=1)
    )
    head, first, second = drawn(story, height=3)
    assert "1 of 2 up" in head
    assert "traces moved 1" in head
    assert "✗ a:8000" in first
    assert "out for 0 s" in first
    assert "s  broke off" in first
    assert "\x1b" not in first
    assert "2 open" in second


def test_a_server_that_is_back_shows_its_faults() -> None:
    story = told(A, B).down(A).resume(0, endpoint=B, moved="down", attempt=1).up(A)
    assert "faults 1" in drawn(story, height=3)[1]


def test_those_that_are_out_are_shown_first_where_not_all_fit() -> None:
    lines = drawn(told(A, B, C).down(C), height=2)
    assert "✗ c:8000" in lines[1]


def test_a_narrow_panel_leaves_out_the_traces() -> None:
    assert "traces" in drawn(told(A, B))[1]
    assert "traces" not in drawn(told(A, B), width=60)[1]
    assert "2 open  1,200" in drawn(told(A, B), width=40)[1]


def test_a_rate_is_shown_whole_or_not_at_all() -> None:
    story = told(A, B)
    rate = drawn(story, width=60)[1].split()[-1]
    assert rate.endswith("/s")
    for width in range(20, 60):
        last = drawn(story, width=width)[1].split()[-1]
        assert last == rate or "/" not in last
    assert drawn(story, width=42)[1].endswith(rate)


def test_servers_behind_one_address_are_told_apart() -> None:
    lines = drawn(Story(4, replicas=("http://gate/left/v1", "http://gate/right/v1")))
    assert "gate/left" in lines[1]
    assert "gate/right" in lines[2]


def test_a_single_server_has_no_panel() -> None:
    assert servers_height(told(A).view()) == 2 + 1  # both that had streams
    assert servers_height(Story(1).start(0).view()) == 0
    many = [f"http://{n}:1/v1" for n in range(40)]
    assert servers_height(Story(1, replicas=tuple(many)).view()) == 7


def test_the_header_counts_further_servers() -> None:
    assert "@ gpu:8000 and 2 more" in text_of_strips(
        draw_header(frame_of(Story(1, replicas=(A, B, C)).view(), 120))
    )

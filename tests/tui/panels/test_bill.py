"""The bill before, during and after a run."""

from tests.support.screens import frame_of, text_of_strips
from tests.support.story import Story
from tui.panels.bill import draw_bill


def test_the_bill_counts_what_is_saved_for_certain_while_the_run_goes_on(
    story: type[Story],
) -> None:
    told = story(4).start(0, 1, 2, 3).tokens(1, 20).tokens(2, 100).finish(0, 100).stop(1, 20)
    text = text_of_strips(draw_bill(frame_of(told.view())))
    rows = {line.split()[0]: line.split()[1] for line in text.splitlines()[1:] if line.split()}
    assert (rows["cons@4"], rows["saved"]) == ("400", "20%")


def test_the_bill_has_no_figures_before_a_trace_has_finished(story: type[Story]) -> None:
    text = text_of_strips(draw_bill(frame_of(story(2).start(0).tokens(0, 5).view())))
    assert "not known yet" in text


def test_the_bill_of_a_plain_vote_is_exact(story: type[Story]) -> None:
    told = story(2).start(0, 1).finish(0, 10).finish(1, 30).vote("42", a42=2).end("42")
    text = text_of_strips(draw_bill(frame_of(told.view())))
    assert "exact" in text
    assert "0%" in text


def test_the_bill_shows_money_where_a_price_is_set(story: type[Story]) -> None:
    prices = {"prices": {"million_tokens": 10.0}}
    told = story(2, settings=prices).start(0, 1).finish(0, 1000).finish(1, 1000)
    text = text_of_strips(draw_bill(frame_of(told.view())))
    assert "money" in text
    assert "0.0200 of 0.0200" in text


def test_one_pair_in_one_call_is_not_pairs_in_calls(story: type[Story]) -> None:
    told = story(2).start(0, 1).checkpoint(0, 30).open_cluster(0, 0).checkpoint(1, 30).judged(1, 0)
    text = text_of_strips(draw_bill(frame_of(told.view(), width=80)))
    assert "1 pair in 1 call" in text
    assert "calls" not in text

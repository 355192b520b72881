"""The axes of the pictures can be read, on a wide page and on a narrow one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from bench.analysis.comparison import PolicyRow, compare_policies
from bench.reports.html import build_page
from bench.reports.html_figures import length_figure, pareto_figure
from bench.reports.plots import axes_of, draw_pareto, log_range, log_ticks
from bench.reports.render import build_comparison
from tests.support.outcomes import FOUR_VOTES, ONE_VOTE, outcomes

pytestmark = pytest.mark.slow  # draws plots


@pytest.mark.parametrize(
    ("low", "high", "shown"),
    [
        (13_000, 26_000, {16_000, 20_000, 24_000}),
        (1_200, 8_000, {2_000, 5_000}),
        (30, 40_000, {100, 1_000, 10_000}),
        (200, 40_000, {500, 2_000, 5_000, 20_000}),
    ],
)
def test_an_axis_has_labels_between_decades(low: float, high: float, shown: set[float]) -> None:
    assert shown <= set(log_ticks(low, high))


@given(
    st.floats(1.0, 1e6),
    st.floats(1.0, 1e5),
)
def test_every_axis_has_two_labels_within_its_ends(first: float, ratio: float) -> None:
    low, high = log_range([first, first * ratio])
    assert low < first
    assert first * ratio < high
    ticks = log_ticks(low, high)
    assert 2 <= len(ticks) <= 12
    assert all(low <= tick <= high for tick in ticks)


@pytest.fixture
def rows() -> list[PolicyRow]:
    """Costs and latencies of less than a decade, with a long name at either end."""
    kept = [*ONE_VOTE, *FOUR_VOTES, *outcomes("a-policy-with-a-long-name" * 3, [1] * 4, 90)]
    found = build_comparison(kept, judge_price=1.0).rows
    return [replace(row, sequential_tokens=50.0 + 20 * place) for place, row in enumerate(found)]


def test_names_are_written_towards_the_middle_of_the_page(rows: list[PolicyRow]) -> None:
    for axis in axes_of(rows):
        figure = pareto_figure(rows, axis)
        low, high = (10**end for end in figure.layout.xaxis.range)
        points = [trace for trace in figure.data if trace.mode == "markers+text"]
        left, *_, right = sorted(points, key=lambda point: float(point.x[0]))
        assert left.x[0] < math.sqrt(low * high) < right.x[0]
        assert left.textposition.endswith("right")
        assert right.textposition.endswith("left")
        assert not any(point.cliponaxis for point in points)
        assert len(figure.layout.xaxis.tickvals) >= 2
    for axes in draw_pareto(rows).axes:
        assert len(axes.get_xticks()) >= 2


def test_the_lengths_of_traces_have_labels_too() -> None:
    lengths = {"finished": (3000, 4000)}
    kept = outcomes("cons@4", [1] * 4, 100, lengths=lengths)
    figure = length_figure(build_comparison(kept, judge_price=1.0).distributions)
    assert len(figure.layout.xaxis.ticktext) >= 2


def test_the_page_fits_a_narrow_screen() -> None:
    page = build_page(build_comparison([*ONE_VOTE, *FOUR_VOTES], judge_price=1.0))
    assert '<meta name="viewport" content="width=device-width">' in page
    assert '"responsive": true' in page


def test_labels_of_policies_that_lie_together_do_not_overlap() -> None:
    close = [
        *compare_policies(
            [
                *outcomes("cons@1", [1, 0, 0, 0], 100),
                *outcomes("cons@4", [1, 1, 1, 0], 400),
                *(
                    each
                    for n in range(6)
                    for each in outcomes(f"a-policy-with-a-long-name-{n}", [1, 1, 0, 0], 200 + n)
                ),
            ],
            judge_price=1.0,
        )
    ]
    figure = draw_pareto(close)
    figure.draw_without_rendering()
    for axes in figure.axes:
        boxes = [label.get_window_extent() for label in axes.texts]
        assert len(boxes) == 8
        pairs = [(one, other) for n, one in enumerate(boxes) for other in boxes[:n]]
        assert not any(one.overlaps(other) for one, other in pairs)

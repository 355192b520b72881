"""A trace's confidence, worked by hand and against the definitions of arXiv 2508.15260, section 3.1."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.confidence import Confidences, TraceConfidence
from orchestrator.core.events import TokensArrived
from orchestrator.settings import ConsensusSettings
from orchestrator.settings.policies import TraceMeasure

TOKENS = (4.0, 2.0, 6.0, 8.0, 1.0, 5.0)
CHUNKS = st.lists(st.lists(st.floats(0, 30).map(lambda value: round(value, 3)), max_size=7))


def measured(window: int, *chunks: Sequence[float]) -> TraceConfidence:
    trace = TraceConfidence(window)
    for chunk in chunks:
        trace.extend(chunk)
    return trace


def measures(trace: TraceConfidence) -> tuple[int, float, float, float, float, float | None]:
    return trace.tokens, trace.mean, trace.tail, trace.lowest, trace.bottom, trace.least_group


def test_the_lowest_group_is_the_window_with_the_smallest_mean() -> None:
    trace = measured(3, TOKENS)  # groups: 12, 16, 15, 14, each over 3
    assert trace.lowest == trace.least_group == 4.0
    assert trace.mean == pytest.approx(26 / 6)
    assert trace.tail == pytest.approx(14 / 3)
    assert trace.bottom == 4.0  # a tenth of four groups is one


def test_the_bottom_is_the_mean_of_a_tenth_of_all_groups() -> None:
    trace = measured(1, [float(token) for token in range(40, 0, -1)])
    assert trace.bottom == (1 + 2 + 3 + 4) / 4
    assert trace.lowest == 1.0


def test_a_trace_shorter_than_a_group_is_one_group() -> None:
    trace = measured(10, TOKENS)
    assert trace.least_group is None  # nothing to stop it for while it may still go on
    assert trace.lowest == trace.bottom == trace.tail == trace.mean == pytest.approx(26 / 6)


def test_a_trace_without_tokens_is_not_confident_at_all() -> None:
    assert measures(measured(4)) == (0, 0.0, 0.0, 0.0, 0.0, None)


def test_a_group_counts_as_soon_as_it_is_full() -> None:
    trace = measured(2)
    for more, least in (([5.0], None), ([3.0], 4.0), ([9.0], 4.0), ([0.0, 1.0], 0.5)):
        trace.extend(more)
        assert trace.least_group == least


@given(CHUNKS, st.integers(1, 9))
def test_measures_do_not_depend_on_how_tokens_are_chunked(
    chunks: list[list[float]], window: int
) -> None:
    together = [confidence for chunk in chunks for confidence in chunk]
    assert measures(measured(window, *chunks)) == measures(measured(window, together))


@given(CHUNKS, st.integers(1, 9))
def test_measures_are_those_of_the_paper(chunks: list[list[float]], window: int) -> None:
    tokens = np.array([confidence for chunk in chunks for confidence in chunk])
    if not tokens.size:
        return
    trace = measured(window, *chunks)
    groups = np.array([tokens[i : i + window].mean() for i in range(len(tokens) - window + 1)])
    if not groups.size:
        groups = tokens.mean(keepdims=True)
    tenth = np.sort(groups)[: max(1, len(groups) // 10)]
    found = (trace.mean, trace.tail, trace.lowest, trace.bottom)
    wanted = (tokens.mean(), tokens[-window:].mean(), groups.min(), tenth.mean())
    assert found == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize(
    ("measure", "confidence"),
    [("lowest", 4.0), ("bottom", 4.0), ("tail", 14 / 3), ("mean", 26 / 6)],
)
def test_the_setting_says_what_counts_as_a_traces_confidence(
    measure: TraceMeasure, confidence: float
) -> None:
    settings = ConsensusSettings(confidence_window=3, trace_confidence=measure)
    book = Confidences(settings)
    for at, chunk in enumerate((TOKENS[:2], TOKENS[2:])):
        book.take(TokensArrived(at=at, trace=7, text="", tokens=at, confidences=chunk))
    assert book.of(7) == pytest.approx(confidence)
    assert book.of(3) == 0.0

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.cluster import Clustering, Comparison, Join, Open, Reject
from tests.support.world import Chooser

Verdict = Callable[[int, int], float]
Decision = Join | Open | Reject

SOME_PROBABILITIES = st.one_of(
    st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.floats(0.0, 1.0, allow_nan=False)
)


def clustering(planned: int, **changes: Any) -> Clustering:
    settings: dict[str, Any] = {
        "tau": 0.5,
        "max_clusters": 32,
        "sample_members": 10,
        "when_full": "join",
        "bounds": True,
        "lookahead": 8,
        "seed": 0,
    }
    return Clustering(planned=planned, **{**settings, **changes})


def play(
    each: Clustering, order: Iterable[int], verdict: Verdict, choose: Chooser = lambda n: 0
) -> tuple[list[Decision], int]:
    """Everything arrives at once; comparisons are answered in the order that `choose` picks.

    Returns the decisions and the number of pairs asked.
    """
    for trace in order:
        each.arrive(trace)
    decisions: list[Decision] = []
    pending: list[Comparison] = []
    pairs = 0
    while True:
        decisions.extend(each.decide())
        pending.extend(each.comparisons())
        if not pending:
            return decisions, pairs
        question = pending.pop(choose(len(pending)))
        pairs += len(question.members)
        each.judged(
            question.trace,
            question.members,
            tuple(verdict(question.trace, member) for member in question.members),
        )


def by_the_paper(
    order: Iterable[int],
    verdict: Verdict,
    each: Clustering,
    *,
    tau: float,
    max_clusters: int,
    when_full: str,
) -> list[tuple[int, int | None]]:
    """The exhaustive rule written down plainly; `each` only draws the samples."""
    clusters = each.clusters
    assigned: list[tuple[int, int | None]] = []
    for trace in order:
        each.arrive(trace)  # draws its keys
        similarities = []
        for cluster in range(len(clusters)):
            sample = each.sample(trace, cluster)
            mean = math.fsum(verdict(trace, member) for member in sample) / len(sample)
            similarities.append(mean)
        best = max(range(len(clusters)), key=lambda c: (similarities[c], -c), default=None)
        chosen: int | None
        if best is not None and similarities[best] > tau:
            chosen = best
        elif len(clusters) < max_clusters:
            clusters.append([])
            chosen = len(clusters) - 1
        else:
            chosen = best if when_full == "join" else None
        if chosen is not None:
            clusters[chosen].append(trace)
        assigned.append((trace, chosen))
    return assigned


def assignment(decisions: Iterable[Decision]) -> list[tuple[int, int | None]]:
    return [(d.trace, None if isinstance(d, Reject) else d.cluster) for d in decisions]


@st.composite
def matrices(draw: st.DrawFn) -> tuple[list[list[float]], list[int]]:
    count = draw(st.integers(1, 9))
    rows = draw(
        st.lists(
            st.lists(SOME_PROBABILITIES, min_size=count, max_size=count),
            min_size=count,
            max_size=count,
        )
    )
    return rows, draw(st.permutations(range(count)))


@given(
    matrix=matrices(),
    tau=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    max_clusters=st.integers(1, 4),
    sample_members=st.integers(1, 4),
    when_full=st.sampled_from(["join", "drop"]),
    bounds=st.booleans(),
    lookahead=st.integers(1, 4),
    seed=st.integers(0, 3),
    data=st.data(),
)
def test_assigns_exactly_as_the_exhaustive_rule_whatever_is_left_out_and_whenever_verdicts_come(
    matrix: tuple[list[list[float]], list[int]],
    tau: float,
    max_clusters: int,
    sample_members: int,
    when_full: str,
    bounds: bool,
    lookahead: int,
    seed: int,
    data: st.DataObject,
) -> None:
    rows, order = matrix

    def verdict(trace: int, member: int) -> float:
        return rows[trace][member]

    limits: dict[str, Any] = {"tau": tau, "max_clusters": max_clusters, "when_full": when_full}
    shared = {**limits, "sample_members": sample_members, "seed": seed}
    expected = by_the_paper(order, verdict, clustering(len(rows), **shared), **limits)
    decisions, _ = play(
        clustering(len(rows), **shared, bounds=bounds, lookahead=lookahead),
        order,
        verdict,
        lambda n: data.draw(st.integers(0, n - 1)),
    )
    assert assignment(decisions) == expected


def two_kinds(trace: int, member: int) -> float:
    return 0.95 if trace % 2 == member % 2 else 0.05


def test_bounds_save_most_calls_once_clusters_are_large() -> None:
    with_bounds, few = play(clustering(60, lookahead=1), range(60), two_kinds)
    without, many = play(clustering(60, lookahead=1, bounds=False), range(60), two_kinds)
    assert assignment(with_bounds) == assignment(without)
    assert few < 0.7 * many


def test_every_cluster_is_asked_for_one_member_first_and_then_the_most_promising() -> None:
    each = clustering(8, lookahead=1)
    play(each, [0, 2, 4, 1, 3], two_kinds)
    assert each.clusters == [[0, 2, 4], [1, 3]]
    each.arrive(6)
    (question,) = each.comparisons()
    assert [member % 2 for member in question.members] == [0, 1]
    each.judged(6, question.members, (0.95, 0.05))
    (question,) = each.comparisons()
    assert [member % 2 for member in question.members] == [0]  # 2 * 0.95 / 3 > 1.05 / 2


def test_a_lone_cluster_is_asked_only_until_its_mean_must_pass_tau() -> None:
    each = clustering(12, lookahead=1)
    _, _pairs = play(each, range(11), lambda trace, member: 0.9)
    each.arrive(11)
    asked = 0
    while each.waiting:
        for question in each.comparisons():
            asked += len(question.members)
            each.judged(question.trace, question.members, (0.9,) * len(question.members))
        each.decide()
    assert asked == 6  # 6 * 0.9 / 10 > 0.5


def test_two_equal_traces_that_arrive_together_share_a_cluster() -> None:
    each = clustering(3)
    decisions, _ = play(each, [2, 0, 1], lambda trace, member: 0.9)
    assert decisions[0] == Open(2, 0, None)
    assert [type(d) for d in decisions[1:]] == [Join, Join]
    assert each.clusters == [[2, 0, 1]]


def test_a_waiting_trace_is_judged_against_a_cluster_that_opened_meanwhile() -> None:
    each = clustering(3)
    each.arrive(0)
    each.decide()
    each.arrive(1)
    each.arrive(2)
    first, second = each.comparisons()
    each.judged(second.trace, second.members, (0.0,))  # the later one is answered first
    assert each.decide() == []
    each.judged(first.trace, first.members, (0.0,))
    assert each.decide() == [Open(1, 1, 0.0)]
    (again,) = each.comparisons()
    assert again == (2, (1,))


def test_a_similarity_equal_to_tau_does_not_join() -> None:
    decisions, _ = play(clustering(2), [0, 1], lambda trace, member: 0.5)
    assert decisions[1] == Open(1, 1, 0.5)


def test_with_one_cluster_and_an_unreachable_tau_everyone_joins_unasked() -> None:
    each = clustering(2, max_clusters=1, tau=1.0)
    decisions, pairs = play(each, [0, 1], lambda trace, member: 0.3)
    assert decisions[1] == Join(1, 0, None)
    assert pairs == 0


def test_a_trace_that_gave_up_does_not_hold_up_the_others() -> None:
    each = clustering(3)
    for trace in range(3):
        each.arrive(trace)
    each.decide()
    questions = {question.trace: question for question in each.comparisons()}
    each.judged(2, questions[2].members, (0.9,))
    assert each.decide() == []
    each.give_up(1)
    each.give_up(1)  # once is enough, twice does no harm
    assert each.decide() == [Join(2, 0, 0.9)]
    assert each.waiting == ()


def test_a_verdict_on_a_trace_that_gave_up_changes_nothing() -> None:
    each = clustering(3)
    each.arrive(0)
    each.arrive(1)
    each.decide()
    (question,) = each.comparisons()
    each.give_up(1)
    each.judged(question.trace, question.members, (1.0,))
    assert (each.waiting, each.decide(), each.comparisons()) == ((), [], [])


def test_at_most_lookahead_traces_are_judged_side_by_side() -> None:
    each = clustering(9, lookahead=3)
    each.arrive(0)
    each.decide()
    for trace in range(1, 9):
        each.arrive(trace)
    assert [question.trace for question in each.comparisons()] == [1, 2, 3]
    assert each.comparisons() == []


def test_the_sample_is_a_draw_without_replacement_that_differs_between_traces() -> None:
    each = clustering(200, sample_members=5)
    each.clusters.append(list(range(100)))
    samples = set()
    for trace in range(100, 130):
        each.arrive(trace)
        sample = each.sample(trace, 0)
        assert len(set(sample)) == 5
        samples.add(sample)
    assert len(samples) == 30


def test_a_wrong_number_of_verdicts_is_refused() -> None:
    each = clustering(2)
    with pytest.raises(ValueError, match="argument"):
        each.judged(1, (0,), ())


def test_a_lower_tau_lets_a_waiting_trace_join_by_the_verdicts_that_it_has() -> None:
    each = clustering(3, lookahead=2)
    for trace in range(3):
        each.arrive(trace)
    each.decide()
    second, third = each.comparisons()
    each.judged(third.trace, third.members, (0.4,))
    assert (each.tau, each.decide(), each.comparisons()) == (0.5, [], [])  # it waits for the second
    each.tau = 0.3
    each.judged(second.trace, second.members, (0.2,))
    assert each.decide() == [Open(1, 1, 0.2)]
    (again,) = each.comparisons()
    each.judged(2, again.members, (0.1,))
    assert (each.tau, each.decide()) == (0.3, [Join(2, 0, 0.4)])


# --- the first match ------------------------------------------------------------------------------


def by_first_match(
    order: Iterable[int], verdict: Verdict, each: Clustering, *, tau: float, max_clusters: int
) -> list[tuple[int, int | None]]:
    """The first cluster above tau, largest first, written down plainly; `each` only draws the samples."""
    clusters = each.clusters
    assigned: list[tuple[int, int | None]] = []
    for trace in order:
        each.arrive(trace)
        means = {}
        for cluster in sorted(range(len(clusters)), key=lambda c: (-len(clusters[c]), c)):
            sample = each.sample(trace, cluster)
            means[cluster] = math.fsum(verdict(trace, member) for member in sample) / len(sample)
        chosen = next((cluster for cluster, mean in means.items() if mean > tau), None)
        if chosen is None and len(clusters) < max_clusters:
            clusters.append([])
            chosen = len(clusters) - 1
        if chosen is not None:
            clusters[chosen].append(trace)
        assigned.append((trace, chosen))
    return assigned


@given(
    matrix=matrices(),
    tau=st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
    max_clusters=st.integers(1, 4),
    sample_members=st.integers(1, 4),
    bounds=st.booleans(),
    lookahead=st.integers(1, 4),
    data=st.data(),
)
def test_the_first_match_is_found_whatever_is_left_out_and_whenever_verdicts_come(
    matrix: tuple[list[list[float]], list[int]],
    tau: float,
    max_clusters: int,
    sample_members: int,
    bounds: bool,
    lookahead: int,
    data: st.DataObject,
) -> None:
    rows, order = matrix

    def verdict(trace: int, member: int) -> float:
        return rows[trace][member]

    shared: dict[str, Any] = {
        "tau": tau,
        "max_clusters": max_clusters,
        "sample_members": sample_members,
        "when_full": "drop",
    }
    expected = by_first_match(
        order, verdict, clustering(len(rows), **shared), tau=tau, max_clusters=max_clusters
    )
    decisions, _ = play(
        clustering(len(rows), **shared, match="first", bounds=bounds, lookahead=lookahead),
        order,
        verdict,
        lambda n: data.draw(st.integers(0, n - 1)),
    )
    assert assignment(decisions) == expected


@given(matrix=matrices(), certainty=st.sampled_from([0.0, 0.5, 2.0]), data=st.data())
def test_a_first_match_by_certainty_does_not_depend_on_when_verdicts_come(
    matrix: tuple[list[list[float]], list[int]], certainty: float, data: st.DataObject
) -> None:
    rows, order = matrix

    def verdict(trace: int, member: int) -> float:
        return rows[trace][member]

    def assigned(lookahead: int, choose: Chooser) -> list[tuple[int, int | None]]:
        each = clustering(
            len(rows), match="first", certainty=certainty, max_clusters=2, lookahead=lookahead
        )
        return assignment(play(each, order, verdict, choose)[0])

    assert assigned(4, lambda n: data.draw(st.integers(0, n - 1))) == assigned(1, lambda n: 0)


def test_the_first_match_asks_the_largest_cluster_first_and_no_other_once_it_matches() -> None:
    each = clustering(8, lookahead=1, match="first")
    play(each, [1, 0, 2, 4, 3], two_kinds)
    assert each.clusters == [[1, 3], [0, 2, 4]]
    each.arrive(6)
    asked: list[int] = []
    while each.waiting:
        for question in each.comparisons():
            asked.extend(question.members)
            each.judged(6, question.members, (0.95,) * len(question.members))
        decisions = each.decide()
    assert {member % 2 for member in asked} == {0}
    assert decisions == [Join(6, 1, 0.95)]


def test_certainty_asks_fewer_pairs_and_the_full_house_takes_the_closest() -> None:
    sure, many = play(clustering(60, lookahead=1, match="first"), range(60), two_kinds)
    likely, few = play(
        clustering(60, lookahead=1, match="first", certainty=1.0), range(60), two_kinds
    )
    assert assignment(likely) == assignment(sure)
    assert few < 0.6 * many
    third = clustering(3, match="first", max_clusters=2)
    decisions, _ = play(third, range(3), lambda trace, member: 0.1 + 0.2 * member)
    last = decisions[-1]
    assert isinstance(last, Join)
    assert (last.trace, last.cluster) == (2, 1)
    assert last.similarity == pytest.approx(0.3)

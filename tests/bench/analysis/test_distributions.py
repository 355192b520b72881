"""Lengths of traces by their fate, and sizes of clusters."""

from bench.analysis.distributions import distributions
from tests.support.outcomes import outcomes


def test_traces_are_counted_by_length_and_fate() -> None:
    lengths = {"finished": (100, 100), "pruned": (10, 0)}
    (found,) = distributions(outcomes("m", [1, 0], 210, lengths=lengths, clusters=(2, 1)))
    assert {fate: sum(counts) for fate, counts in found.traces.items()} == {
        "finished": 4,
        "pruned": 2,
    }
    assert found.tokens == {"finished": 200.0, "pruned": 10.0}
    assert found.clusters == {1: 2, 2: 2}


def test_lengths_below_the_first_bin_are_counted_in_it() -> None:
    (found,) = distributions(outcomes("m", [1], 0, lengths={"finished": (1, 7, 40_000)}))
    assert found.edges[0] == 40.0
    assert found.edges[-1] > 40_000
    assert (found.traces["finished"][0], found.traces["finished"][-1]) == (2, 1)


def test_the_policies_of_a_file_share_their_bins() -> None:
    short = outcomes("short", [1], 10, lengths={"finished": (10,)})
    long = outcomes("long", [1], 900, lengths={"finished": (900,)})
    one, other = distributions([*short, *long])
    assert one.edges == other.edges


def test_outcomes_without_lengths_have_no_distribution() -> None:
    assert distributions(outcomes("m", [1], 5)) == []

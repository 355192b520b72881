"""Samples of recorded traces, and the halves of the questions."""

from bench.data.sampling import half_of, sample_traces, traces_of_half
from tests.support.recordings import recorded

QUESTION = recorded(*[(10 + i, "1") for i in range(12)])


def test_a_sample_is_without_replacement_and_the_same_for_every_policy() -> None:
    sample = sample_traces(QUESTION, 8, seed=0, resample=3)
    assert len(set(sample)) == 8
    assert sample_traces(QUESTION, 4, seed=0, resample=3) == sample[:4]
    assert sample_traces(QUESTION, 8, seed=0, resample=4) != sample
    assert sample_traces(QUESTION, 8, seed=1, resample=3) != sample


def test_a_question_with_fewer_traces_gives_all_of_them() -> None:
    assert sorted(sample_traces(QUESTION, 99, seed=0, resample=0)) == list(range(12))


def test_the_half_of_a_question_depends_on_its_text_alone() -> None:
    halves = [half_of(recorded((1, "1"), question=f"q{i}")) for i in range(40)]
    assert set(halves) == {"tune", "report"}
    assert halves == [half_of(recorded((9, "2"), question=f"q{i}")) for i in range(40)]


def test_tuning_and_reporting_draw_from_traces_that_they_do_not_share() -> None:
    odd = recorded(*[(10 + i, "1") for i in range(13)])
    tune, report = traces_of_half(odd, "tune"), traces_of_half(odd, "report")
    assert sorted(tune + report) == list(range(13))
    assert (len(tune), len(report)) == (7, 6)
    for seed in range(5):
        drawn = sample_traces(odd, 99, seed=seed, resample=seed, half="tune")
        assert sorted(drawn) == tune
    assert traces_of_half(odd, "all") == list(range(13))

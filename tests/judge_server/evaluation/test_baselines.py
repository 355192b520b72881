"""The untrained baselines, by hand and beside scikit-learn."""

import pytest
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.metrics.pairwise import cosine_similarity

from judge_server.data.pairs import Pair
from judge_server.evaluation.baselines import distinct_segments, overlap, tfidf, words
from judge_server.evaluation.scoring import Scorer

ALL = (overlap, words, tfidf)


def pair(new: str, member: str) -> Pair:
    return Pair("q", "How many?", new, member, same=True)


def nothing(done: float) -> None:
    pass


def test_overlap_is_the_share_of_the_shorter_list_of_numbers() -> None:
    assert overlap([pair("2 + 3.5 = 5.5, so 5.5", "maybe 5.5 and 7")], nothing) == [1 / 2]


def test_without_numbers_there_is_no_overlap() -> None:
    assert overlap([pair("so", "so 4"), pair("", "")], nothing) == [0.0, 0.0]


def test_words_in_common_are_counted_once_in_any_case() -> None:
    assert words([pair("So so 4", "so 5")], nothing) == [1 / 3]


def test_tf_idf_is_the_cosine_of_scikit_learn() -> None:
    pairs = [pair("so 4 is it", "so it is 4 or 5"), pair("wait", "so 4 is it")]
    segments = distinct_segments(pairs)
    vectors = TfidfVectorizer(token_pattern=r"\w+").fit_transform(segments)
    expected = [
        cosine_similarity(vectors[segments.index(p.new)], vectors[segments.index(p.member)])[0, 0]
        for p in pairs
    ]
    assert tfidf(pairs, nothing) == pytest.approx(expected)
    assert tfidf(pairs, nothing)[1] == 0.0


def test_segments_without_words_are_not_alike() -> None:
    assert tfidf([pair("...", "!")], nothing) == [0.0]
    assert words([pair("...", "!")], nothing) == [0.0]


@pytest.mark.parametrize("baseline", ALL)
def test_the_order_of_a_pair_does_not_matter_and_a_segment_is_like_itself(baseline: Scorer) -> None:
    there, back, itself = baseline(
        [pair("so 4 and 5", "wait 5"), pair("wait 5", "so 4 and 5"), pair("so 4", "so 4")], nothing
    )
    assert there == pytest.approx(back)
    assert itself == pytest.approx(1.0)
    assert 0.0 < there <= itself
    assert (there < itself) is (baseline is not overlap)  # it divides by the smaller set


@pytest.mark.parametrize("baseline", ALL)
def test_no_pairs_have_no_scores(baseline: Scorer) -> None:
    assert baseline([], nothing) == []

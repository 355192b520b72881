"""The head of an embedding-head judge, worked by hand."""

import math

import pytest

from orchestrator.core.embedding_head import EmbeddingHead
from orchestrator.core.judging import JudgeSpec, pair_prompt

HEAD = EmbeddingHead(
    projection=[[2.0, 0.0]], offset=[-1.0], weights=[0.5, 1.0, -3.0, 2.0], bias=0.25
)


def test_a_vector_counts_by_its_direction() -> None:
    one, two = HEAD.project([[3.0, 4.0], [30.0, 40.0]])
    assert one == pytest.approx([2.0 * 0.6 - 1.0])
    assert one == pytest.approx(two)


def test_the_score_is_linear_in_both_their_distance_and_their_product() -> None:
    expected = 0.5 * 0.2 + 1.0 * -0.4 - 3.0 * 0.6 + 2.0 * -0.08 + 0.25
    assert HEAD.probability([0.2], [-0.4]) == pytest.approx(1.0 / (1.0 + math.exp(-expected)))


def test_a_score_beyond_the_numbers_of_a_machine_is_certain() -> None:
    assert HEAD.probability([0.0], [1e6]) == 0.0
    assert HEAD.probability([1e6], [1e6]) == 1.0


@pytest.mark.parametrize("vectors", [[[1.0]], [[1.0, 2.0, 3.0]], [[0.0, 0.0]], [[math.nan, 1.0]]])
def test_vectors_of_another_model_are_refused(vectors: list[list[float]]) -> None:
    with pytest.raises(ValueError, match=r"numbers|direction"):
        HEAD.project(vectors)


@pytest.mark.parametrize(
    "wrong",
    [
        EmbeddingHead(projection=[], offset=[], weights=[], bias=0.0),
        EmbeddingHead(
            projection=[[1.0], [1.0, 2.0]], offset=[0.0] * 2, weights=[0.0] * 8, bias=0.0
        ),
        EmbeddingHead(projection=[[1.0]], offset=[0.0], weights=[0.0] * 3, bias=0.0),
        EmbeddingHead(projection=[[1.0]], offset=[math.inf], weights=[0.0] * 4, bias=0.0),
    ],
)
def test_a_head_whose_parts_do_not_fit_is_refused(wrong: EmbeddingHead) -> None:
    HEAD.check()
    with pytest.raises(ValueError, match=r"matrix|fit|finite"):
        wrong.check()


SPEC = {
    "name": "test",
    "kind": "embedding-head",
    "model": "m",
    "instruction": "Solve.",
    "markup_before": "<",
    "markup_after": ">",
}


def test_both_segments_stand_in_the_same_text() -> None:
    around = {
        "query": "{instruction} {question}: {new}",
        "item": "{instruction} {question}: {member}",
    }
    spec = JudgeSpec.model_validate(SPEC | around)
    prompt = pair_prompt(spec, question="1 + 1?", new="{member}", member="two")
    assert (prompt.query, prompt.item) == ("<Solve. 1 + 1?: {member}>", "<Solve. 1 + 1?: two>")


def test_other_words_around_one_segment_are_refused() -> None:
    with pytest.raises(ValueError, match="differ in"):
        JudgeSpec.model_validate(SPEC | {"query": "A: {new}", "item": "B: {member}"})

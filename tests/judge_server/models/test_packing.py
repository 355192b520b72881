"""Packs change the price of a score, never the score."""

from random import Random

import pytest
import torch

from judge_server.data.pairs import Pair
from judge_server.models.causal import CausalJudge
from judge_server.models.packing import Pack, collate, make_batches, make_packs
from orchestrator.core.judging import JudgeSpec, pair_prompt
from orchestrator.errors import ConfigError

pytestmark = pytest.mark.slow  # imports torch

QUESTION = "Ann has 4 nuts?"


def pair(new: str, member: str, same: bool = True) -> Pair:
    return Pair(question_id="q", question=QUESTION, new=new, member=member, same=same)


PAIRS = [
    pair("so 4+1=5", "thus 5"),
    pair("so 4+1=5", "hmm 4-1=3, so 3 at last", same=False),
    pair("wait", "so 4+1=5"),
    pair("so 4+1=5", "thus 5"),
]


def alone(judge: CausalJudge, one: Pair) -> float:
    """The score by the book: query ids + item ids, one sequence, no mask."""
    prompt = pair_prompt(judge.spec, question=one.question, new=one.new, member=one.member)
    ids = torch.tensor([judge.encode(prompt.query) + judge.encode(prompt.item)])
    with torch.inference_mode():
        logits = judge.model(input_ids=ids).logits[0, -1, list(judge.network.label_ids)]
    return float(logits.softmax(-1)[0])


def test_a_packed_pair_scores_what_it_scores_alone(judge: CausalJudge) -> None:
    judge.network.eval()
    expected = [alone(judge, one) for one in PAIRS]
    assert judge.scores(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert len({round(score, 4) for score in expected}) > 1


def test_gradients_flow_to_each_pair_as_if_alone(judge: CausalJudge) -> None:
    batch = judge.collate(judge.packs(PAIRS, longest=900))
    judge.network(batch).logits[:, 0].sum().backward()
    packed = judge.model.lm_head.weight.grad.clone()
    judge.model.zero_grad()
    for one in PAIRS:
        single = judge.collate(judge.packs([one], longest=None))
        judge.network(single).logits[:, 0].sum().backward()
    assert torch.allclose(packed, judge.model.lm_head.weight.grad, atol=1e-4)


def test_pairs_with_the_same_new_trace_share_one_query(judge: CausalJudge, spec: JudgeSpec) -> None:
    packs = make_packs(PAIRS, spec, judge.encode, context=900, longest=900)
    assert [[number for number, _ in pack.pairs] for pack in packs] == [[0, 1, 3], [2]]


def test_a_pair_shown_twice_is_computed_once(judge: CausalJudge, spec: JudgeSpec) -> None:
    pack = make_packs(PAIRS, spec, judge.encode, context=900, longest=900)[0]
    assert len(pack.items) == 2
    assert pack.pairs == [(0, 0), (1, 1), (3, 0)]


def test_no_pack_is_longer_than_the_limit(spec: JudgeSpec) -> None:
    pairs = [pair("so", f"member number {n}") for n in range(50)]
    packs = make_packs(pairs, spec, lambda text: list(text.encode()), context=900, longest=400)
    assert all(pack.tokens <= 400 for pack in packs)
    assert sorted(number for pack in packs for number, _ in pack.pairs) == list(range(50))


def test_a_pair_that_does_not_fit_is_named(spec: JudgeSpec) -> None:
    with pytest.raises(ConfigError, match=r"question q takes .* lower max_segment_chars"):
        make_packs([pair("so" * 100, "x")], spec, lambda text: list(text.encode()), context=200)


def test_a_pair_longer_than_a_pack_is_a_pack_of_its_own(spec: JudgeSpec) -> None:
    pairs = [pair("so", "x" * 60), pair("so", "y" * 60)]
    packs = make_packs(pairs, spec, lambda text: list(text.encode()), context=900, longest=1)
    assert [pack.pairs for pack in packs] == [[(0, 0)], [(1, 0)]]


def test_without_packing_each_showing_of_a_pair_stands_alone(
    judge: CausalJudge, spec: JudgeSpec
) -> None:
    packs = make_packs(PAIRS, spec, judge.encode, context=900)
    assert [pack.pairs for pack in packs] == [[(number, 0)] for number in range(4)]


def test_packs_of_one_item_need_no_mask_and_score_the_same(judge: CausalJudge) -> None:
    judge.network.eval()
    batch = judge.collate(judge.packs(PAIRS, longest=None))
    assert batch.mask is None
    with torch.inference_mode():
        logits = judge.network(batch).logits
    assert logits.softmax(-1)[:, 0].tolist() == pytest.approx(judge.scores(PAIRS), abs=1e-5)


def test_an_item_attends_to_the_query_and_itself_only() -> None:
    batch = collate(
        [Pack([1, 2], [[3, 4], [5]], [(0, 0), (1, 1)]), Pack([6], [[7]], [(2, 0)])], padding_id=0
    )
    assert batch.mask is not None
    seen = batch.mask[0, 0].int().tolist()
    assert seen == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [1, 1, 1, 1, 0],
        [1, 1, 0, 0, 1],
    ]
    assert batch.positions[0].tolist() == [0, 1, 2, 3, 2]
    assert batch.ids[1].tolist() == [6, 7, 0, 0, 0]
    assert batch.rows.tolist() == [0, 0, 1]
    assert batch.ends.tolist() == [3, 4, 1]
    assert batch.pairs.tolist() == [0, 1, 2]
    assert batch.next_ids[0].tolist() == [-100, -100, 4, -100, -100]
    assert batch.mask.any(-1).all()  # every token attends to some token


def test_batches_hold_every_pack_once_and_respect_the_size() -> None:
    packs = [Pack([0] * (n % 7 + 1), [[0] * (n % 5 + 1)], [(n, 0)]) for n in range(60)]
    batches = make_batches(packs, tokens=40, rng=Random(0))
    assert sorted(pack.pairs[0][0] for batch in batches for pack in batch) == list(range(60))
    assert all(len(b) == 1 or len(b) * max(p.tokens for p in b) <= 40 for b in batches)


def test_batches_respect_the_number_of_pairs() -> None:
    packs = [Pack([0] * (n % 7 + 1), [[0]], [(n, 0)]) for n in range(20)]
    batches = make_batches(packs, tokens=10_000, pairs=3, rng=Random(0))
    assert sorted(len(batch) for batch in batches) == [2] + [3] * 6


def test_packs_of_a_group_stay_together() -> None:
    packs = [Pack([0] * (n % 7 + 1), [[0]], [(n, 0)]) for n in range(40)]
    batches = make_batches(
        packs, tokens=10_000, pairs=5, rng=Random(0), group=lambda pack: pack.pairs[0][0] % 4
    )
    assert all(len({pack.pairs[0][0] % 4 for pack in batch}) == 1 for batch in batches)


def test_without_a_generator_the_batches_are_always_the_same() -> None:
    packs = [Pack([0] * (n % 7 + 1), [[0]], [(n, 0)]) for n in range(20)]
    assert make_batches(packs, tokens=30, rng=None) == make_batches(packs, tokens=30, rng=None)

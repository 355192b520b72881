"""Steps are fixed by pairs and settings, and shared out whole."""

import pytest

from judge_server.models.packing import Pack
from judge_server.training.schedule import deal, make_plan
from judge_server.training.settings import TrainSettings

pytestmark = pytest.mark.slow  # imports torch

PACKS = [Pack([0] * (n % 5 + 1), [[0]] * (n % 3 + 1), [(n, 0)] * (n % 3 + 1)) for n in range(40)]
QUESTIONS = [n % 4 for n in range(40)]
SETTINGS = TrainSettings(epochs=3, batch_pairs=4, batches_per_step=3)


def test_every_epoch_shows_every_pack_once_in_another_order() -> None:
    plan = make_plan(PACKS, QUESTIONS, SETTINGS)
    orders = [
        [pack.pairs[0][0] for step in epoch for batch in step for pack in batch]
        for epoch in plan.epochs
    ]
    assert all(sorted(order) == list(range(40)) for order in orders)
    assert orders[0] != orders[1] != orders[2]
    assert plan == make_plan(PACKS, QUESTIONS, SETTINGS)


def test_a_step_has_its_number_of_batches_and_only_the_last_of_an_epoch_has_fewer() -> None:
    for epoch in make_plan(PACKS, QUESTIONS, SETTINGS).epochs:
        assert {len(step) for step in epoch[:-1]} == {3}
        assert 1 <= len(epoch[-1]) <= 3


def test_the_steps_left_go_on_where_the_training_stopped() -> None:
    plan = make_plan(PACKS, QUESTIONS, SETTINGS)
    numbered = [pair for epoch in range(3) for pair in plan.left(epoch, done=0)]
    assert [number for number, _ in numbered] == list(range(1, plan.steps + 1))
    stopped = plan.end(0) + 2
    rest = [pair for epoch in (1, 2) for pair in plan.left(epoch, done=stopped)]
    assert rest == numbered[stopped:]
    assert plan.left(1, done=plan.end(1)) == []


@pytest.mark.parametrize("processes", [1, 2, 3, 4, 8])
def test_processes_share_a_step_without_gap_or_repetition(processes: int) -> None:
    batches = [[pack] for pack in PACKS[:5]]
    rounds = -(-8 // processes)  # a full step would have 8 batches
    dealt = [
        deal(batches, rounds=rounds, processes=processes, process=process)
        for process in range(processes)
    ]
    assert {len(of_process) for of_process in dealt} == {rounds}
    counted = [batch for of_process in dealt for batch in of_process if batch.fraction]
    assert sorted(batch.place for batch in counted) == [0, 1, 2, 3, 4]
    assert all(batch.packs is batches[batch.place] for batch in counted)
    assert sum(batch.fraction for batch in counted) == pytest.approx(1.0)


def test_a_batch_has_the_fraction_of_its_pairs() -> None:
    batches = [[PACKS[0]], [PACKS[2]]]  # one pair, three pairs
    dealt = deal(batches, rounds=2, processes=1, process=0)
    assert [batch.fraction for batch in dealt] == [0.25, 0.75]


def test_where_pairs_are_ranked_a_batch_is_of_one_question_mostly() -> None:
    settings = SETTINGS.model_copy(update={"ranking_weight": 1.0, "batch_pairs": 6})
    batches = [
        batch
        for epoch in make_plan(PACKS, QUESTIONS, settings).epochs
        for step in epoch
        for batch in step
    ]
    several = sum(len({QUESTIONS[pack.pairs[0][0]] for pack in batch}) > 1 for batch in batches)
    assert several <= 3 * 3  # only where one question ends and the next begins

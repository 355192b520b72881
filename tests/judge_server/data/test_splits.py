"""The split of each question: by fractions, or by folds."""

from collections.abc import Iterable

from judge_server.data.splits import Fold, Split, assign_splits, split_of

QUESTIONS = [f"q{n}" for n in range(74)]


def in_fold(questions: Iterable[str], number: int, *, seed: int = 0) -> dict[str, Split]:
    return assign_splits(questions, validation=0.2, test=0.3, seed=seed, fold=Fold(number, 5))


def test_the_split_depends_on_the_question_alone_and_the_fractions_are_kept() -> None:
    names = [f"q{n}" for n in range(5_000)]
    splits = assign_splits(names, validation=0.1, test=0.2, seed=3)
    assert splits == {name: split_of(name, validation=0.1, test=0.2, seed=3) for name in names}
    assert abs(list(splits.values()).count("test") / 5_000 - 0.2) < 0.02
    assert abs(list(splits.values()).count("validation") / 5_000 - 0.1) < 0.02
    assert assign_splits(names[:9], validation=0.1, test=0.2, seed=3) == dict(
        list(splits.items())[:9]
    )


def test_every_question_is_tested_in_one_fold_and_folds_are_of_like_size() -> None:
    tested = []
    for number in range(5):
        splits = in_fold(QUESTIONS, number)
        tested.append([name for name in QUESTIONS if splits[name] == "test"])
        assert {"train", "validation"} <= set(splits.values())
    assert sorted(len(names) for names in tested) == [14, 15, 15, 15, 15]
    assert sorted(name for names in tested for name in names) == sorted(QUESTIONS)


def test_folds_do_not_depend_on_the_order_of_the_questions() -> None:
    assert in_fold(reversed(QUESTIONS), 1) == in_fold(QUESTIONS, 1)


def test_another_seed_gives_other_folds() -> None:
    assert in_fold(QUESTIONS, 1, seed=1) != in_fold(QUESTIONS, 1)

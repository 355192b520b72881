"""The fixed questions, and that nothing else is one of them."""

from nano.questions import (
    FIXED_QUESTIONS,
    FIXED_SEED,
    fixed_question_texts,
    fresh_questions,
    make_fixed_questions,
)
from orchestrator.questions import read_questions


def test_the_file_holds_two_hundred_different_questions_with_whole_answers() -> None:
    questions = read_questions(FIXED_QUESTIONS)
    assert len(questions) == 200
    assert len({question.id for question in questions}) == 200
    assert len({question.question for question in questions}) == 200
    assert all(0 < int(question.gold or 0) < 200 for question in questions)
    assert all(question.gold == str(int(question.gold or 0)) for question in questions)


def test_the_file_is_what_the_generator_makes() -> None:
    assert read_questions(FIXED_QUESTIONS) == make_fixed_questions()


def test_fresh_questions_are_never_fixed_ones_even_from_the_fixed_seed() -> None:
    fixed = fixed_question_texts()
    for seed in (1, 7, FIXED_SEED):
        fresh = fresh_questions(300, seed)
        assert len({question.id for question in fresh}) == 300
        assert not fixed & {question.question for question in fresh}

"""Token ids of recorded traces."""

import pytest

from bench.data.recorded import RecordedTrace
from bench.mock_server.tokens import TokenPosition, position_of, prompt_ids, token_id, token_text


@pytest.mark.parametrize(
    "position",
    [
        TokenPosition(0, 0, 0),
        TokenPosition(3, 127, 41_000),
        TokenPosition(99, 4095, (1 << 18) - 1),
    ],
)
def test_the_last_id_tells_the_trace_and_the_position(position: TokenPosition) -> None:
    assert position_of([*prompt_ids(position.question), token_id(position)]) == position
    assert token_id(position) < 2**31


def test_a_prompt_tells_its_question() -> None:
    assert position_of(prompt_ids(7)) == 7


@pytest.mark.parametrize("ids", [[], [0], [-5], [1 << 20], [1, 0], [1, 2**31 - 1]])
def test_other_ids_are_refused(ids: list[int]) -> None:
    with pytest.raises(ValueError, match="of a recording"):
        position_of(ids)


def test_the_tokens_of_a_trace_make_up_its_text() -> None:
    trace = RecordedTrace(tokens=7, answer="1", text="a text of some length")
    assert "".join(token_text(trace, n) for n in range(7)) == trace.text


def test_a_trace_without_text_ends_with_its_boxed_answer() -> None:
    trace = RecordedTrace(tokens=3, answer="4")
    assert "".join(token_text(trace, n) for n in range(3)) == r".. \boxed{4}"
    assert token_text(RecordedTrace(tokens=1, answer=None), 0) == "."

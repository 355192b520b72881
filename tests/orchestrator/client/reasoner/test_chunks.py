"""The events of a stream folded into chunks, and the confidences of their tokens."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.client.reasoner.chunks import ChunkFold, token_confidences
from orchestrator.client.reasoner.sse import Logprobs, decode_event
from orchestrator.errors import StreamBroken


def choice(usage: int | None = None, **fields: Any) -> bytes:
    event: dict[str, Any] = {"choices": [fields]}
    if usage is not None:
        event["usage"] = {"prompt_tokens": 5, "completion_tokens": usage}
    return json.dumps(event).encode()


def test_several_events_of_one_read_become_one_chunk() -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="a", token_ids=[7]), choice(2, text="b", token_ids=[8])])
    chunk = fold.take()
    assert chunk is not None
    assert (chunk.text, chunk.token_ids, chunk.generated) == ("ab", (7, 8), 2)
    assert chunk.prompt_tokens == 5
    assert fold.take() is None


def test_continuous_usage_takes_precedence_over_the_token_ids() -> None:
    fold = ChunkFold()
    fold.feed([choice(3, text="a", token_ids=[7, 8])])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.generated == 3


def test_without_usage_the_token_ids_are_counted() -> None:
    fold = ChunkFold()
    fold.feed([choice(text="a", token_ids=[7]), choice(text="", token_ids=[8, 9])])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.generated == 3
    assert not fold.counter.is_continuous


def test_without_usage_and_ids_the_events_with_text_are_counted_until_the_final_usage() -> None:
    fold = ChunkFold()
    fold.feed([choice(delta={"role": "assistant", "content": ""}), choice(delta={"content": "a"})])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.generated == 1
    final = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}
    fold.feed([choice(delta={}, finish_reason="stop"), json.dumps(final).encode(), b"[DONE]"])
    assert fold.last().generated == 4
    assert not fold.counter.is_continuous


def test_a_token_without_text_makes_a_chunk() -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="", token_ids=[7])])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.token_ids == (7,)


def test_the_final_usage_has_the_cached_prompt_tokens() -> None:
    fold = ChunkFold()
    usage = {
        "prompt_tokens": 64,
        "completion_tokens": 1,
        "prompt_tokens_details": {"cached_tokens": 48},
    }
    fold.feed([choice(1, text="a", finish_reason="length"), json.dumps({"usage": usage}).encode()])
    chunk = fold.last()
    assert (chunk.text, chunk.finish_reason) == ("a", "length")
    assert (chunk.prompt_tokens, chunk.cached_prompt_tokens) == (64, 48)


def test_events_before_an_invalid_one_are_kept() -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="a"), b"nonsense", choice(3, text="b")])
    chunk = fold.take()
    assert chunk is not None
    assert (chunk.text, chunk.generated, chunk.discarded) == ("a", 3, 2)
    with pytest.raises(StreamBroken, match="cannot be read"):
        fold.last()


@pytest.mark.parametrize("number", [2**31, -(2**40), 10**30])
def test_an_id_that_no_vocabulary_has_cannot_be_read(number: int) -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="a", token_ids=[7]), choice(2, text="b", token_ids=[number])])
    chunk = fold.take()
    assert chunk is not None
    assert (chunk.text, chunk.token_ids) == ("a", (7,))
    with pytest.raises(StreamBroken, match="cannot be read"):
        fold.last()


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_request_that_the_server_dropped_is_a_broken_stream(reason: str) -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="a", finish_reason=reason)])
    assert fold.ended
    with pytest.raises(StreamBroken):
        fold.last()


CERTAIN = {"token_id:1": -0.1, "token_id:2": -5.9}
DOUBTFUL = {"token_id:3": -0.7, "token_id:4": -0.9}


def logprobs(*positions: Mapping[str, float] | None) -> Logprobs:
    return Logprobs(top_logprobs=[None if each is None else dict(each) for each in positions])


def completion(*positions: dict[str, float]) -> bytes:
    """An event of a completions stream with these tokens."""
    choice = {"text": "a", "logprobs": {"top_logprobs": positions}}
    return json.dumps({"choices": [choice], "usage": {"completion_tokens": 9}}).encode()


def confidences(events: list[bytes], top: int | None = 2) -> tuple[float, ...]:
    fold = ChunkFold(top_logprobs=top)
    fold.feed(events)
    chunk = fold.take()
    assert chunk is not None
    return chunk.confidences


def test_the_confidence_is_minus_the_mean_logprob_of_the_likeliest_tokens() -> None:
    assert token_confidences(logprobs(CERTAIN, DOUBTFUL), 2) == [3.0, 0.8]


def test_a_sampled_token_that_is_none_of_the_likeliest_is_left_out() -> None:
    unlikely = {**CERTAIN, "token_id:9": -12.0}
    assert token_confidences(logprobs(unlikely), 2) == [3.0]
    assert token_confidences(logprobs(unlikely), 3) == [6.0]


def test_a_chat_stream_has_its_logprobs_in_another_form() -> None:
    content = [{"token": "a", "top_logprobs": [{"logprob": -0.1}, {"logprob": -5.9}]}]
    choice = {"delta": {"content": "a"}, "logprobs": {"content": content}}
    assert confidences([json.dumps({"choices": [choice]}).encode()]) == (3.0,)


def test_a_token_without_logprobs_has_no_confidence() -> None:
    assert token_confidences(logprobs(None), 2) == []
    assert token_confidences(Logprobs(), 2) == []


def test_a_run_that_needs_no_confidences_computes_none() -> None:
    assert confidences([completion(CERTAIN)], top=None) == ()


def test_a_chunk_holds_the_confidences_of_all_its_events() -> None:
    events = [completion(CERTAIN), completion(DOUBTFUL, CERTAIN)]
    assert confidences(events) == (3.0, 0.8, 3.0)


@pytest.mark.parametrize("event", [b'{"choices":[{"text":"a","logprobs":null}]}', b"{}"])
def test_events_without_logprobs_are_no_error(event: bytes) -> None:
    choices = decode_event(event).choices or ()
    assert not any(choice is not None and choice.logprobs for choice in choices)


@given(st.lists(st.lists(st.sampled_from([CERTAIN, DOUBTFUL]), max_size=4), max_size=6))
def test_confidences_do_not_depend_on_how_tokens_come_in_events_and_reads(
    reads: list[list[dict[str, float]]],
) -> None:
    tokens = [token for read in reads for token in read]
    fold = ChunkFold(top_logprobs=2)
    found: list[float] = []
    for read in reads:
        fold.feed([completion(*read)])
        chunk = fold.take()
        found += chunk.confidences if chunk is not None else ()
    assert found == token_confidences(logprobs(*tokens), 2)

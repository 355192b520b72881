"""Confidences of tokens, worked by hand, from what servers send."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.client.reasoner.chunks import ChunkFold, token_confidences
from orchestrator.client.reasoner.sse import Logprobs, decode_event

CERTAIN = {"token_id:1": -0.1, "token_id:2": -5.9}
DOUBTFUL = {"token_id:3": -0.7, "token_id:4": -0.9}


def logprobs(*positions):
    return Logprobs(top_logprobs=list(positions))


def completion(*positions):
    """An event of a completions stream with these tokens."""
    choice = {"text": "a", "logprobs": {"top_logprobs": positions}}
    return json.dumps({"choices": [choice], "usage": {"completion_tokens": 9}}).encode()


def confidences(events, top=2):
    fold = ChunkFold(top_logprobs=top)
    fold.feed(events)
    chunk = fold.take()
    assert chunk is not None
    return chunk.confidences


def test_the_confidence_is_minus_the_mean_logprob_so_a_sure_token_has_a_high_one() -> None:
    assert token_confidences(logprobs(CERTAIN, DOUBTFUL), 2) == [3.0, 0.8]


def test_the_written_token_that_is_none_of_the_likely_ones_is_left_out() -> None:
    unlikely = {**CERTAIN, "token_id:9": -12.0}
    assert token_confidences(logprobs(unlikely), 2) == [3.0]
    assert token_confidences(logprobs(unlikely), 3) == [6.0]


def test_a_chat_stream_tells_the_same_in_another_form() -> None:
    content = [{"token": "a", "top_logprobs": [{"logprob": -0.1}, {"logprob": -5.9}]}]
    choice = {"delta": {"content": "a"}, "logprobs": {"content": content}}
    assert confidences([json.dumps({"choices": [choice]}).encode()]) == (3.0,)


def test_a_token_without_logprobs_has_no_confidence() -> None:
    assert token_confidences(logprobs(None), 2) == []
    assert token_confidences(Logprobs(), 2) == []


def test_a_run_that_asks_for_none_keeps_none() -> None:
    assert confidences([completion(CERTAIN)], top=None) == ()


def test_a_chunk_holds_the_confidences_of_all_its_events() -> None:
    events = [completion(CERTAIN), completion(DOUBTFUL, CERTAIN)]
    assert confidences(events) == (3.0, 0.8, 3.0)


@pytest.mark.parametrize("event", [b'{"choices":[{"text":"a","logprobs":null}]}', b"{}"])
def test_events_without_logprobs_are_no_error(event) -> None:
    assert not any(choice.logprobs for choice in decode_event(event).choices)


@given(st.lists(st.lists(st.sampled_from([CERTAIN, DOUBTFUL]), max_size=4), max_size=6))
def test_confidences_do_not_depend_on_how_tokens_come_in_events_and_reads(reads) -> None:
    tokens = [token for read in reads for token in read]
    fold = ChunkFold(top_logprobs=2)
    found = []
    for read in reads:
        fold.feed([completion(*read)])
        chunk = fold.take()
        found += chunk.confidences if chunk is not None else ()
    assert found == token_confidences(logprobs(*tokens), 2)

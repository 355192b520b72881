"""Events folded into chunks."""

import json
from typing import Any

import pytest

from orchestrator.client.reasoner.chunks import ChunkFold
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


def test_the_servers_continuous_usage_counts_above_all() -> None:
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
    assert not fold.tells_continuous_usage


def test_without_either_the_events_with_text_are_counted_until_the_final_usage() -> None:
    fold = ChunkFold()
    fold.feed([choice(delta={"role": "assistant", "content": ""}), choice(delta={"content": "a"})])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.generated == 1
    final = {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 4}}
    fold.feed([choice(delta={}, finish_reason="stop"), json.dumps(final).encode(), b"[DONE]"])
    assert fold.last().generated == 4
    assert not fold.tells_continuous_usage


def test_a_token_without_text_is_still_noticed() -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="", token_ids=[7])])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.token_ids == (7,)


def test_the_final_usage_tells_the_cached_prompt() -> None:
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


def test_events_before_a_bad_one_are_kept() -> None:
    fold = ChunkFold()
    with pytest.raises(StreamBroken):
        fold.feed([choice(1, text="a"), b"nonsense", choice(2, text="b")])
    chunk = fold.take()
    assert chunk is not None
    assert chunk.text == "a"


@pytest.mark.parametrize("reason", ["abort", "error"])
def test_a_request_that_the_server_dropped_has_no_proper_end(reason: str) -> None:
    fold = ChunkFold()
    fold.feed([choice(1, text="a", finish_reason=reason)])
    assert fold.ended
    with pytest.raises(StreamBroken):
        fold.last()

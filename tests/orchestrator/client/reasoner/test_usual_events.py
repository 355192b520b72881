"""The short way through the fold, which nearly all events take, gives what the long way gives."""

from typing import Any
from unittest import mock

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.client.reasoner.chunks import ChunkFold

_counts = st.none() | st.integers(-1, 40) | st.just(3.0) | st.just("3")


_FIELDS: st.SearchStrategy[dict[str, Any]] = st.sampled_from(
    [
        *[{"object": "text_completion"}] * 7,
        {},
        {"object": "error", "message": "full"},
        {"error": {"message": "full"}},
    ]
)


@st.composite
def _events(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Events of a completions stream, most of them as vLLM sends them, some of them odd."""
    events: list[dict[str, Any]] = []
    total = 0
    for _ in range(draw(st.integers(1, 8))):
        ids = draw(st.lists(st.integers(0, 9), max_size=3))
        total += len(ids)
        told = draw(st.just(total) | _counts)
        usage: dict[str, Any] = {
            "prompt_tokens": draw(st.just(5) | _counts),
            "completion_tokens": told,
        }
        if draw(st.integers(0, 9)) == 0:
            usage["prompt_tokens_details"] = {"cached_tokens": draw(st.integers(0, 9))}
        choice: dict[str, Any] = {
            "text": draw(st.sampled_from(["", "a", "word "])),
            "token_ids": ids,
        }
        if draw(st.integers(0, 9)) == 0:
            choice["finish_reason"] = draw(st.sampled_from(["stop", "length", "abort"]))
        if draw(st.integers(0, 9)) == 0:
            choice["delta"] = {"content": "b"}
        event: dict[str, Any] = {"choices": [choice] * draw(st.sampled_from([1, 1, 1, 1, 0, 2]))}
        if draw(st.integers(0, 9)):
            event["usage"] = usage
        event |= draw(_FIELDS)
        events.append(event)
    return events


@st.composite
def _payloads(draw: st.DrawFn) -> list[bytes]:
    """The events encoded; now and then two of them are in one payload, or one is cut into two or is none."""
    payloads = [msgspec.json.encode(event) for event in draw(_events())]
    if draw(st.integers(0, 4)) == 0:
        at = draw(st.integers(0, len(payloads) - 1))
        whole = payloads[at]
        payloads[at : at + 2] = draw(
            st.sampled_from(
                [
                    [b"".join(payloads[at : at + 2])],
                    [b"\n".join(payloads[at : at + 2]), b""],
                    [b" ".join(payloads[at : at + 2]), b" "],
                    [whole[:-9], whole[-9:]],
                    [whole, b"null"],
                    [b"\n" + whole],
                    [whole, b"[DONE]"],
                ]
            )
        )
    return payloads


def _folded(payloads: list[bytes], reads: int) -> list[Any]:
    """All that can be seen of a fold after each read."""
    fold = ChunkFold(5)
    seen: list[Any] = []
    for first in range(0, len(payloads), reads):
        fold.feed(payloads[first : first + reads])
        counter = fold.counter
        seen += [
            fold.take(),
            fold.finish_reason,
            str(fold.broken),
            fold.ended,
            fold.has_token_ids,
            counter.has_usage,
            counter.is_continuous,
            counter.is_beyond(3, 10),
        ]
    return seen


@settings(max_examples=300)
@given(_payloads(), st.integers(1, 4))
def test_the_short_way_gives_what_the_long_way_gives(payloads: list[bytes], reads: int) -> None:
    short = _folded(payloads, reads)
    with mock.patch.object(ChunkFold, "_add_usual", return_value=False):
        assert _folded(payloads, reads) == short


def test_an_event_of_vllm_takes_the_short_way() -> None:
    usage = {"prompt_tokens": 5, "completion_tokens": 1, "total_tokens": 6}
    event = {"choices": [{"text": "a", "token_ids": [7], "finish_reason": None}], "usage": usage}
    fold = ChunkFold(5)
    with mock.patch.object(ChunkFold, "_add") as long_way:
        fold.feed([msgspec.json.encode(event)])
    long_way.assert_not_called()
    chunk = fold.take()
    assert chunk is not None
    assert (chunk.text, chunk.token_ids, chunk.generated) == ("a", (7,), 1)

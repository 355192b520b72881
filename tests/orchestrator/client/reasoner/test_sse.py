"""Bytes split into events, and events decoded."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.client.reasoner.sse import ChatMarkers, Delta, SseSplitter, decode_event
from orchestrator.errors import StreamBroken

LINE_ENDS = st.sampled_from([b"\n", b"\r\n", b"\r"])
LINES = st.one_of(
    st.sampled_from([b"", b"data", b"data:", b": keep-alive", b"event: x", b"data: [DONE]"]),
    st.binary(max_size=8).map(lambda text: b"data: " + text),
    st.binary(max_size=8),
)


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    return b"".join(line + draw(LINE_ENDS) for line in draw(st.lists(LINES, max_size=20)))


def payloads(chunks: list[bytes]) -> list[bytes]:
    splitter = SseSplitter()
    return [payload for chunk in chunks for payload in splitter.feed(chunk)]


def by_the_specification(stream: bytes) -> list[bytes]:
    """The events of a whole stream, line by line, as the HTML standard describes it."""
    text = stream.replace(b"\r\n", b"\n")
    if text.endswith(b"\r"):
        text = text[:-1]  # half of a CRLF, perhaps: nothing may be decided yet
    *lines, _ = text.replace(b"\r", b"\n").split(b"\n")
    events: list[bytes] = []
    data: list[bytes] = []
    for line in lines:
        if not line:
            events += [b"\n".join(data)] if data else []
            data = []
        elif line == b"data" or line.startswith(b"data:"):
            data.append(line[5:].removeprefix(b" "))
    return events


@given(streams(), st.lists(st.integers(0, 200)))
def test_any_chunking_gives_the_events_of_the_specification(stream: bytes, cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(places)]
    assert payloads(chunks) == by_the_specification(stream)


def test_crlf_comments_and_data_of_several_lines_are_read() -> None:
    stream = b": ping\r\n\r\ndata: a\r\ndata:b\r\nid: 7\r\n\r\ndata: [DONE]\r\n\r\n"
    assert payloads([stream]) == [b"a\nb", b"[DONE]"]


def test_an_unfinished_event_is_not_returned_before_the_end() -> None:
    splitter = SseSplitter()
    assert splitter.feed(b"data: a\n\ndata: b\n") == [b"a"]
    assert splitter.close() == [b"b"]
    assert splitter.close() == []


def test_an_event_without_an_end_breaks_the_stream() -> None:
    splitter = SseSplitter(max_event_bytes=100)
    splitter.feed(b"data: " + b"x" * 90)
    with pytest.raises(StreamBroken) as caught:
        splitter.feed(b"x" * 90)
    assert caught.value.boundary == "decode"


def test_unknown_fields_of_an_event_are_ignored() -> None:
    event = decode_event(
        json.dumps(
            {
                "id": "x",
                "choices": [{"index": 0, "text": "hi", "token_ids": [1, 2], "new": {"a": 1}}],
                "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
            }
        ).encode()
    )
    (choice,) = event.choices or [None]
    assert choice is not None
    assert (choice.text, choice.token_ids) == ("hi", [1, 2])
    assert event.usage is not None
    assert event.usage.completion == 2


@pytest.mark.parametrize("payload", [b"not json", b'{"choices": 3}', b"[1]", b"\xff\xfe"])
def test_an_invalid_event_breaks_the_stream_at_the_decode_boundary(payload: bytes) -> None:
    with pytest.raises(StreamBroken) as caught:
        decode_event(payload)
    assert caught.value.boundary == "decode"


@pytest.mark.parametrize(
    "error", [{"message": "out of memory", "code": 500}, "out of memory", {"why": "out of memory"}]
)
def test_an_error_object_breaks_the_stream_with_its_message(error: object) -> None:
    with pytest.raises(StreamBroken, match="out of memory") as caught:
        decode_event(json.dumps({"error": error}).encode())
    assert caught.value.boundary == "server"


@pytest.mark.parametrize("field", ["reasoning", "reasoning_content"])
def test_reasoning_and_content_become_one_text_with_marks(field: str) -> None:
    markers = ChatMarkers()
    deltas = [
        Delta(content=""),
        Delta(**{field: "I "}),
        Delta(**{field: "think"}),
        Delta(content="So: "),
        Delta(content="42"),
    ]
    assert "".join(map(markers.text, deltas)) == "<think>\nI think\n</think>\n\nSo: 42"


def test_one_delta_may_end_the_reasoning_and_begin_the_content() -> None:
    markers = ChatMarkers()
    assert markers.text(Delta(reasoning="a", content="b")) == "<think>\na\n</think>\n\nb"


def test_content_alone_gets_no_marks() -> None:
    assert ChatMarkers().text(Delta(content="42")) == "42"

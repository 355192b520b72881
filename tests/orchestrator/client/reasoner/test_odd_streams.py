"""Streams as other servers write them, and streams that lie: what is taken, what is counted, what is said."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.reasoner import stream as reading
from orchestrator.client.reasoner.client import Chunk
from orchestrator.client.reasoner.stream_handle import StreamHandle
from orchestrator.errors import EndpointBusy, EndpointError, EndpointRejected, StreamBroken
from orchestrator.settings import SamplingSettings
from tests.orchestrator.client.reasoner.fake_reasoner import (
    COMPLETIONS,
    KEY,
    PROMPT,
    chunks,
    client,
    probe,
    vllm_like,
)
from tests.support.fake_server import Answer, answer_json, answer_stream

END = {"finish_reason": "stop"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orchestrator.client.reasoner.stream_handle.GRACE_SECONDS", 0.02)


def data(*choices: Any, **fields: Any) -> bytes:
    """One event with these choices."""
    return b"data: " + json.dumps({"choices": list(choices), **fields}).encode() + b"\n\n"


def text(said: str, *, usage: Any = None, **choice: Any) -> bytes:
    return data({"text": said, **choice}, usage=usage)


def used(completion: Any, prompt: Any = 3) -> dict[str, Any]:
    return {"prompt_tokens": prompt, "completion_tokens": completion}


async def run(
    *events: bytes, end: str = "done", max_tokens: int | None = None, api_key: str | None = None
) -> list[Chunk]:
    """The chunks of a stream of these events."""
    found: list[Chunk] = []
    sampling = SamplingSettings(max_tokens=max_tokens)
    async with vllm_like() as server, client(server, sampling=sampling, api_key=api_key) as asked:
        await asked.probe()
        server.answers[COMPLETIONS] = answer_stream(*events, end=end, pause=0.001)
        try:
            await chunks(asked, into=found)
        finally:
            await server.until_live(0)
    return found


def whole(found: list[Chunk]) -> tuple[str, int, str | None]:
    """Text, tokens and finish reason of a trace."""
    return "".join(chunk.text for chunk in found), found[-1].generated, found[-1].finish_reason


@pytest.mark.parametrize(
    "events",
    [
        [text("a", finish_reason=""), text("b", finish_reason=""), text("", **END)],
        [text("a", finish_reason=None), text("b"), data({"text": None, **END})],
        [data({"delta": None, "text": "a"}), text("b"), text("", **END)],
        [data({"delta": {"content": "a"}}), data({"delta": {"content": "b"}, **END})],
        [
            data({"delta": {"content": "ab", "role": None}}),
            data({"delta": {"content": None}, **END}),
        ],
        [data(), text("ab"), data(None), text("", **END)],
        [b'data: {"choices": null}\n\n', text("ab"), text("", **END)],
        [b'data: {"choices": null, "usage": null, "error": null}\n\n', text("ab", **END)],
        [b'data: {"error": ""}\n\n', b'data: {"error": {}}\n\n', text("ab", **END)],
        [b": ping\n\n", b"event: message\nid: 1\nretry: 9\n" + text("ab"), text("", **END)],
        [b"data:" + text("ab", **END)[6:]],
        [text("ab", **END), b"data: [DONE] \n\n"],
        [text("ab", **END).replace(b"\n", b"\r\n")],
        [text("ab", **END).replace(b"\n", b"\r")],
        [b"\xef\xbb\xbf\n\n", text("ab", **END)],
        [text("ab", logprobs={"top_logprobs": [{"a": None}]}), text("", **END)],
        [text("ab", logprobs={"content": [{"top_logprobs": None}]}), text("", **END)],
        [text("a", logprobs={"top_logprobs": [{"a": float("nan")}]}), text("b", **END)],
        [b"data: \n\n", b"data:\n\n", text("a"), b"data: null\n\n", text("b", **END)],
        [b'data: {"choices": [], "usage": []}\n\n', text("ab", **END)],
        [b'data: {"choices": {}, "usage": ""}\n\n', data({"delta": [], "text": "ab", **END})],
        [data({"delta": {"content": []}}), data({"delta": {"content": [{"text": "ab"}]}, **END})],
        [text("ab", **END), b"data: [DONE]\n\n", text("c")],
    ],
)
async def test_empty_fields_are_taken_for_what_they_are(events: list[bytes]) -> None:
    said, tokens, reason = whole(await run(*events))
    assert (said, reason) == ("ab", "stop")
    assert tokens in (1, 2)


async def test_parts_of_thinking_are_the_reasoning() -> None:
    """As Mistral's API streams a model that thinks."""
    thinking = {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}
    events = [
        data({"delta": {"content": [thinking, "?", {"thinking": 1}]}}),
        data({"delta": {"content": [{"type": "text", "text": "ab"}]}, **END}),
    ]
    assert whole(await run(*events))[0] == "<think>\nhm\n</think>\n\nab"


@pytest.mark.parametrize(
    "event", [b"data: 5\n\n", b"data: ping\n\n", b"data: []\n\n", b'data: {"usage": "x"}\n\n']
)
async def test_what_means_nothing_is_no_event(event: bytes) -> None:
    with pytest.raises(StreamBroken, match="cannot be read"):
        await run(text("a"), event, text("b", **END))


@pytest.mark.parametrize(
    ("half", "read"), [(b"\\ud83d", "?"), (b"\\ude00", "?"), (b"\\ud83d\\ude00", "😀")]
)
async def test_half_a_surrogate_pair_spoils_no_event(half: bytes, read: str) -> None:
    found = await run(b'data: {"choices": [{"text": "a' + half + b'"}]}\n\n', text("b", **END))
    assert whole(found)[0] == f"a{read}b"


@pytest.mark.parametrize("ending", [b"", b"\n", b"\r\n"])
async def test_a_last_event_without_its_blank_line_counts(ending: bytes) -> None:
    last = text("b", **END).rstrip() + ending
    assert whole(await run(text("a"), last, end="close")) == ("ab", 2, "stop")


async def test_a_last_event_that_was_cut_off_is_no_invalid_event() -> None:
    with pytest.raises(StreamBroken, match="before its finish reason"):
        await run(text("a"), text("b", **END)[:-20], end="close")


async def test_a_whole_event_before_a_reset_counts() -> None:
    assert whole(await run(text("a"), text("b", **END).rstrip(), end="reset")) == ("ab", 2, "stop")


@pytest.mark.parametrize(
    ("reason", "read"),
    [
        ("stop", "stop"),
        ("eos_token", "eos_token"),
        ("length", "length"),
        ("max_tokens", "length"),
        ("MAX_TOKENS", "length"),
        ("model_length", "length"),
        ("model_context_window_exceeded", "length"),
        ("repetition", "length"),
        ("x\x1b[2J" + "y" * 100, "x [2J" + "y" * 34 + "…"),
    ],
)
async def test_a_finish_reason_ends_a_trace(reason: str, read: str) -> None:
    assert whole(await run(text("a", finish_reason=reason))) == ("a", 1, read)


@pytest.mark.parametrize(
    ("reason", "kind", "said"),
    [
        ("abort", StreamBroken, "dropped the request"),
        ("error", StreamBroken, "dropped the request"),
        ("cancelled", StreamBroken, "dropped the request"),
        ("insufficient_system_resource", StreamBroken, "dropped the request"),
        ("network_error", StreamBroken, "dropped the request"),
        ("sensitive", EndpointRejected, "A filter of the server"),
        ("content_filter", EndpointRejected, "A filter of the server"),
        ("content_filter: RECITATION", EndpointRejected, "A filter of the server"),
        ("SAFETY", EndpointRejected, "A filter of the server"),
    ],
)
async def test_what_is_no_end_of_the_model_is_no_finished_answer(
    reason: str, kind: type[EndpointError], said: str
) -> None:
    with pytest.raises(kind, match=rf"{said}.*\(finish reason {reason}\)"):
        await run(text("a"), text("", finish_reason=reason))


ERRORS: list[tuple[bytes, str]] = [
    (b'data: {"error": {"message": "engine died", "code": 500}}\n\n', "engine died"),
    (b'data: {"error": "engine died"}\n\n', "engine died"),
    (b'data: {"object": "error", "message": "engine died"}\n\n', "engine died"),
    (b'error: {"code": 500, "message": "engine died"}\n\n', "engine died"),
    (b"error: engine died\n\n", "engine died"),
    (b'event: error\ndata: {"message": "engine died"}\n\n', "engine died"),
    (b"event: error\ndata: engine died\n\n", "engine died"),
    (b'data: {"error": {"message": "<html><title>engine died</title><style>x{}"}}\n\n', "died"),
    (b'{"error": {"message": "engine died"}}', "engine died"),
    (b'{\n\n  "error": {\n\n    "message": "engine died"\n  }\n}', "engine died"),
    (b'{"detail": "engine died"}\n\n', "engine died"),
    (b"engine died", "engine died"),
    (b"<html><head><title>engine died</title></head><p>x</p></html>", "stream: engine died"),
    (b'{"choices": [{"text": "a", "finish_reason": "stop"}]}', "as a whole instead of as a stream"),
]


@pytest.mark.parametrize(("event", "said"), ERRORS)
async def test_what_the_server_says_in_the_stream_is_in_the_message(
    event: bytes, said: str
) -> None:
    with pytest.raises(StreamBroken, match=said) as caught:
        await run(event, end="close")
    assert caught.value.boundary == "server"


@pytest.mark.parametrize(("event", "said"), [each for each in ERRORS if b"\n\n" in each[0][-2:]])
async def test_tokens_before_an_error_of_the_server_are_kept(event: bytes, said: str) -> None:
    found: list[Chunk] = []
    async with vllm_like() as server, client(server) as asked:
        await asked.probe()
        server.answers[COMPLETIONS] = answer_stream(text("a"), event, pause=0.01)
        with pytest.raises(StreamBroken):
            await chunks(asked, into=found)
    assert "".join(chunk.text for chunk in found) == "a"


@pytest.mark.parametrize("padding", [0, 285, 295])
@pytest.mark.parametrize(
    "form",
    [
        'data: {{"error": {{"message": "{}"}}}}\n\n',
        "error: {}\n\n",
        '{{"error": "{}"}}',
        "<html><title>{}</title>",
    ],
)
async def test_a_key_in_an_error_of_the_stream_is_masked_before_it_is_cut(
    form: str, padding: int
) -> None:
    with pytest.raises(StreamBroken) as caught:
        await run(form.format("x" * padding + KEY).encode(), end="close", api_key=KEY)
    assert KEY[:4] not in str(caught.value)


@pytest.mark.parametrize("code", [429, 503, "429"])
async def test_a_busy_server_may_say_so_in_the_stream(code: Any) -> None:
    error = {"error": {"message": "slow down", "code": code}}
    with pytest.raises(EndpointBusy, match="slow down"):
        await run(b"data: " + json.dumps(error).encode() + b"\n\n")


async def test_nesting_in_an_event_is_an_event_that_cannot_be_read() -> None:
    with pytest.raises(StreamBroken, match="cannot be read") as caught:
        await run(b'data: {"x": ' + b"[" * 1200 + b"]" * 1200 + b"}\n\n")
    assert caught.value.boundary == "decode"


# --- counts ------------------------------------------------------------------------------------------


def ids(said: str, *token_ids: int, usage: Any = None, **choice: Any) -> bytes:
    return text(said, usage=usage, token_ids=list(token_ids) or None, **choice)


@pytest.mark.parametrize(
    ("events", "tokens"),
    [
        ([text("a", usage=used(0)), text("b", usage=used(0)), text("", usage=used(7), **END)], 7),
        ([text("a", usage=used(0)), text("b", usage=used(0), **END)], 2),
        ([text("a", usage=used(None)), text("b", usage={"total_tokens": 9}, **END)], 2),
        ([text("a", usage={}), text("b", usage=None, **END)], 2),
        ([text("a"), text("b", **END), data(usage=used(5))], 5),
        ([text("a"), text("b", **END), data(usage=used(5.0))], 5),
        ([text("a", usage=used(3)), text("b", usage=used(6), **END), data(usage=used(6))], 6),
        ([text("a", usage=used(3)), text("b"), text("", **END)], 4),
        ([*(text(each) for each in "abcdef"), text("", **END), data(usage=used(2))], 2),
        ([ids("a", 5, usage=used(1)), ids("b", 6, 7, usage=used(3), **END)], 3),
        ([ids("a", 5), ids("b", 6, 7, **END)], 3),
    ],
)
async def test_tokens_are_counted_by_the_best_that_there_is(
    events: list[bytes], tokens: int
) -> None:
    found = await run(*events)
    assert found[-1].generated == tokens
    assert [warning for chunk in found for warning in chunk.warnings] == []


@pytest.mark.parametrize(
    "events",
    [
        [ids("a", 7, usage=used(1)), ids("a", 7, usage=used(1)), ids("b", 8, usage=used(2))],
        [ids("a", 7, usage=used(1)), *[ids("b", 8, usage=used(2))] * 3],
        [ids("ab", 7, 8, usage=used(2)), ids("ab", 7, 8, usage=used(2))],
    ],
)
async def test_an_event_that_comes_twice_is_taken_once(events: list[bytes]) -> None:
    end = [ids("c", 9, usage=used(3), **END)] * 2
    found = await run(*events, *end)
    assert whole(found) == ("abc", 3, "stop")
    assert [token for chunk in found for token in chunk.token_ids] == [7, 8, 9]
    warnings = [warning.message for chunk in found for warning in chunk.warnings]
    assert warnings == ["The server sent an event twice; it is taken once."]


async def test_a_token_that_comes_again_with_a_count_of_its_own_is_another_one() -> None:
    found = await run(
        *(ids("a", 7, usage=used(number)) for number in (1, 2)), ids("", usage=used(2), **END)
    )
    assert whole(found) == ("aa", 2, "stop")


@pytest.mark.parametrize("wrong", [-1, 10**19, 1e19, 1.5, "7", True, [1], {"a": 1}, 2**53])
@pytest.mark.parametrize("with_ids", [False, True])
async def test_a_usage_that_cannot_be_is_not_on_the_bill(wrong: Any, with_ids: bool) -> None:
    first = ids("a", 5, usage=used(1)) if with_ids else text("a", usage=used(1))
    last = (
        ids("b", 6, usage=used(wrong), **END) if with_ids else text("b", usage=used(wrong), **END)
    )
    found = await run(first, last)
    assert found[-1].generated == 2
    assert [w.kind for chunk in found for w in chunk.warnings] == ["usage"]


@pytest.mark.parametrize("counts", [[5, 3, 4], [5, 6, 1], [9, 0, 8]])
async def test_a_usage_that_goes_backwards_is_believed_no_more(counts: list[int]) -> None:
    *before, last = counts
    found = await run(
        *(text("a", usage=used(count)) for count in before), text("b", usage=used(last), **END)
    )
    assert found[-1].generated == max(before)
    (warning,) = [w for chunk in found for w in chunk.warnings]
    assert "usage contradicts its stream" in warning.message
    generated = [chunk.generated for chunk in found]
    assert generated == sorted(generated)


async def test_a_usage_that_contradicts_the_ids_is_not_believed() -> None:
    found = await run(
        ids("a", 5, usage=used(1)), ids("b", 6, usage=used(10**6)), ids("c", 7, **END)
    )
    assert found[-1].generated == 3
    assert [w.kind for chunk in found for w in chunk.warnings] == ["usage"]


@pytest.mark.parametrize("wrong", [-5, 10**19, "x", 1e300])
async def test_a_prompt_that_cannot_be_keeps_its_known_length(wrong: Any) -> None:
    details = {"cached_tokens": wrong}
    usage = {**used(1, wrong), "prompt_tokens_details": details}
    (chunk,) = await run(text("a", usage=usage, **END))
    assert (chunk.prompt_tokens, chunk.cached_prompt_tokens) == (len(PROMPT.token_ids or ()), 0)


@pytest.mark.parametrize("cached", [99, 2, None, [], "x"])
async def test_no_more_is_cached_than_the_prompt_has(cached: Any) -> None:
    usage = {**used(1, 3), "prompt_tokens_details": {"cached_tokens": cached}}
    (chunk,) = await run(text("a", usage=usage, **END))
    assert chunk.cached_prompt_tokens == {99: 3, 2: 2}.get(cached if type(cached) is int else 0, 0)


MISSING: list[Callable[[], list[bytes]]] = [
    lambda: [ids("a", 5), ids("b"), ids("c", 7)],
    lambda: [ids("a"), ids("b", 6), ids("c", 7)],
    lambda: [ids("a", 5, usage=used(1)), ids("", usage=used(2)), ids("c", 7, usage=used(3))],
    lambda: [ids("a", 5, usage=used(1)), ids("bc", 6, usage=used(3))],
]


@pytest.mark.parametrize("events", MISSING)
async def test_token_ids_that_are_left_out_are_noticed(
    events: Callable[[], list[bytes]],
) -> None:
    found = await run(*events(), text("", **END))
    assert found[-1].generated == 3
    assert [w.kind for chunk in found for w in chunk.warnings] == ["token_ids"]


async def test_a_last_event_without_ids_is_none_that_misses_them() -> None:
    found = await run(ids("a", 5, usage=used(1)), text("b", usage=used(2), **END))
    assert found[-1].generated == 2
    assert [warning for chunk in found for warning in chunk.warnings] == []


@pytest.mark.parametrize(
    ("events", "continuous"),
    [
        ([text("a", usage=used(1)), text("", usage=used(1), **END)], True),
        ([text("a", usage=used(1), **END)], True),
        ([text("a"), text("", usage=used(1), **END)], False),
        ([text("a", usage=used(0)), text("", usage=used(1), **END)], False),
        ([text("a", **END), data(usage=used(1))], False),
        ([text("a", usage=used(-1), **END)], False),
    ],
)
async def test_usage_is_continuous_if_each_text_has_one(
    events: list[bytes], continuous: bool
) -> None:
    async with vllm_like(**{COMPLETIONS: answer_stream(*events)}) as server:
        assert (await probe(server)).continuous_usage is continuous


# --- streams without end -----------------------------------------------------------------------------


def endless(event: Callable[[int], bytes]) -> Answer:
    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        for number in range(1, 10**9):
            await response.write(event(number))
            await asyncio.sleep(0)  # the client runs in the same loop
        return response

    return answer


async def run_endless(event: Callable[[int], bytes], *, max_tokens: int | None = 50) -> list[Chunk]:
    sampling = SamplingSettings(max_tokens=max_tokens)
    found: list[Chunk] = []
    async with vllm_like() as server, client(server, sampling=sampling) as asked:
        await asked.probe()
        server.answers[COMPLETIONS] = endless(event)
        await chunks(asked, into=found)
        await server.until_live(0)
    return found


@pytest.mark.parametrize(
    "event",
    [
        lambda number: ids("so ", number, usage=used(number)),
        lambda number: ids("so ", number),
        lambda number: text("so ", usage=used(number)),
        lambda number: text("so "),
        lambda number: text("x"),
        lambda number: text("", usage=used(number)),
        lambda number: text("so " * 10_000),
    ],
)
async def test_a_server_that_goes_on_beyond_the_limit_is_disconnected(
    event: Callable[[int], bytes],
) -> None:
    found = await run_endless(event)
    said = "".join(chunk.text for chunk in found)
    last = found[-1]
    assert last.finish_reason == "length"
    assert len(said) < 2**22
    assert last.generated - sum(chunk.discarded for chunk in found) < 5000
    assert [w.kind for chunk in found for w in chunk.warnings] == ["limit"]


async def test_text_sent_letter_by_letter_is_not_taken_for_so_many_tokens() -> None:
    letters = [text(letter) for letter in "a b c d e f g h i j k l m n o p"]
    found = await run(*letters, text("", **END), data(usage=used(8)), max_tokens=10)
    assert whole(found)[1:] == (8, "stop")


async def test_without_a_limit_there_is_still_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_MOST_TOKENS", 1000)
    async with vllm_like(**{"/tokenize": answer_json({}, 404)}) as server, client(server) as asked:
        server.answers["/v1/chat/completions"] = answer_stream(text("a", **END))
        await asked.probe()
        prompt = await asked.render("Hi")
        server.answers["/v1/chat/completions"] = endless(lambda number: text("so "))
        found = await chunks(asked, prompt)
    assert found[-1].finish_reason == "length"


@pytest.mark.parametrize("event", [b": ping\n\n", b"x\n\n", text("")])
async def test_bytes_without_a_token_are_not_read_for_ever(
    event: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "MAX_EVENT_BYTES", 2**20)
    with pytest.raises(StreamBroken) as caught:
        await run_endless(lambda number: event * 100)
    assert caught.value.boundary == "decode"


async def test_a_server_that_goes_on_after_its_end_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("orchestrator.client.reasoner.stream_handle.DRAIN_SECONDS", 0.2)
    found = await run_endless(lambda number: text("so ", **(END if number == 3 else {})))
    assert found[-1].finish_reason == "stop"


async def test_the_probe_of_a_server_that_ignores_the_limit_ends() -> None:
    answer = endless(lambda number: ids("so ", number, usage=used(number)))
    async with vllm_like(**{COMPLETIONS: answer}) as server:
        assert (await probe(server)).resumable


# --- tokens behind what cannot be read ---------------------------------------------------------------


async def test_tokens_behind_an_unreadable_event_are_on_the_bill_and_not_in_the_trace() -> None:
    found: list[Chunk] = []
    async with vllm_like() as server, client(server) as asked:
        await asked.probe()
        server.answers[COMPLETIONS] = answer_stream(
            ids("a", 5, usage=used(1)),
            b"data: {oops\n\n" + ids("c", 7, usage=used(3)),
            ids("d", 8, usage=used(4)),
        )
        with pytest.raises(StreamBroken, match="cannot be read"):
            await chunks(asked, into=found)
    assert "".join(chunk.text for chunk in found) == "a"
    assert [i for chunk in found for i in chunk.token_ids] == [5]
    assert found[-1].generated - sum(chunk.discarded for chunk in found) == 1
    assert found[-1].generated >= 3


async def test_an_end_behind_an_unreadable_event_is_no_end_of_the_trace() -> None:
    with pytest.raises(StreamBroken, match="cannot be read"):
        await run(text("a"), b"data: {oops\n\n" + text("b", **END))


async def test_a_stream_that_was_half_closed_from_outside_ends_without_a_reason() -> None:
    handle = StreamHandle()
    async with vllm_like() as server, client(server) as asked:
        await asked.probe()
        server.answers[COMPLETIONS] = answer_stream(text("a"), end="hang")
        stream = asked.stream(PROMPT, generated_tokens=0, handle=handle)
        assert (await anext(stream)).text == "a"
        handle.half_close()
        async with asyncio.timeout(30):
            assert [chunk.text async for chunk in stream] == []

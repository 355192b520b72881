"""Replies that are sent on: events as they came, and what cannot be sent on."""

import json
from typing import Any

import pytest

from orchestrator.errors import StreamBroken
from tests.orchestrator.client.reasoner.fake_reasoner import COMPLETIONS, client, vllm_like
from tests.support.fake_server import answer_stream


def event(text: str, **choice: Any) -> bytes:
    return b"data: " + json.dumps({"choices": [{"text": text, **choice}]}).encode() + b"\n\n"


END = event("b", finish_reason="stop")


async def run(*events: bytes, end: str = "close") -> list[dict[str, Any]]:
    """The events of a reply that is sent on."""
    async with vllm_like() as server, client(server) as asked:
        server.answers[COMPLETIONS] = answer_stream(*events, end=end)
        async with asked.forward("completions", {"model": "m"}) as reply:
            return [each async for each in reply.events()]


@pytest.mark.parametrize("odd", [b"data: \n\n", b"data:\n\n", b"data: null\n\n", b": ping\n\n"])
async def test_what_keeps_a_stream_alive_is_not_sent_on(odd: bytes) -> None:
    found = await run(odd, event("a"), odd, END)
    assert [each["choices"][0]["text"] for each in found] == ["a", "b"]


async def test_numbers_that_json_lacks_are_null() -> None:
    first, _ = await run(event("a", logprobs=float("nan")), END)
    assert first == {"choices": [{"text": "a", "logprobs": None}]}


@pytest.mark.parametrize("odd", [b"data: 5\n\n", b"data: ping\n\n", b"data: []\n\n"])
async def test_what_means_nothing_is_not_sent_on(odd: bytes) -> None:
    with pytest.raises(StreamBroken, match="cannot be read"):
        await run(event("a"), odd, END)


async def test_nothing_behind_the_end_is_sent_on() -> None:
    assert len(await run(event("a"), END, b"data:  [DONE] \n\n", event("c"))) == 2


async def test_a_reply_without_its_end_is_broken() -> None:
    with pytest.raises(StreamBroken, match="broke off the answer"):
        await run(event("a"))

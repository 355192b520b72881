"""A reward model in the test process that likes one answer."""

from typing import Any

from aiohttp import web

from tests.support.fake_server import FakeServer, answer_json

__all__ = ["likes"]


def likes(answer: str) -> FakeServer:
    """Gives 0.75 to a trace with this answer and 0.125 to all others."""

    async def classify(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        liked = f"boxed{{{answer}}}" in body["messages"][-1]["content"]
        data = [{"index": 0, "probs": [0.75 if liked else 0.125]}]
        return await answer_json({"data": data, "usage": {"prompt_tokens": 7}})(request, body)

    return FakeServer({"/classify": classify})

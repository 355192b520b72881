"""Where a forced answer ends, and how likely its tokens were."""

from typing import Any

import pytest

from orchestrator.client.http import HttpClient, parse_address
from orchestrator.client.reasoner.forced_answer import ForcedAnswer, force_answer
from tests.support.fake_server import FakeServer, answer_json


async def forced(text: str, *, logprobs: Any = None, opens_brace: bool = True) -> ForcedAnswer:
    """The answer of a server that writes `text`."""
    usage = {"prompt_tokens": 9, "completion_tokens": 7}
    body = {"choices": [{"text": text, "logprobs": logprobs}], "usage": usage}
    async with FakeServer({"/v1/completions": answer_json(body)}) as server:
        http = HttpClient(
            parse_address(server.url), api_key=None, key_name="K", connect_seconds=5, read_seconds=5
        )
        await http.open()
        try:
            return await force_answer(
                http, "m", [1, 2], [3], opens_brace=opens_brace, logprobs=logprobs is not None
            )
        finally:
            await http.close()
            (sent,) = server.bodies("/v1/completions")
            assert ("logprobs" in sent) is (logprobs is not None)


@pytest.mark.parametrize(
    ("text", "answer", "whole"),
    [
        ("26} cards.", "26}", True),
        ("26}", "26}", True),
        ("\\frac{1}{2}}$.", "\\frac{1}{2}}", True),
        ("\\{1, 2\\}} so", "\\{1, 2\\}}", True),
        ("x^{2} + 1", "x^{2} + 1", False),
        ("", "", False),
    ],
)
async def test_an_answer_ends_with_its_box(text: str, answer: str, whole: bool) -> None:
    found = await forced(text)
    assert (found.text, found.whole) == (answer, whole)
    assert (found.tokens, found.prompt_tokens, found.cached_prompt_tokens) == (7, 3, 0)


async def test_an_ending_without_a_box_takes_all_that_was_written() -> None:
    assert (await forced("26} cards.\n", opens_brace=False)).text == "26} cards.\n"


@pytest.mark.parametrize(
    ("logprobs", "total"),
    [
        (None, None),
        ({"tokens": [], "token_logprobs": []}, None),
        ({"tokens": ["2", "6", "}", " cards"], "token_logprobs": [-1.0, -0.5, -0.25, -9.0]}, -1.75),
        ({"tokens": ["26", "} c", "ards"], "token_logprobs": [-1.0, -0.5, -9.0]}, -1.5),
        ({"tokens": ["2", "6}"], "token_logprobs": [-1.0, None]}, None),
        ({"tokens": ["2"], "token_logprobs": [-1.0]}, None),
    ],
)
async def test_its_log_probability_is_that_of_its_own_tokens(
    logprobs: Any, total: float | None
) -> None:
    assert (await forced("26} cards", logprobs=logprobs)).logprob == total

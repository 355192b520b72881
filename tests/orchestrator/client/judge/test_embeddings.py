"""Judges with a head on the vectors of two segments."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from orchestrator.client.judge import embeddings
from orchestrator.core.judging import JudgeSpec
from orchestrator.errors import ConfigError, EndpointRejected, JudgeError, PairTooLong
from tests.orchestrator.client.judge.fake_judge import judge, score
from tests.support.fake_server import Answer, FakeServer, answer_json

EMBEDDINGS = "/v1/embeddings"
HEAD = {
    "projection": [[1.0, 0.0], [0.0, 1.0]],
    "offset": [0.0, 0.0],
    "weights": [0.0, 0.0, 0.0, 0.0, -2.0, -2.0, 0.0, 0.0],
    "bias": 1.0,
}
"""The further apart two vectors are, the less alike are their answers."""


@pytest.fixture
def spec(tmp_path: Path) -> JudgeSpec:
    (tmp_path / "head.json").write_text(json.dumps(HEAD))
    return JudgeSpec(
        name="test",
        kind="embedding-head",
        model="m",
        instruction="",
        query="{question} {new}",
        item="{question} {member}",
        markup_before="<",
        markup_after=">",
        head=str(tmp_path / "head.json"),
    )


def by_length(**fields: Any) -> Answer:
    """A vector for each text: (3, 4) for the long ones, (4, 3) for the others, last text first."""

    async def answer(request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        data = [
            {"index": index, "embedding": [3, 4] if len(text) > 10 else [4, 3], **fields}
            for index, text in enumerate(body["input"])
        ]
        usage = {"prompt_tokens": sum(map(len, body["input"])), "total_tokens": 1}
        return web.json_response({"data": data[::-1], "usage": usage})

    return answer


async def test_each_segment_is_sent_once_and_alone(spec: JudgeSpec) -> None:
    async with FakeServer({EMBEDDINGS: by_length()}) as server:
        async with judge(server, spec=spec) as client:
            found = await client.probe()
            one = await score(client, "short", "a longer one")
            two = await score(client, "new", "a longer one", new="short")
            three = await score(client, "short")
        bodies = [body["input"] for body in server.bodies(EMBEDDINGS)[1:]]
        assert not server.bodies("/tokenize")
    assert (found.dialect, found.label_token_ids) == ("embeddings", None)
    assert bodies == [["<Q new>", "<Q short>", "<Q a longer one>"]]
    apart = 1 / (1 + math.exp(-1 + 2 * 0.2 * 2))
    assert one.probabilities == pytest.approx((1 / (1 + math.exp(-1)), apart))
    assert two.probabilities == pytest.approx((1 / (1 + math.exp(-1)), apart))
    assert (one.requests, one.prompt_tokens, one.completion_tokens) == (1, 32, 0)
    assert (three.requests, three.prompt_tokens) == (0, 0)


async def test_segments_that_were_long_not_compared_are_forgotten(
    spec: JudgeSpec, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embeddings, "KEPT_SEGMENTS", 2)
    async with FakeServer({EMBEDDINGS: by_length()}) as server:
        async with judge(server, spec=spec) as client:
            await client.probe()
            await score(client, "a")
            await score(client, "b")
            await score(client, "a")
        bodies = [body["input"] for body in server.bodies(EMBEDDINGS)[1:]]
    assert bodies == [["<Q new>", "<Q a>"], ["<Q b>"], ["<Q a>"]]


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (by_length(embedding=[1.0, 2.0, 3.0]), "vectors of 2 numbers"),
        (by_length(embedding=[0.0, 0.0]), "no direction"),
        (by_length(index=0), "2 pairs with 2 scores"),
    ],
)
async def test_vectors_that_do_not_fit_the_head_are_no_verdict(
    spec: JudgeSpec, answer: Answer, sentence: str
) -> None:
    async with FakeServer({EMBEDDINGS: answer}) as server, judge(server, spec=spec) as client:
        with pytest.raises(EndpointRejected, match=sentence):
            await client.probe()


async def test_a_server_that_fails_or_refuses_says_why(spec: JudgeSpec) -> None:
    server = FakeServer({EMBEDDINGS: by_length()})
    async with server, judge(server, spec=spec, max_attempts=1) as client:
        await client.probe()
        server.answers[EMBEDDINGS] = answer_json(
            {"error": {"message": "the maximum model length is 8 tokens"}}, 400
        )
        with pytest.raises(PairTooLong, match="lower max_segment_chars"):
            await score(client, "other")
        server.answers[EMBEDDINGS] = answer_json({"error": {"message": "no"}}, 403)
        with pytest.raises(JudgeError, match="no"):
            await score(client, "other")


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{}", "missing required field"),
        ("[" * 100_000, "cannot be read as the head"),
        (json.dumps(HEAD | {"weights": [1.0]}), "do not fit its projection"),
        (json.dumps(HEAD | {"projection": []}), "no matrix"),
        (json.dumps(HEAD | {"projection": [[1.0, 2.0], [1.0]]}), "no matrix"),
        (json.dumps(HEAD | {"offset": [1.0]}), "do not fit its projection"),
        (json.dumps(HEAD | {"bias": 1e308}).replace("1e+308", "1e999"), "out of range|not finite"),
        (None, "No such file"),
        (" " * ((1 << 26) + 1), "larger than 64 MiB"),
    ],
)
async def test_a_file_that_holds_no_head_is_refused(
    spec: JudgeSpec, content: str | None, sentence: str
) -> None:
    file = Path(str(spec.head))
    file.unlink() if content is None else file.write_text(content)
    async with FakeServer({EMBEDDINGS: by_length()}) as server, judge(server, spec=spec) as client:
        with pytest.raises(ConfigError, match=sentence):
            await client.probe()


async def test_a_judge_that_was_not_trained_is_refused(spec: JudgeSpec) -> None:
    untrained = spec.model_copy(update={"head": None})
    server = FakeServer({EMBEDDINGS: by_length()})
    async with server, judge(server, spec=untrained) as client:
        with pytest.raises(ConfigError, match="train it with deepprune-judge train"):
            await client.probe()

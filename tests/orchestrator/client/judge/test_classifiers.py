"""Judges that are classifiers."""

from typing import Any

import pytest

from orchestrator.errors import (
    ConfigError,
    EndpointRejected,
    JudgeError,
    PairTooLong,
)
from tests.orchestrator.client.judge.fake_judge import (
    CLASSIFY,
    LABELS,
    SPEC,
    judge,
    score,
    vllm_like,
)
from tests.support.fake_server import Answer, FakeServer, answer_json

CLASSIFIER = SPEC.model_copy(update={"kind": "classification"})


def classes(*probabilities: float, **fields: Any) -> Answer:
    """Two-label answers, last pair first."""
    data = [
        {"index": index, "probs": [p, 1 - p], "label": LABELS[p < 0.5], **fields}
        for index, p in enumerate(probabilities)
    ]
    usage = {"prompt_tokens": 7 * len(data), "completion_tokens": 0}
    return answer_json({"data": data[::-1], "usage": usage})


async def test_a_classifier_is_asked_through_classify_and_tokenises_itself() -> None:
    async with FakeServer({CLASSIFY: classes(0.5)}) as server:
        async with judge(server, spec=CLASSIFIER) as client:
            found = await client.probe()
        assert not server.bodies("/tokenize")
    assert found.dialect == "classify"
    assert found.label_token_ids is None


async def test_a_classifier_reads_each_pair_as_one_text() -> None:
    async with FakeServer({CLASSIFY: classes(0.5)}) as server:
        async with judge(server, spec=CLASSIFIER) as client:
            await client.probe()
            server.answers[CLASSIFY] = classes(0.1, 0.9)
            found = await score(client, "a", "b")
        body = server.bodies(CLASSIFY)[-1]
    start = "<user>Same answer? Q\nA: new\nB: "
    assert body == {"model": "m", "input": [f"{start}a<judge>", f"{start}b<judge>"]}
    assert found.probabilities == (0.1, 0.9)
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (1, 14, 0)


async def test_a_dialect_for_the_other_kind_of_judge_is_refused() -> None:
    async with vllm_like() as server:
        async with judge(server, spec=CLASSIFIER, dialect="chat") as client:
            with pytest.raises(ConfigError, match="set it to auto or classify"):
                await client.probe()
        async with judge(server, dialect="classify") as client:
            with pytest.raises(
                ConfigError, match="auto or generative_scoring or completions or chat"
            ):
                await client.probe()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (classes(0.5, probs=[0.9]), "gives 1 probabilities"),
        (classes(0.5, probs=[0.2, 0.3, 0.5]), "gives 3 probabilities"),
        (classes(0.9, label="not identical"), "another order"),
        (classes(0.5, probs=[2.0, -1.0]), "not a probability"),
        (classes(0.5, 0.5), "1 pairs with 2 scores"),
    ],
)
async def test_a_classifier_whose_answer_is_no_verdict_is_refused(
    answer: Answer, sentence: str
) -> None:
    async with FakeServer({CLASSIFY: answer}) as server, judge(server, spec=CLASSIFIER) as client:
        with pytest.raises(EndpointRejected, match=sentence):
            await client.probe()


async def test_labels_with_other_names_are_read_in_their_order() -> None:
    answer = classes(0.9, label="LABEL_0")
    async with FakeServer({CLASSIFY: answer}) as server, judge(server, spec=CLASSIFIER) as client:
        await client.probe()
        assert (await score(client, "a")).probabilities == (0.9,)


async def test_a_pair_that_is_too_long_for_a_classifier_is_unknown_with_the_remedy() -> None:
    refused = answer_json({"error": {"message": "maximum context length is 512 tokens."}}, 400)
    async with (
        FakeServer({CLASSIFY: classes(0.5)}) as server,
        judge(server, spec=CLASSIFIER) as client,
    ):
        await client.probe()
        server.answers[CLASSIFY] = refused
        with pytest.raises(
            PairTooLong, match="512 tokens; if a pair is too long, lower max_segment"
        ):
            await score(client, "a")
        server.answers[CLASSIFY] = answer_json({}, 404)
        with pytest.raises(JudgeError, match="model name"):
            await score(client, "a")

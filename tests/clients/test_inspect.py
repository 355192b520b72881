"""inspect_ai with its provider for OpenAI-compatible servers."""

from pathlib import Path

import pytest
from inspect_ai import Task, eval  # noqa: A004
from inspect_ai.dataset import Sample
from inspect_ai.scorer import pattern
from inspect_ai.solver import generate

from tests.clients.serving import KEY, MODEL, QUESTIONS, Server


def test_twenty_questions_score_as_the_server_says(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEEPPRUNE_API_KEY", KEY)
    monkeypatch.setenv("DEEPPRUNE_BASE_URL", server.url)
    before = server.kept()
    task = Task(
        dataset=[Sample(input=each["question"], target=each["answer"]) for each in QUESTIONS],
        solver=generate(),
        scorer=pattern(r"\\boxed\{([^}]*)\}"),
        name="nano",
    )
    [log] = eval(
        task,
        model=f"openai-api/deepprune/{MODEL}",
        log_dir=str(tmp_path),
        display="none",
        max_connections=4,
        fail_on_error=True,
    )
    assert log.status == "success"
    assert log.results is not None
    assert log.results.scores[0].metrics["accuracy"].value == server.score(before) > 0
    assert sum(usage.output_tokens for usage in log.stats.model_usage.values()) > 20 * 100

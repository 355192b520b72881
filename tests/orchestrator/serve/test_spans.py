"""The spans of questions that are over."""

import sys

import openai
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from orchestrator.errors import ConfigError
from orchestrator.serve import server
from orchestrator.serve.spans import Spans, exporting_spans
from tests.orchestrator.serve.test_app import QUESTION, client, serving
from tests.support.paced_servers import PacedServers


async def test_a_question_has_a_span_with_a_child_for_each_trace(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(server, "exporting_spans", lambda: Spans(provider.get_tracer("test")))
    async with serving(PacedServers(words=8)) as url, client(url) as ai:
        reply = await ai.chat.completions.create(model="paced", messages=QUESTION)
        with pytest.raises(openai.BadRequestError):
            await ai.chat.completions.create(model="paced", messages=QUESTION, n=9)
    *traces, question = sorted(
        exporter.get_finished_spans(), key=lambda span: span.name == "question"
    )
    assert question.attributes is not None
    assert question.context is not None
    assert question.attributes["gen_ai.usage.output_tokens"] == 4 * 9
    assert question.attributes["deepprune.policy"] == "consensus"
    assert (
        question.attributes["deepprune.run_id"] == (reply.model_extra or {})["deepprune"]["run_id"]
    )
    assert "How many" not in str(question.attributes)
    assert len(traces) == 4
    for span in traces:
        assert span.parent is not None
        assert span.parent.span_id == question.context.span_id
        assert (question.start_time or 0) <= (span.start_time or 0) <= (span.end_time or 0)
        assert (span.end_time or 0) <= (question.end_time or 0)


@pytest.mark.slow  # imports OpenTelemetry
def test_without_a_collector_nothing_is_made() -> None:
    assert exporting_spans({})._tracer is None
    assert exporting_spans({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"})._tracer


def test_a_collector_without_the_package_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with pytest.raises(ConfigError, match=r"run pip install .*\[otel\]"):
        exporting_spans({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:1"})

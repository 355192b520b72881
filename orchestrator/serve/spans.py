"""OpenTelemetry: a span for each question, with a child for each trace. No text of a question or a model is in them.

The spans are made when a question is over, from the times in its view, so a running question costs nothing. Where they
go is said by OpenTelemetry's own variables, such as OTEL_EXPORTER_OTLP_ENDPOINT.
"""

import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from orchestrator.errors import ConfigError
from orchestrator.extras import install_command
from orchestrator.report.report import Report
from orchestrator.report.view import RunView

if TYPE_CHECKING:
    from opentelemetry.trace import Tracer

__all__ = ["Spans", "exporting_spans"]

_WHERE = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
_SECOND = 1e9  # nanoseconds


class Spans:
    """Records questions that are over.

    Args:
        tracer: receives their spans; None records nothing.
    """

    def __init__(self, tracer: "Tracer | None" = None) -> None:
        self._tracer = tracer

    def record(self, run_id: str, view: RunView, report: Report) -> None:
        """A question that is over now."""
        if self._tracer is None:
            return
        from opentelemetry.trace import set_span_in_context

        began = time.time_ns() - int(view.elapsed * _SECOND)

        def at(seconds: float) -> int:
            return began + int(seconds * _SECOND)

        span = self._tracer.start_span(
            "question", start_time=began, attributes=_of_question(run_id, view, report)
        )
        for trace in view.traces.values():
            if trace.started_at is None:
                continue
            child = self._tracer.start_span(
                "trace",
                context=set_span_in_context(span),
                start_time=at(trace.started_at),
                attributes={
                    "deepprune.trace": trace.trace,
                    "deepprune.fate": trace.state,
                    "gen_ai.usage.output_tokens": trace.tokens,
                    "server.address": trace.endpoint or "",
                },
            )
            child.end(at(view.elapsed if trace.ended_at is None else trace.ended_at))
        span.end(at(view.elapsed))


def _of_question(run_id: str, view: RunView, report: Report) -> Mapping[str, str | int | float]:
    bill = report.ledger.reasoner
    known: dict[str, str | int | float | None] = {
        "deepprune.run_id": run_id,
        "deepprune.policy": report.policy,
        "deepprune.answered": report.answer is not None,
        "deepprune.interrupted": report.interrupted,
        "deepprune.votes": sum(vote.ballots for vote in report.votes),
        "deepprune.saved": report.saved,
        "deepprune.net_saved": report.net_saved,
        "gen_ai.request.model": view.run.capabilities.reasoner.model if view.run else None,
        "gen_ai.usage.input_tokens": bill.prompt_tokens,
        "gen_ai.usage.output_tokens": bill.generated_tokens,
    }
    return {name: value for name, value in known.items() if value is not None}


def exporting_spans(environ: Mapping[str, str] = os.environ) -> Spans:
    """Spans that are exported by OTLP over HTTP if the environment says where to; else none.

    Raises:
        ConfigError: it does, and OpenTelemetry is not installed.
    """
    if not any(environ.get(name) for name in _WHERE):
        return Spans()
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import SERVICE_NAME, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise ConfigError(
            f"{_WHERE[0]} is set, and OpenTelemetry is not installed: run {install_command('otel')}, or unset it."
        ) from error
    name = environ.get("OTEL_SERVICE_NAME", "deepprune-serve")
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: name}))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return Spans(provider.get_tracer("deepprune"))

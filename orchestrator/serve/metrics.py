"""Counters in Prometheus' form, of this server only."""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from orchestrator.report.report import Report
from orchestrator.serve.admission import Admission

__all__ = ["ServeMetrics"]

_SECONDS = (0.5, 1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)


class ServeMetrics:
    """What `/metrics` shows."""

    def __init__(self, admission: Admission) -> None:
        self._registry = registry = CollectorRegistry()
        self.requests = Counter(
            "deepprune_requests",
            "Requests by path and status.",
            ["path", "status"],
            registry=registry,
        )
        self._questions = Counter(
            "deepprune_questions",
            "Questions by outcome; left: the client hung up, interrupted: its seconds were over.",
            ["outcome"],
            registry=registry,
        )
        self.passed_through = Counter(
            "deepprune_passed_through",
            "Requests that the reasoner answered as they were; their tokens are in no other counter.",
            ["reason"],
            registry=registry,
        )
        self._generated = Counter(
            "deepprune_generated_tokens",
            "Generated tokens by the fate of their trace.",
            ["fate"],
            registry=registry,
        )
        self._prompt = Counter(
            "deepprune_prompt_tokens",
            "Prompt tokens that the reasoner was sent.",
            registry=registry,
        )
        self._saved = Counter(
            "deepprune_saved_tokens",
            "Tokens of plain votes over all planned traces that were not generated.",
            registry=registry,
        )
        self._judge = Counter(
            "deepprune_judge_tokens", "Tokens that the judge read.", registry=registry
        )
        self._faults = Counter(
            "deepprune_failed_traces", "Traces that a server failed.", registry=registry
        )
        self._seconds = Histogram(
            "deepprune_question_seconds",
            "Seconds from the first stream to the vote.",
            buckets=_SECONDS,
            registry=registry,
        )
        running = Gauge("deepprune_questions_running", "Questions that run.", registry=registry)
        running.set_function(lambda: admission.running)
        waiting = Gauge("deepprune_questions_waiting", "Questions in the queue.", registry=registry)
        waiting.set_function(lambda: admission.waiting)

    def count_outcome(self, outcome: str) -> None:
        """A question is over."""
        self._questions.labels(outcome).inc()

    def count(self, report: Report) -> None:
        """Adds the bill of a question that is over."""
        self._seconds.observe(report.seconds)
        bill = report.ledger.reasoner
        for fate in bill.by_fate.__struct_fields__:
            self._generated.labels(fate).inc(getattr(bill.by_fate, fate) or 0)
        self._prompt.inc(bill.prompt_tokens)
        self._judge.inc(report.ledger.judge.prompt_tokens)
        self._faults.inc(report.traces.failed)
        full = report.ledger.counterfactual.generated_tokens
        if full is not None:
            self._saved.inc(max(0, full - bill.generated_tokens))

    def text(self) -> bytes:
        """The body of `/metrics`."""
        return generate_latest(self._registry)

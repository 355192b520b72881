"""How much probes tell, on cases that were worked out by hand."""

from bench.analysis.probe_reliability import Probe, probe_rows, recorded_probes
from bench.data.recorded import RecordedQuestion, RecordedTrace


def probe(fraction: float, named: str | None, final: str | None, question: str = "q") -> Probe:
    return Probe(question, fraction, named, final, leader="1", tokens=2, prompt_tokens=10)


def test_precision_and_recall_by_part_and_in_all() -> None:
    first, second, both = probe_rows(
        [
            probe(0.1, "1", "1"),
            probe(0.2, "2", "1"),
            probe(0.3, None, "1"),
            probe(0.4, "1", "2"),
            probe(0.9, "2", "2", "r"),
            probe(1.0, "1", None, "r"),
        ],
        parts=2,
    )
    assert (first.part, first.probes, first.questions) == ("0% to 50%", 4, 1)
    assert (first.named, first.precision, first.recall) == (0.75, 0.3333, 0.25)
    assert first.leader_precision == 0.5
    assert first.precision_low is None  # one question has no interval
    assert (second.probes, second.precision, second.recall) == (2, 0.5, 1.0)
    assert (both.part, both.probes, both.precision) == ("all", 6, 0.4)
    assert both.precision_low is not None
    assert both.precision_high is not None
    assert both.precision_low <= 0.4 <= both.precision_high
    assert both.tokens_per_probe == 2.0
    assert both.cached == 0.0


def test_a_part_without_probes_has_no_fractions() -> None:
    empty = probe_rows([probe(0.9, "1", "1")], parts=2)[0]
    assert (empty.probes, empty.precision, empty.recall, empty.tokens_per_probe) == (
        0,
        None,
        None,
        None,
    )


def test_recorded_probes_stand_at_their_tokens_and_cost_nothing_known() -> None:
    question = RecordedQuestion(
        id="q",
        question="?",
        correct=frozenset({"1"}),
        traces=(
            RecordedTrace(tokens=1000, answer="1", probes=("2", "ERR", "1")),
            RecordedTrace(tokens=400, answer="1", probes=("1",)),
            RecordedTrace(tokens=900, answer=None, probes=("1", "1")),
        ),
        probe_tokens=400,
    )
    found = recorded_probes([question])
    assert [(p.fraction, p.named, p.final) for p in found] == [
        (0.4, "2", "1"),
        (0.8, None, "1"),
        (400 / 900, "1", None),
        (800 / 900, "1", None),
    ]
    assert {p.leader for p in found} == {"1"}
    assert probe_rows(found)[-1].tokens_per_probe is None

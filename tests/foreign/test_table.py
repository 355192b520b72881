"""The page about foreign servers: what it says, what it calls a fault, and that it is up to date with the list."""

import re

import pytest

from tests.foreign.__main__ import PAGE, expectations
from tests.foreign.checks import Findings, Stopped, Whole
from tests.foreign.environments import PINS
from tests.foreign.table import Expected, Row, faults, page
from tests.support.capabilities import REASONER

EXPECTED = Expected("completions", "confirmed")
FOUND = Findings(
    capabilities=REASONER,
    whole=Whole(billed=900, engine=900, prompts=180, source="server_usage"),
    stopped=Stopped(
        closed=3,
        billed=700,
        engine=703,
        source="server_usage",
        cancellation="confirmed",
        idle_after=0.2,
    ),
    resumed=4,
    lost=0,
)


def test_a_row_shows_our_count_beside_the_engines() -> None:
    (line,) = [line for line in page([Row("vLLM", EXPECTED, FOUND)]).splitlines() if "vLLM" in line]
    assert "900 = 900 (server usage)" in line
    assert "700, engine 703 (server usage); idle after 0.2 s" in line
    assert line.endswith("| confirmed | all 4 traces |")


def test_a_server_without_counters_is_compared_with_nothing() -> None:
    whole = FOUND.whole._replace(engine=None, source="chunks")
    row = Row("other", EXPECTED._replace(exact=False), FOUND._replace(whole=whole, lost=1))
    assert "900 (chunks); not counted by the server" in page([row])
    assert "4 of 5 traces" in page([row])


def test_what_is_as_expected_is_no_fault() -> None:
    assert faults([Row("vLLM", EXPECTED, FOUND)]) == []


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (FOUND._replace(whole=FOUND.whole._replace(engine=901)), "900 tokens were billed"),
        (FOUND._replace(whole=FOUND.whole._replace(prompts=0)), "no prompt token"),
        (FOUND._replace(stopped=FOUND.stopped._replace(idle_after=None)), "the engine went on"),
        (FOUND._replace(stopped=FOUND.stopped._replace(cancellation="failed")), "is failed"),
        (FOUND._replace(lost=2), "2 traces were lost"),
    ],
)
def test_what_is_not_as_expected_is_a_fault(found: Findings, fault: str) -> None:
    (sentence,) = faults([Row("vLLM", EXPECTED, found)])
    assert sentence.startswith("vLLM: ")
    assert fault in sentence


def test_every_package_is_pinned() -> None:
    for pins in PINS.glob("*.txt"):
        for line in pins.read_text().splitlines():
            assert re.fullmatch(r"[\w.-]+==[\w.+]+", line), f"{pins.name}: {line}"


def test_the_page_names_every_server() -> None:
    written = PAGE.read_text()
    rows, _, missing = written.partition("Not tried")
    for name in expectations():
        assert (f"\n| {name} |" in rows) != (name in missing)

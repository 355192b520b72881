"""A program looks for unused cycles rarely while it works, and not otherwise."""

import gc
from collections.abc import Callable

import pytest

from orchestrator.cli.program import run_program
from orchestrator.errors import ConfigError


@pytest.mark.parametrize("error", [None, ConfigError("wrong")])
def test_a_program_collects_rarely_while_it_works(error: ConfigError | None) -> None:
    before = gc.get_threshold()
    seen = []

    def prepare(words: list[str]) -> Callable[[], int]:
        def work() -> int:
            seen.append(gc.get_threshold()[0])
            if error is not None:
                raise error
            return 0

        return work

    run_program("program", [], prepare)
    assert seen[0] > 10 * before[0]
    assert gc.get_threshold() == before


def test_cycles_are_still_collected() -> None:
    class Cycle:
        alive = 0

        def __init__(self) -> None:
            self.itself = self
            Cycle.alive += 1

        def __del__(self) -> None:
            Cycle.alive -= 1

    made = 200_000

    def work() -> int:
        for _ in range(made):
            Cycle()
        return 0

    run_program("program", [], lambda words: work)
    assert Cycle.alive < made / 2

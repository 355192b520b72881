"""A policy object of the user's own."""

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

import pytest

import deepprune
from orchestrator.cli.main import main
from orchestrator.journal.replay import replay
from tests.support.paced_servers import PacedServers


@dataclass
class FirstTwo:
    """Starts four traces, stops the others once two have finished, and lets these two vote."""

    uses_checkpoints = False
    watches_tokens = False
    at_rest = True
    open: set[int] = field(default_factory=set)
    finished: int = 0

    def start(self) -> deepprune.Step:
        self.open.update(range(4))
        return deepprune.Step([], [deepprune.StartTrace(trace=trace) for trace in range(4)])

    def on(self, event: deepprune.Event) -> deepprune.Step:
        if isinstance(event, deepprune.TraceFinished | deepprune.TraceStopped):
            self.open.discard(event.trace)
        if isinstance(event, deepprune.TraceFinished):
            self.finished += 1
            if self.finished == 2:
                stops: list[deepprune.Command] = [
                    deepprune.StopTrace(trace=t, reason="enough") for t in sorted(self.open)
                ]
                return deepprune.Step([], stops)
        return deepprune.Step([], [])

    def voters(self, finished: tuple[int, ...]) -> list[int]:
        return list(finished[:2])


POLICY: deepprune.Policy = FirstTwo()


async def test_a_policy_of_the_users_own_decides_and_each_question_gets_a_fresh_copy() -> None:
    async with (
        PacedServers(words=20, pause=0.002).serving() as servers,
        deepprune.Client(servers.reasoner.url, policy=POLICY, traces=4) as client,
    ):
        results = [await client.ask("1?"), await client.ask("2?")]
    for result in results:
        assert sum(vote.ballots for vote in result.votes) == 2
        assert result.report.policy == "custom"
        assert result.report.traces.planned == 4
    assert FirstTwo() == POLICY


def test_its_run_is_marked_and_can_be_neither_resumed_nor_replayed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run_dir = asyncio.run(run_folder(tmp_path))
    with pytest.raises(deepprune.ConfigError, match="neither resumed nor replayed"):
        replay(run_dir)
    (run_dir / "report.json").unlink()
    assert main(["--resume", str(run_dir), "--no-tui"]) == 2
    assert "The policy custom is a Python object" in capsys.readouterr().err


async def run_folder(out: Path) -> Path:
    """The folder of a run with the policy."""
    async with (
        PacedServers(words=4).serving() as servers,
        deepprune.Client(servers.reasoner.url, policy=POLICY, traces=4, out=out) as client,
    ):
        result = await client.ask("How many?")
    assert result.run_dir is not None
    return result.run_dir


def test_its_name_alone_or_its_class_is_refused() -> None:
    with pytest.raises(deepprune.ConfigError, match="custom is a Python object"):
        deepprune.Client("http://gpu/v1", policy="custom")
    with pytest.raises(deepprune.ConfigError, match="FirstTwo is a class"):
        deepprune.Client("http://gpu/v1", policy=FirstTwo)  # type: ignore[arg-type]  # wrong on purpose


def test_it_goes_with_whole_settings_that_leave_the_decision_to_it() -> None:
    settings = {"endpoint": {"urls": ["http://gpu/v1"]}, "policy": {"name": "custom", "traces": 4}}
    whole = deepprune.Settings.model_validate(settings)
    assert deepprune.Client(settings=whole, policy=POLICY).settings == whole
    for name in ("auto", "consensus"):
        other = deepprune.Settings.model_validate(settings | {"policy": {"name": name}})
        with pytest.raises(deepprune.ConfigError, match=r"leave out policy\.name"):
            deepprune.Client(settings=other, policy=POLICY)

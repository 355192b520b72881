"""Sentences for the user about the servers of a session, and about costs that are on no other bill."""

from collections.abc import Callable

from orchestrator.capabilities import ServerCapabilities
from orchestrator.config.presets import suitable_preset
from orchestrator.config.prompts import general_prompt
from orchestrator.core.commands import Command
from orchestrator.core.events import Event, TokensArrived, TraceWarned, WarningKind
from orchestrator.core.policies import needs_judge
from orchestrator.report.totals import RewardTotals
from orchestrator.runtime.endpoints import Endpoints
from orchestrator.settings import Settings
from orchestrator.terminal.sanitize import sanitize

__all__ = ["WarningNotes", "comparison_notes", "no_rewards_note", "reward_notes", "server_notes"]


class WarningNotes:
    """Says what is odd about servers while a question runs: each kind once in a session, and each outage once.

    It is a listener of `QuestionRun`.
    """

    def __init__(self, note: Callable[[str], None]) -> None:
        self._note = note
        self._told: set[WarningKind] = set()
        self._is_waiting = False

    def __call__(self, entry: Event | Command) -> None:
        """Takes one entry of a run."""
        if isinstance(entry, TraceWarned):
            self._warn(entry)
        elif self._is_waiting and isinstance(entry, TokensArrived):
            self._is_waiting = False
            self._note("The server answers again.")

    def _warn(self, event: TraceWarned) -> None:
        if event.warning == "wait":
            if not self._is_waiting:
                self._note(sanitize(event.message))
            self._is_waiting = True
        elif event.warning not in self._told:
            self._told.add(event.warning)
            self._note(sanitize(event.message))


def server_notes(endpoints: Endpoints, settings: Settings) -> list[str]:
    """Which servers were found, and what they cannot do."""
    found = endpoints.capabilities
    place = " and ".join(endpoints.reasoner.addresses)
    notes = [
        f"Reasoner {sanitize(found.model)} at {place} ({sanitize(found.server)}, {found.api} API)"
    ]
    if (prompt := general_prompt(settings, found.model)) is not None:
        notes.append(
            f"Questions without an instruction of their own are sent with that of --prompt {prompt}, so that answers can "
            "be read; --prompt plain sends them as they are."
        )
    preset = suitable_preset(found.model)
    if preset is not None and settings.model.family is None:
        notes.append(f"There are settings for models of this name: --preset {preset} takes them.")
    if (judge := endpoints.judge_capabilities) is not None:
        notes.append(f"Judge {sanitize(judge.model)} at {judge.endpoint} ({judge.dialect})")
    if (reward := endpoints.reward) is not None:
        dialect = settings.reward.dialect
        notes.append(f"Reward model {sanitize(reward.model)} at {reward.address} ({dialect})")
    clients = (endpoints.reasoner, endpoints.judge, reward, endpoints.same_answer)
    notes += [sanitize(note) for client in clients if client is not None for note in client.notes]
    if needs_judge(settings) and settings.checkpoint.at == "pause" and not found.resumable:
        notes.append(
            "This server cannot resume a closed stream exactly, so traces write on while the judge "
            "decides (as with --at-checkpoint run)."
        )
    if (stopping := _stopping_note(found, settings)) is not None:
        notes.append(stopping)
    if shared := endpoints.shared_engines & {"reasoner", "judge"}:
        notes.append(_shared_note(endpoints, sorted(shared)))
    return notes


def _stopping_note(found: ServerCapabilities, settings: Settings) -> str | None:
    """Says that stopped traces may go on in the engine; None where they do not, or where none is ever stopped."""
    if found.stops_when_closed or settings.policy.name == "consensus":
        return None
    if found.stops_when_closed is False:
        return (
            f"Closing a stream of {found.endpoint} does not stop the generation: its engine went on. Traces that are "
            "stopped save nothing here, so no saving is reported. Give the engine's own address, or a gateway that "
            "passes closed connections on."
        )
    if not found.metrics:
        return (
            f"It cannot be told whether {found.endpoint} stops generating when a stream is closed, because it shows no "
            "counters. If it is a gateway, name its engine with --set endpoint.metrics_url=http://HOST:PORT."
        )
    return None


def _shared_note(endpoints: Endpoints, shared: list[str]) -> str:
    users = " and ".join(f"the {role}" for role in sorted(endpoints.shared_engines))
    names = " or ".join(f"the {role}" for role in shared)
    return (
        f"{users[0].upper()}{users[1:]} use one engine, or others use it too, so its counters cannot be attributed: "
        f"the bill of {names} is what the answers say, and prompt tokens that it read from its cache may be billed as computed."
    )


def comparison_notes(endpoints: Endpoints) -> list[str]:
    """What the comparison of answers by a chat model has cost, and where it gave no verdict."""
    asked = endpoints.same_answer
    if asked is None:
        return []
    notes = [
        f"Answers were compared by {sanitize(asked.model)}: {asked.requests} requests, {asked.tokens:,} tokens, "
        "which are not in the judge's bill."
    ]
    if asked.unknown:
        notes.append(
            f"{asked.unknown} pairs of answers got no clear verdict and count as different."
        )
    return notes


def no_rewards_note(spent: RewardTotals) -> str | None:
    """Says that the vote of a question had to do without rewards; None if it had some, or wanted none."""
    if not spent.failures or spent.traces:
        return None
    return f"No trace got a reward, so the vote is a plain majority; the last reason: {sanitize(spent.last_failure)}"


def reward_notes(spent: RewardTotals) -> list[str]:
    """What the rewards of all questions have cost, and how many traces have none."""
    if not spent.traces and not spent.failures:
        return []
    notes = [
        f"Rewards: {spent.traces} traces, {spent.prompt_tokens:,} tokens read in {spent.seconds:.1f} s; "
        "they are not in the judge's bill and not in what was saved."
    ]
    if spent.failures:
        notes.append(
            f"{spent.failures} traces got no reward and weigh as much as the others of their question on average; "
            f"the last reason: {sanitize(spent.last_failure)}"
        )
    return notes

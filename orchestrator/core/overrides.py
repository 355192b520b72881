"""What the user wants of single traces, and how it changes the policy's commands.

The policy decides as if nobody had interfered; its commands are amended afterwards. A pinned trace
that it would prune runs to its end instead. Unpinned again, it is pruned after all.
"""

from orchestrator.core.commands import Command, PauseTrace, ResumeTrace, StopTrace
from orchestrator.core.events import UserCommand

__all__ = ["UserOverrides"]


class UserOverrides:
    """The traces that the user keeps alive; the engine asks here before an order goes out."""

    def __init__(self) -> None:
        self.kept: set[int] = set()
        """Never pruned, and sure of a ballot if they finish."""
        self._hurried: set[int] = set()  # run on without waiting for the judge
        self._spared: dict[int, StopTrace] = {}

    def take(self, command: UserCommand, trace: int) -> list[Command]:
        """What follows at once from a command (pin, unpin, finish or stop) on an open trace."""
        if command == "stop":
            return [StopTrace(trace=trace, reason="user")]
        if command == "unpin":
            self.kept.discard(trace)
            self._hurried.discard(trace)
            spared = self._spared.pop(trace, None)
            return [] if spared is None else [spared]
        self.kept.add(trace)
        if command == "pin":
            return []
        self._hurried.add(trace)
        return [ResumeTrace(trace=trace)]

    def amend(self, commands: list[Command]) -> list[Command]:
        """The commands to give in place of those of the policy."""
        if not self.kept:
            return commands
        return [each for command in commands for each in self._amended(command)]

    def _amended(self, command: Command) -> list[Command]:
        if isinstance(command, StopTrace) and command.trace in self.kept:
            self._spared[command.trace] = command
            return [ResumeTrace(trace=command.trace)]
        if isinstance(command, PauseTrace) and command.trace in self._hurried:
            return []
        return [command]

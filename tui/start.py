"""Where the programs with a screen start: Ctrl-C ends them without a traceback while they import."""

from orchestrator.cli.leaving import leave_on_interrupt

leave_on_interrupt()

__all__ = ["orchestrate", "watch"]


def orchestrate(argv: list[str] | None = None) -> int:
    """The program `deepprune-orchestrate`."""
    from tui.launcher import main as run

    return run(argv)


def watch(argv: list[str] | None = None) -> int:
    """The program `deepprune-tui`."""
    from tui.cli import main as run

    return run(argv)

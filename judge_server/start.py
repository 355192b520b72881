"""Where `deepprune-judge` starts: Ctrl-C ends it without a traceback while it imports."""

from orchestrator.cli.leaving import leave_on_interrupt

leave_on_interrupt()

__all__ = ["main"]


def main(argv: list[str] | None = None) -> int:
    """The program `deepprune-judge`."""
    from judge_server.cli.main import main as run

    return run(argv)

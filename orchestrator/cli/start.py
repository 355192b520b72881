"""Where the orchestrator's programs start: Ctrl-C ends them without a traceback while they import."""

from orchestrator.cli.leaving import leave_on_interrupt

leave_on_interrupt()

__all__ = ["doctor", "replay", "report", "serve"]


def doctor(argv: list[str] | None = None) -> int:
    """The program `deepprune-doctor`."""
    from orchestrator.cli.doctor import main as run

    return run(argv)


def replay(argv: list[str] | None = None) -> int:
    """The program `deepprune-replay`."""
    from orchestrator.cli.replay import main as run

    return run(argv)


def report(argv: list[str] | None = None) -> int:
    """The program `deepprune-report`."""
    from orchestrator.cli.report import main as run

    return run(argv)


def serve(argv: list[str] | None = None) -> int:
    """The program `deepprune-serve`."""
    from orchestrator.cli.serve import main as run

    return run(argv)

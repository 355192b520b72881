"""The page of a run that was written to a folder."""

from pathlib import Path

from orchestrator.errors import JournalError
from orchestrator.journal.journal import read_journal
from orchestrator.journal.run_dir import run_folders
from orchestrator.page.html_page import TEXT_CHARACTERS, Page, build_page
from orchestrator.report.report import Report, build_report
from orchestrator.report.view import RunView

__all__ = ["recorded_page"]


def recorded_page(run: Path, *, characters: int = TEXT_CHARACTERS) -> Page:
    """The page of the run in a folder, which may still be running; see `build_page` for `characters`.

    Raises:
        ConfigError: the folder holds no run.
        JournalError: a journal cannot be read, or nothing has been written yet.
    """
    views = [RunView.of(read_journal(folder)) for folder in run_folders(run)]
    runs: list[tuple[RunView, Report]] = [
        (view, build_report(view, run_dir=None)) for view in views if view.run is not None
    ]
    if not runs:
        raise JournalError(f"{run} holds an empty journal: give another run.")
    return build_page(runs, name=run.resolve().name, characters=characters)

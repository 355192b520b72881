"""The screen as SVG, from a running app or without any terminal."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from orchestrator.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from textual.app import App
    from textual.pilot import Pilot

    from tui.sources.recording import Source

__all__ = ["Shot", "save_svg", "svg_of"]

_FONTS = re.compile(r"@font-face\s*\{[^}]*\}")


@dataclass(frozen=True, slots=True)
class Shot:
    """What to take a picture of; `size` is in cells, `at` in seconds of the run (None: its end)."""

    screen: Literal["live", "trace", "questions"] = "live"
    size: tuple[int, int] = (120, 40)
    at: float | None = None
    trace: int = 0
    theme: str = "deepprune-dark"


def svg_of(app: App[Any]) -> str:
    """The screen as it is now; the file refers to nothing outside itself."""
    return _FONTS.sub("", app.export_screenshot())


def save_svg(source: Source, shot: Shot, path: Path) -> None:
    """Writes a picture of `source` to `path`.

    Raises:
        ConfigError: there is no such trace, or the file cannot be written.
    """
    if source.player is not None:
        source.player.seek(source.player.length if shot.at is None else shot.at)
        traces = source.player.watch.view.traces
        if shot.screen == "trace" and shot.trace not in traces:
            raise ConfigError(
                f"There is no trace {shot.trace}; give one from 0 to {len(traces) - 1}."
            )
    svg = asyncio.run(_take(source, shot))
    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): give another file."
        ) from error


async def _take(source: Source, shot: Shot) -> str:
    from tui.app import DeepPruneApp

    pictures: list[str] = []

    async def pose(pilot: Pilot[object]) -> None:
        app.show(shot.screen, shot.trace)
        await pilot.pause()
        app.tick()
        await pilot.pause()
        pictures.append(svg_of(app))
        app.exit()

    app = DeepPruneApp(source, theme=shot.theme)
    await app.run_async(headless=True, size=shot.size, auto_pilot=pose)
    return pictures[0]

"""A screen of a run as an SVG file, rendered without a terminal."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from textual.pilot import Pilot

from orchestrator.errors import ConfigError
from tui.app import DeepPruneApp, svg_of
from tui.sources.base import Source

__all__ = ["Shot", "save_svg"]


@dataclass(frozen=True, slots=True)
class Shot:
    """What the picture shows.

    Attributes:
        screen: the screen.
        size: width and height in cells.
        at: the moment in seconds of the run; None for its end.
        trace: the trace, on the trace screen.
        theme: the name of a registered theme.
    """

    screen: Literal["live", "trace", "questions"] = "live"
    size: tuple[int, int] = (120, 40)
    at: float | None = None
    trace: int = 0
    theme: str = "deepprune-dark"


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
    svg = asyncio.run(_render(source, shot))
    try:
        path.write_text(svg, encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written ({error.strerror}): give another file."
        ) from error


async def _render(source: Source, shot: Shot) -> str:
    app = DeepPruneApp(source, theme=shot.theme)
    pictures: list[str] = []

    async def take(pilot: Pilot[object]) -> None:
        app.show(shot.screen, shot.trace)
        await pilot.pause()
        app.tick()
        await pilot.pause()
        pictures.append(svg_of(app))
        app.exit()

    await app.run_async(headless=True, size=shot.size, auto_pilot=take)
    return pictures[0]

"""The pictures in the documentation, taken from the recorded runs in the package. Run it with `make images`."""

import sys
from pathlib import Path

from tui.export.svg import Shot, save_svg
from tui.sources.recording import Recording, auto_run, demo_run

__all__ = ["SHOTS", "main"]

SHOTS = {
    "live": Shot(at=4.6),
    "live-light": Shot(at=4.6, theme="deepprune-light"),
    "live-over": Shot(),
    "live-80x24": Shot(at=4.6, size=(80, 24)),
    "trace": Shot(screen="trace", trace=3, size=(120, 34)),
    "auto": Shot(at=206.0),
}
"""Pictures by file name, without `.svg`."""


def main(folder: Path = Path("docs/images")) -> None:
    """Writes every picture into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, shot in SHOTS.items():
        run = auto_run() if name.startswith("auto") else demo_run()
        recording = Recording(run, playing=False)
        recording.open(0)
        save_svg(recording, shot, folder / f"{name}.svg")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))

"""The two themes of the app, and the styles that the panels draw with.

Colour never carries meaning alone: every state has a glyph as well. The state colours can be told apart by
colour-blind readers (after Okabe and Ito, 2008) on the light and on the dark background.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rich.style import Style
from textual.color import Color
from textual.theme import Theme

from orchestrator.report.display_state import DisplayState

__all__ = ["DARK", "LIGHT", "THEMES", "Palette", "palette_for"]


@dataclass(frozen=True, slots=True)
class Palette:
    """Styles by meaning. All but `selected` keep the panel's background."""

    text: Style
    strong: Style
    dim: Style
    faint: Style
    """Rules and empty parts of bars."""
    accent: Style
    good: Style
    warn: Style
    bad: Style
    selected: Style
    """The background of the row under the cursor."""
    states: Mapping[DisplayState, Style]
    fills: Mapping[DisplayState, Style]
    """The colours of `states` blended with the background, for areas that are larger than a glyph."""


def _palette(
    background: str, selected: str, colours: Mapping[str, str], states: Mapping[DisplayState, str]
) -> Palette:
    styles = {name: Style(color=colour) for name, colour in colours.items()}
    return Palette(
        **styles,
        selected=Style(bgcolor=selected),
        strong=Style(color=colours["text"], bold=True),
        states={
            state: Style(color=colour, bold=state in ("finishing", "failed", "judging"))
            for state, colour in states.items()
        },
        fills={
            state: Style(color=Color.parse(colour).blend(Color.parse(background), 0.4).hex)
            for state, colour in states.items()
        },
    )


DARK = _palette(
    "#0e1318",
    "#22303d",
    {
        "text": "#d3dae1",
        "dim": "#8b98a5",
        "faint": "#3d4954",
        "accent": "#56b4e9",
        "good": "#35c79e",
        "warn": "#e6a51e",
        "bad": "#ff7a4d",
    },
    {
        "queued": "#687583",
        "running": "#56b4e9",
        "checkpoint": "#e8dc4a",
        "judging": "#e69f00",
        "paused": "#93a8bd",
        "representative": "#dd8fc0",
        "finishing": "#8ad4ff",
        "finished": "#35c79e",
        "pruned": "#6f7c89",
        "stopped": "#a3adb7",
        "failed": "#ff7a4d",
        "unstarted": "#687583",
    },
)

LIGHT = _palette(
    "#fbfbf9",
    "#d5e3f0",
    {
        "text": "#1f262d",
        "dim": "#56626e",
        "faint": "#c3cad1",
        "accent": "#0067a3",
        "good": "#00755a",
        "warn": "#8f5a00",
        "bad": "#b83a00",
    },
    {
        "queued": "#8a949e",
        "running": "#0072b2",
        "checkpoint": "#7d6c00",
        "judging": "#a85500",
        "paused": "#5d7085",
        "representative": "#a23c77",
        "finishing": "#004f86",
        "finished": "#00755a",
        "pruned": "#808b95",
        "stopped": "#4d5864",
        "failed": "#b83a00",
        "unstarted": "#8a949e",
    },
)

THEMES = (
    Theme(
        name="deepprune-dark",
        primary="#56b4e9",
        secondary="#8b98a5",
        accent="#e6a51e",
        success="#35c79e",
        warning="#e6a51e",
        error="#ff7a4d",
        foreground="#d3dae1",
        background="#0e1318",
        surface="#131920",
        panel="#1a222b",
        dark=True,
    ),
    Theme(
        name="deepprune-light",
        primary="#0067a3",
        secondary="#56626e",
        accent="#8f5a00",
        success="#00755a",
        warning="#8f5a00",
        error="#b83a00",
        foreground="#1f262d",
        background="#fbfbf9",
        surface="#f3f3f0",
        panel="#e8e8e4",
        dark=False,
    ),
)


def palette_for(theme: Theme) -> Palette:
    """The palette for the background of `theme`, which may be one of Textual's."""
    return DARK if theme.dark else LIGHT

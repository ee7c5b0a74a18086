"""One palette for every picture: rooms of a program, severities, a sequence; light and dark.

The colours of each theme keep a contrast of at least 3:1 against that theme's background (WCAG 2.2, 1.4.11),
and differ in lightness, so that they stay apart for the colour-blind and on a grey printer.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Tone:
    """One colour in both themes, as ``#rrggbb``."""

    light: str
    dark: str

    @property
    def css(self) -> str:
        """The CSS function that follows the ``color-scheme`` of where it stands."""
        return f"light-dark({self.light}, {self.dark})"


#: Rooms of a program, in the order of a reference chain.
ROOMS: dict[str, Tone] = {
    "root": Tone("#4b5563", "#9ca3af"),
    "application": Tone("#c2410c", "#fb923c"),
    "framework": Tone("#6d28d9", "#a78bfa"),
    "sdk": Tone("#1d4ed8", "#7aa2f7"),
    "dynamodb": Tone("#047857", "#34d399"),
    "runtime": Tone("#7c8698", "#8b95a7"),
}

SEVERITY: dict[str, Tone] = {
    "critical": Tone("#b91c1c", "#f87171"),
    "high": Tone("#c2410c", "#fb923c"),
    "medium": Tone("#a16207", "#facc15"),
    "low": Tone("#1d4ed8", "#7aa2f7"),
    "info": Tone("#4b5563", "#9ca3af"),
}

INK = Tone("#1a202c", "#e6e9ef")
MUTED = Tone("#566072", "#a3adbd")
LINE = Tone("#d5dae3", "#3a4252")
PAPER = Tone("#ffffff", "#14181f")
CARD = Tone("#f6f7f9", "#1c222c")
ACCENT = Tone("#1d4ed8", "#7aa2f7")
BAD = SEVERITY["critical"]
GOOD = ROOMS["dynamodb"]

#: For series that have no meaning of their own, such as holders over time. Legible on white and on black.
SEQUENCE = ("#c2410c", "#2563eb", "#059669", "#9333ea", "#b45309", "#0891b2", "#be185d", "#64748b")
OTHERS = "#7c8698"

_THEME = {
    "ink": INK,
    "muted": MUTED,
    "line": LINE,
    "paper": PAPER,
    "card": CARD,
    "accent": ACCENT,
    "bad": BAD,
    "good": GOOD,
}


def css_variables() -> str:
    """The palette as CSS custom properties: ``--fx-ink``, ``--fx-room-sdk``, ``--fx-severity-high`` …"""
    named = {
        **_THEME,
        **{f"room-{name}": tone for name, tone in ROOMS.items()},
        **{f"severity-{name}": tone for name, tone in SEVERITY.items()},
    }
    return "".join(f"--fx-{name}:{tone.css};" for name, tone in named.items())

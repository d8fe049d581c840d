"""Two calm themes: dark and light."""

from __future__ import annotations

from textual.theme import Theme

DARK = Theme(
    name="oss-dark",
    primary="#7aa2c8",
    secondary="#9a8fc7",
    accent="#e0af68",
    foreground="#d5d9e0",
    background="#16181d",
    surface="#1b1e24",
    panel="#22262e",
    success="#8fbf7f",
    warning="#e0af68",
    error="#e07a7a",
    dark=True,
    variables={"footer-key-foreground": "#e0af68", "border-blurred": "#2c313b"},
)
LIGHT = Theme(
    name="oss-light",
    primary="#2f6496",
    secondary="#5d4f99",
    accent="#9a5f00",
    foreground="#24272d",
    background="#fbfaf7",
    surface="#f4f2ec",
    panel="#eae7de",
    success="#3f7a33",
    warning="#9a5f00",
    error="#b03030",
    dark=False,
    variables={"footer-key-foreground": "#9a5f00", "border-blurred": "#d8d4c8"},
)

"""The colours of the pictures, for light and dark, and the contrast that a test holds them to.

Text has a contrast of at least 4.5 to 1 on everything it is written on, lines at least 3 to 1
(Web Content Accessibility Guidelines 2.2, 1.4.3 and 1.4.11).  This file draws nothing.
"""

from __future__ import annotations

Theme = dict[str, str]

# A box of a kind has a fill, "<kind>", and a line around it, "<kind>-line".
KINDS = ("op", "input", "parameter", "constant", "output", "group")

LIGHT: Theme = {
    "ground": "#ffffff",
    "scope1": "#f5f7fa",
    "scope2": "#e9edf3",
    "scope-line": "#7d8794",
    "text": "#1b1f24",
    "muted": "#505a66",
    "edge": "#6b7580",
    "op": "#ffffff",
    "op-line": "#505a66",
    "input": "#e0f5f1",
    "input-line": "#0f766e",
    "parameter": "#f0eafd",
    "parameter-line": "#6d28d9",
    "constant": "#eef0f2",
    "constant-line": "#5f6873",
    "output": "#e2f6e6",
    "output-line": "#187033",
    "group": "#e9edf3",
    "group-line": "#6b7580",
    "positive": "#b84307",
    "negative": "#1d4ed8",
    "focus": "#0550ae",
    "path": "#9a3f00",
    "active": "#fff1c2",
    "active-line": "#7a5200",
    "note-green": "#187033",
    "note-red": "#b3152b",
    "note-amber": "#7a5200",
    "note-blue": "#0550ae",
    "on-note": "#ffffff",
}

DARK: Theme = {
    "ground": "#0d1117",
    "scope1": "#141b24",
    "scope2": "#1b2430",
    "scope-line": "#738091",
    "text": "#e6edf3",
    "muted": "#a3afbb",
    "edge": "#8592a0",
    "op": "#161c24",
    "op-line": "#93a0ad",
    "input": "#0b2c2a",
    "input-line": "#2cc9b5",
    "parameter": "#2a1f47",
    "parameter-line": "#b39bfa",
    "constant": "#20262d",
    "constant-line": "#98a3af",
    "output": "#0f2b1a",
    "output-line": "#46cf78",
    "group": "#1b2430",
    "group-line": "#8592a0",
    "positive": "#fb9a4b",
    "negative": "#79b0ff",
    "focus": "#79c0ff",
    "path": "#ffb077",
    "active": "#4a3800",
    "active-line": "#f2cc60",
    "note-green": "#46cf78",
    "note-red": "#ff8f98",
    "note-amber": "#f2cc60",
    "note-blue": "#79c0ff",
    "on-note": "#0d1117",
}

NOTE_COLORS = ("green", "red", "amber", "blue")


def _luminance(color: str) -> float:
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours `#rrggbb`, from 1 (equal) to 21 (black on white).

    >>> round(contrast("#000000", "#ffffff"))
    21
    """
    high, low = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)

"""Times, rates and shares as people read them."""

import math

MISSING = "–"
"""Stands where nothing is known."""


def significant(value: float, digits: int = 3) -> str:
    """Write a number with so many digits that count, and never with an exponent."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    rounded = float(f"{value:.{digits - 1}e}")  # 99.96 becomes 100, whose digits count anew
    decimals = digits - 1 - math.floor(math.log10(abs(rounded)))
    return f"{rounded:.{max(0, decimals)}f}"


def format_time(ms: float | None, digits: int = 3) -> str:
    """Write a time in the unit that fits it: ``95.2 ms``."""
    if ms is None:
        return MISSING
    size = float(f"{abs(ms):.{digits - 1}e}")  # 999.96 ms is 1.00 s
    if size >= 1000:
        return f"{significant(ms / 1000, digits)} s"
    if size >= 1 or size == 0:
        return f"{significant(ms, digits)} ms"
    return f"{significant(ms * 1000, digits)} µs"


def format_share(fraction: float | None, decimals: int = 1) -> str:
    """Write a fraction of one in percent: ``23.7 %``."""
    return MISSING if fraction is None else f"{100 * fraction:.{decimals}f} %"


def format_noise(noise: float) -> str:
    """Write how far a figure may be off: ``±0.2 %``."""
    return f"±{format_share(noise, 1 if noise < 0.1 else 0)}"


def format_change(fraction: float | None) -> str:
    """Write how much more or less something is: ``+5.2 %``."""
    return MISSING if fraction is None else f"{100 * fraction:+.1f} %"


def shorten(text: str, width: int) -> str:
    """Cut a text that is too long, and replace characters that a terminal would obey.

    A text may come from another machine or from whoever made a bundle.
    """
    text = "".join(char if char.isprintable() else "\N{REPLACEMENT CHARACTER}" for char in text)
    return text if len(text) <= width else f"{text[: width - 1]}…"

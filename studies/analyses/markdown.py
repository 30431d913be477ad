"""Tables in Markdown, and figures as pages show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table, a line per row."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """Return a share as percent with one decimal, without the sign."""
    return f"{100 * share:.1f}"


def spread(mean: float, low: float, high: float) -> str:
    """Return a difference of shares with its interval, in percentage points."""
    return f"{100 * mean:+z.1f} [{100 * low:+z.1f}, {100 * high:+z.1f}]"

"""The K that is enough, in words."""

from __future__ import annotations

from collections.abc import Sequence

from dst.k_curve import KPoint, best_point
from studies.choice.best import BestRow


def curve_of(row: BestRow) -> list[KPoint]:
    """Return the validation score of a configuration over K, smallest K first."""
    return [KPoint(**point) for point in row["k_curve"]]


def has_several_k(rows: Sequence[BestRow]) -> bool:
    """Say whether a configuration was scored on more than one K."""
    return any(len(row["k_curve"]) > 1 for row in rows)


def k_in_words(curve: Sequence[KPoint], k: int) -> str:
    """Return the mean score at a K with its interval, beside the best of the curve.

    Args:
        curve: smallest K first.
        k: one of its K.
    """
    point, best = next(point for point in curve if point.k == k), best_point(curve)
    text = f"{100 * point.mean:.1f} %"
    if point.low is not None and point.high is not None:
        text += f" ({100 * point.low:.1f} to {100 * point.high:.1f})"
    return f"{text}, the best" if best.k == k else f"{text} beside {100 * best.mean:.1f} % with {best.k}"


def smallest_k_in_words(row: BestRow) -> str | None:
    """Return the smallest K that is enough for a configuration, with its score; None where that is not known."""
    if row["smallest_k"] is None:
        return None
    return f"{row['dataset']}: K = {row['smallest_k']} has {k_in_words(curve_of(row), row['smallest_k'])}"

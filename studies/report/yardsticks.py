"""The yardsticks beside a ranking of a table, in words and as plain data."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dst.selector.yardsticks import ALL, NOTHING, RANDOM, SELECTED, Yardstick, Yardsticks, measure, stability_by_chance
from studies.report.ranking import TableRanking


@dataclass(frozen=True)
class RankingYardsticks:
    """What the selected columns of a ranking are worth, beside yardsticks.

    Attributes:
        ranked: the ranking.
        sticks: see :func:`dst.selector.yardsticks.measure`.
        stability_by_chance: see :func:`dst.selector.yardsticks.stability_by_chance`.
    """

    ranked: TableRanking
    sticks: Yardsticks
    stability_by_chance: float | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data, as ``dst select --json`` prints it."""
        return {
            "yardsticks": [asdict(stick) for stick in self.sticks.sticks],
            "held_out_rows": self.sticks.held_out_rows,
            "above_chance": self.sticks.above_chance,
            "better_than_chance": self.sticks.better_than_chance,
            "stability_by_chance": self.stability_by_chance,
        }

    def verdict(self) -> str:
        """Return in a sentence whether the selected columns are better than chance, and than simpler means."""
        sticks, ours = self.sticks, self.sticks.selected
        if sticks.better_than_chance is None:
            return "Whether they are better than chance is not known: --repeats 2 or more says how much scores vary"
        if not sticks.better_than_chance:
            return (
                f"No better than chance: the {ours.k} columns say nothing of the target that held-out rows confirm"
                + (f"; all columns: {_score(of_all)}" if (of_all := sticks.named(ALL)) is not None else "")
            )
        better = [stick for stick in sticks.sticks if stick.name not in (SELECTED, ALL) and stick.mean >= ours.mean]
        if not better:
            return "Better than chance"
        names = ", ".join(f"{stick.name} ({_score(stick)})" for stick in sorted(better, key=lambda stick: -stick.mean))
        return f"Better than chance, but no better than: {names}"

    def rows(self) -> tuple[list[str], list[list[str]]]:
        """Return the head and the rows of a table of the yardsticks."""
        numbers = self.ranked.dataset.n_classes == 0
        head = (
            ["columns", "R2", "95% interval", "mean error"]
            if numbers
            else ["columns", "accuracy", "95% interval", "balanced"]
        )
        return head, [
            [_name(stick, numbers), _score(stick), _interval(stick), self._second(stick)]
            for stick in self.sticks.sticks
        ]

    def _second(self, stick: Yardstick) -> str:
        if stick.mae is not None:
            return f"{stick.mae * float(self.ranked.dataset.y.std()):.4g}"
        return "-" if stick.balanced_accuracy is None else f"{100 * stick.balanced_accuracy:.1f}"


def judge(ranked: TableRanking) -> RankingYardsticks:
    """Measure the yardsticks of a ranking: rivals, random columns, all of them, and the method on a shuffled target.

    Raises:
        InputError: rows of one class only were held in, or a single row of numbers was held out.
    """
    dataset, selector = ranked.dataset, ranked.selector
    sticks = measure(
        selector.parts(dataset.x, dataset.y), selector.selections_, method=selector.method, seed=selector.seed_ or 0
    )
    return RankingYardsticks(ranked, sticks, stability_by_chance(selector, dataset.x, dataset.y))


def _name(stick: Yardstick, numbers: bool) -> str:
    names = {
        SELECTED: f"the {stick.k} selected",
        NOTHING: "none: the mean" if numbers else "none: the largest class",
        RANDOM: f"{stick.k} at random",
        ALL: f"all {stick.k}",
    }
    return names.get(stick.name, f"{stick.k} by {stick.name}")


def _score(stick: Yardstick) -> str:
    return f"{stick.mean:.3f}" if stick.mae is not None else f"{100 * stick.mean:.1f} %"


def _interval(stick: Yardstick) -> str:
    if stick.low is None or stick.high is None:
        return "-"
    low, high = stick.low, stick.high
    return f"{low:.3f} to {high:.3f}" if stick.mae is not None else f"{100 * max(low, 0):.1f} to {100 * high:.1f}"

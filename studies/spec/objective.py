"""The objectives of a search: the section ``objective`` of a spec."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import field_serializer, field_validator

from cluster.ledger.entries import Direction
from dst.errors import listed, unknown_name
from dst.importance.metrics import CONTROLS
from dst.rankers import RANKERS
from dst.selection import TOP, Selection, metric_of, selection_of
from studies.spec.section import Section, is_list
from studies.spec.unquoted import reading

DIRECTIONS: dict[str, Direction] = {
    "val_svm_accuracy": "maximize",
    "val_balanced_accuracy": "maximize",
    "val_loss": "minimize",
    "flops": "minimize",
    "k": "minimize",
}
"""The metrics that can be optimised, each with its direction (Optuna's words)."""

JUDGING = ("val_svm_accuracy", "val_balanced_accuracy", "val_loss")
"""The metrics of how good a configuration is; the others measure its cost."""


class ObjectiveSpec(Section):
    """The objectives of the search, on validation rows.

    Attributes:
        metric: ``val_svm_accuracy`` or ``val_balanced_accuracy`` of the scorer (maximised), or ``val_loss`` of the
            ranker's own model (minimised); or a list: one of these first, then others of them, ``flops`` (of training)
            and ``k`` (how many columns are selected; the space must have it), both minimised. The search then looks for
            the best trade-offs, stops no trial early, and the first of the list decides which of them wins.
        importance: the importance metric whose ranking counts, or ``best`` of all that one training gives, but for
            :data:`dst.importance.metrics.CONTROLS`. A ranker that lacks the named metric is judged on its own.
        selection: what of its scores counts: one of ``scoring.selections``, or ``best`` of them.
        shrink: the choice among confirmed configurations and their rankings is by means over seeds whose differences
            are shrunk by as much of them as chance explains (:mod:`studies.choice.shrinkage`).
    """

    metric: str | tuple[str, ...] = "val_svm_accuracy"
    importance: str = "best"
    selection: str = "best"
    shrink: bool = False

    @field_validator("metric", mode="before")
    @classmethod
    def _known_metrics(cls, given: Any) -> Any:
        names = tuple(given) if is_list(given) else (given,)
        for name in names:
            if (why := reading(name)) is not None:
                raise ValueError(f"must be a metric's name, but {why}")
            if not isinstance(name, str) or name not in DIRECTIONS:
                raise ValueError(f"{unknown_name('metric', str(name), DIRECTIONS)}, but got {name!r}")
        if len(set(names)) < len(names):
            raise ValueError(f"each metric once, but got {', '.join(names)}")
        if not names or names[0] not in JUDGING:
            first = f"got {names[0]!r}" if names else "there is none"
            raise ValueError(f"the first metric decides which trade-off wins and is {listed(JUDGING)}, but {first}")
        return names[0] if len(names) == 1 else names

    @field_validator("importance")
    @classmethod
    def _known_importance(cls, name: str) -> str:
        known = importances(RANKERS)
        if name != "best" and name not in known:
            raise ValueError(f"{unknown_name('importance', name, ['best', *known])}, but got {name!r}")
        return name

    @field_validator("selection")
    @classmethod
    def _known_selection(cls, name: str) -> str:
        return name if name == "best" else Selection.parse(name).name

    @field_serializer("metric")
    def _plain(self, metric: str | tuple[str, ...]) -> str | list[str]:
        return metric if isinstance(metric, str) else list(metric)

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics that are optimised, in order."""
        return (self.metric,) if isinstance(self.metric, str) else self.metric

    @property
    def first(self) -> str:
        """The metric that decides which configuration wins; a trial's ``val_score``."""
        return self.metrics[0]

    @property
    def several(self) -> bool:
        """True if the search looks for trade-offs between several metrics."""
        return len(self.metrics) > 1

    @property
    def directions(self) -> tuple[Direction, ...]:
        """The direction of each metric, in their order."""
        return tuple(DIRECTIONS[metric] for metric in self.metrics)

    @property
    def direction(self) -> Direction:
        """The direction of the first metric."""
        return self.directions[0]

    @property
    def judged_by(self) -> str:
        """The scorer's result by which a trial's rankings are compared."""
        return "val_svm_accuracy" if self.first == "val_loss" else self.first

    @property
    def judged_by_title(self) -> str:
        """The same in words."""
        return "balanced accuracy" if self.judged_by == "val_balanced_accuracy" else "accuracy"

    def check_selections(self, taken: Sequence[str]) -> None:
        """Refuse a selection that is not made.

        Args:
            taken: the selections of the study (``scoring.selections``).

        Raises:
            ValueError: the message names the key and the selections.
        """
        if self.selection != "best" and self.selection not in taken:
            raise ValueError(
                f"objective.selection must be best or one of scoring.selections ({', '.join(taken)}), "
                f"but got {self.selection!r}"
            )

    def counting(self, rankings: Iterable[str]) -> list[str]:
        """Return the rankings that count, of those that a trial has: of the named metric, by the named selection.

        A ranker that lacks the named metric is judged on its own; controls count only where there is nothing else.

        Args:
            rankings: names as :mod:`dst.selection.named` has them.
        """
        every = list(rankings)
        contenders = [name for name in every if metric_of(name) not in CONTROLS] or every
        named = [name for name in every if metric_of(name) == self.importance] or contenders
        return self.by_selection(named)

    def by_selection(self, rankings: Iterable[str]) -> list[str]:
        """Return the rankings that the named selection has made, or all where it is ``best``."""
        every = list(rankings)
        return [name for name in every if self.selection in ("best", selection_of(name).name)] or every

    def best_ranking(self, accuracies: Mapping[str, float]) -> str:
        """Return the ranking of the highest accuracy among those that count.

        Args:
            accuracies: by ranking; of equals one without a rule is taken, then the first.
        """
        return max(self.counting(accuracies), key=lambda name: (accuracies[name], selection_of(name).name == TOP))

    def check_methods(self, methods: Sequence[str], taken: Sequence[str]) -> None:
        """Refuse methods that cannot give what is optimised.

        Args:
            methods: of the study.
            taken: the importance metrics that its networks are ranked by (``training.importances``).

        Raises:
            ValueError: the message names the key and the methods.
        """
        without_loss = [method for method in methods if not RANKERS[method].classifies]
        if "val_loss" in self.metrics and without_loss:
            raise ValueError(
                "objective.metric val_loss compares the cross-entropy of classifiers, "
                f"but {listed(without_loss, 'and')} {'has' if len(without_loss) == 1 else 'have'} none"
            )
        uncounted = [method for method in methods if not RANKERS[method].counts_flops]
        if "flops" in self.metrics and uncounted:
            raise ValueError(
                "objective.metric flops compares counts of training FLOPs, "
                f"but {listed(uncounted, 'and')} {'has' if len(uncounted) == 1 else 'have'} none"
            )
        given = sorted(
            {*importances([method for method in methods if not RANKERS[method].is_network])}
            | {name for name in taken if any(RANKERS[method].is_network for method in methods)}
        )
        if self.importance != "best" and self.importance not in given:
            raise ValueError(
                f"objective.importance must be best or what a method of the study gives ({', '.join(given)}), "
                f"but got {self.importance!r}"
            )


def importances(methods: Iterable[str]) -> list[str]:
    """Return the importance metrics that methods can give, each once, by name."""
    return sorted({metric for method in methods for metric in RANKERS[method].metrics})

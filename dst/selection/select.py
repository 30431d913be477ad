"""Selection of K columns by a rule, from scores and training rows."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from dst.data.dataset import Part
from dst.errors import check_rules
from dst.selection.columns import Floats, Ints, TrainingColumns
from dst.selection.order import first_of_largest, rank_columns
from dst.selection.registry import SELECTION_RULES, Rule, check_selection

CANDIDATES = 8
"""Candidates for each column that has entered, by falling score."""

FIRST_CANDIDATES = 200
"""Candidates of the first columns."""


def select_columns(
    scores: Floats,
    train: Part,
    k: int,
    rule: str = "top",
    strength: float | None = None,
    *,
    rng: np.random.Generator,
    groups: Ints | None = None,
    contributions: npt.NDArray[np.float32] | None = None,
) -> Ints:
    """Select k columns by their scores, and by how much they repeat one another.

    Columns enter one by one, each the one of the largest score times weight, which the rule gives; equal ones in the
    order of :func:`dst.selection.order.rank_columns`. The first j of k columns are those that are selected for j.

    - Candidates are the 200 columns of the highest scores, and twice as many each time that an eighth of them has
      entered, or that all have weight 0; those with the score of the last are candidates too. They depend on how many
      columns have entered, never on k. They take 8 bytes a row and encoded column where the table is dense, all columns
      of a table at the most. Where a weight of 0 is final, as of ``threshold``, candidates that are sought because all
      others have it are kept only if they have more.
    - Columns of score 0 or less, which say no more than chance, come after all others in the order of scores: a factor
      would turn their order round.
    - A group enters as a whole when one of its columns would: that one, then the others in the order of scores. It is
      passed over where it has more columns than are left to select. So fewer than k may be selected, and the first j
      are the answer to j up to the first group that was passed over for either.

    Args:
        scores: float64 ``(n_features,)``, one a column of the table, larger is better.
        train: training rows.
        k: how many columns.
        rule: a name in :data:`dst.selection.registry.SELECTION_RULES`.
        strength: how much repetition counts; 0 is the rule ``top``; None: the rule's default.
        rng: draws the order of equal scores.
        groups: the group of each column, int64 ``(n_features,)``; a negative number: it enters alone. None: all do.
        contributions: stands in for the rows' values: how much each column contributes to a network's output in each
            training row, ``x_i dz / dx_i``, float32 ``(n_rows, n_features)``. ``greedy`` then sees what the network has
            learnt that is not linear; two columns that act by their product alone contribute alike, so that the second
            repeats the first.

    Returns:
        Column numbers in the order of entering, int64 ``(k,)``; fewer where no group fits into what is left.

    Raises:
        InputError: no such rule or strength; k, scores, groups or contributions do not fit the table.
    """
    check_selection(rule, strength)
    _check_arrays(scores, train, k, groups, contributions)
    entry = SELECTION_RULES[rule]
    strength = entry.strength if strength is None else float(strength)
    order = rank_columns(scores, rng)
    entering = _Entering(order, k, groups)
    if strength > 0:
        x, origin = (train.x, train.origin) if contributions is None else (contributions, None)
        candidates = _Candidates(entry, strength, TrainingColumns(x, origin, len(scores)), train, order, scores[order])
        while (position := candidates.best(entering)) is not None:
            for member in entering.enter(position):
                candidates.enter(member)
    entering.fill()
    return order[np.array(entering.entered, dtype=np.int64)]


class _Entering:
    """The columns that have entered, by their positions in the order of scores, and those that still may.

    Attributes:
        entered: positions, in the order of entering.
        left: how many columns may still enter.
    """

    def __init__(self, order: Ints, k: int, groups: Ints | None) -> None:
        self.entered: list[int] = []
        self.left = k
        self._waiting = np.ones(len(order), dtype=np.bool_)
        self._sizes = np.ones(len(order), dtype=np.int64)
        self._members: dict[int, Ints] = {}
        if groups is not None:
            codes = groups[order]
            by_group = np.argsort(codes, kind="stable")
            by_group = by_group[codes[by_group] >= 0]
            for members in np.split(by_group, np.flatnonzero(np.diff(codes[by_group])) + 1):
                self._sizes[members] = len(members)
                self._members |= dict.fromkeys(members.tolist(), members)

    def fits(self, positions: Ints) -> npt.NDArray[np.bool_]:
        """Return which columns wait, and have groups that fit into what is left."""
        return self._waiting[positions] & (self._sizes[positions] <= self.left)

    def enter(self, position: int) -> list[int]:
        """Let a column enter, and return who has: itself, then the others of its group."""
        members = [position, *(member for member in self._members.get(position, ()) if member != position)]
        self._waiting[members] = False
        self.left -= len(members)
        self.entered += members
        return members

    def fill(self) -> None:
        """Let columns enter in the order of scores, while one fits."""
        waiting = np.flatnonzero(self._waiting)
        if not self._members:
            self.entered += waiting[: self.left].tolist()
            self.left = 0
        for position in waiting.tolist():
            if self.left == 0:
                break
            if self._waiting[position] and self._sizes[position] <= self.left:
                self.enter(position)


class _Candidates:
    """The columns of a positive score that may enter next, and what the rule follows of them."""

    def __init__(
        self, rule: Rule[Any], strength: float, table: TrainingColumns, train: Part, order: Ints, falling: Floats
    ) -> None:
        self._rule, self._strength = rule, strength
        self._table, self._train, self._order = table, train, order
        self._scores = falling[falling > 0]
        self._blocks: list[Floats] = []
        self._size = 0  # how many have been candidates: the first in the order of scores
        self._positions: Ints = np.array([], dtype=np.int64)  # of those that are
        self._followed: Any = None

    def best(self, entering: _Entering) -> int | None:
        """Return the position of the column that enters next; None: what may enter, if anything, does so by score."""
        while entering.left and len(self._scores):
            if self._size < len(self._scores) and len(self._blocks) * CANDIDATES >= self._size:
                self._grow()
            fits = entering.fits(self._positions)
            weights = self._rule.weigh(self._followed, self._strength)
            values = np.where(fits, self._scores[self._positions] * weights, -1.0)
            final, last = self._rule.zero_is_final, self._size == len(self._scores)
            if values.max(initial=-1.0) > 0 or (last and not final and fits.any()):
                return int(self._positions[first_of_largest(values)])
            if last:
                break
            if final:
                self._positions = self._positions[weights > 0]
            self._grow(weighed=final)
        return None

    def enter(self, position: int) -> None:
        """Take account of a column that has entered."""
        block = self._table.centred(self._order[[position]]).block(0)
        self._blocks.append(block)
        self._followed.enter(block)

    def _grow(self, weighed: bool = False) -> None:
        """Take twice as many candidates; ``weighed``: without new ones of weight 0."""
        size, first = min(max(FIRST_CANDIDATES, 2 * self._size), len(self._scores)), self._size
        self._size = int(np.searchsorted(-self._scores, -self._scores[size - 1], side="right"))
        more = np.arange(first, self._size)
        if weighed:
            sizes = np.cumsum([len(block) for block in self._table.in_blocks(self._order[more])])
            found = [
                some[self._rule.weigh(self._follow(some), self._strength) > 0] for some in np.split(more, sizes)[:-1]
            ]
            more = np.concatenate(found)
        self._positions = np.concatenate([self._positions, more])
        self._followed = self._follow(self._positions)

    def _follow(self, positions: Ints) -> Any:
        """Return what the rule follows of columns before which all that have entered do."""
        followed = self._rule.follow(self._table.centred(self._order[positions]), self._train)
        for block in self._blocks:
            followed.enter(block)
        return followed


def _check_arrays(
    scores: Floats,
    train: Part,
    k: int,
    groups: Ints | None,
    contributions: npt.NDArray[np.float32] | None,
) -> None:
    n_features, (n_rows, n_encoded) = len(scores), map(int, train.x.shape)
    fits = n_encoded == n_features if train.origin is None else bool((train.origin < n_features).all())
    rules = [
        ("a score for each column of the table", scores.ndim == 1 and fits, f"{n_features} for {n_encoded} (encoded)"),
        ("finite scores", bool(np.isfinite(scores).all()), f"{np.count_nonzero(~np.isfinite(scores))} that are not"),
        ("1 <= k <= columns of the table", 1 <= k <= n_features, f"k={k}, {n_features} columns"),
    ]
    if groups is not None:
        rules.append(("a group for each column", groups.shape == (n_features,), f"{groups.shape} for {n_features}"))
    if contributions is not None:
        shape, wanted = contributions.shape, (n_rows, n_features)
        rules.append(("contributions of all rows and columns", shape == wanted, f"{shape}, not {wanted}"))
    check_rules(*rules)

"""The specification of a trial: all that decides its result, besides the dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dst.data import Design
from dst.files.plain import plain
from dst.rankers import used_settings
from dst.selection import TOP

_AS_DESIGNED: Any = ...  # where a word about the rows is left out


@dataclass(frozen=True, init=False)
class TrialSpec:
    """All that decides a trial's result, besides the dataset. NumPy's numbers become Python's.

    How rows are split and prepared is one :class:`dst.data.Design`. It is given as ``design``, in words of its own, or
    as both: ``TrialSpec("set", split="paper", impute="mean")``, ``dataclasses.replace(trial, split_seed=8)``.

    Args:
        method: a name in :data:`dst.rankers.RANKERS`.
        settings: the ranker's settings by name (``sparsity``, ``l2``, ``epochs``, ...); others are ignored.
        split: the design's ``split``.
        seed: draws the network and its training.
        split_seed: the design's ``seed``, which draws the validation rows; None: ``seed`` does, as in the paper.
        test_seed: the design's ``test_seed``.
        inner_splits: the design's ``count``: the draws of validation rows that the trial is averaged over.
        impute: the design's ``policy`` for missing numbers.
        indicators: the design's ``indicators``.
        k: how many columns are scored; None: the dataset's.
        k_values: further numbers of columns that the same ranking is scored on.
        scorer: the classifier that judges rankings, a name in :data:`dst.scoring.SCORERS`.
        selections: what is made of each importance metric's scores, names of :class:`dst.selection.Selection`; one
            training serves them all.
        max_rows: how many rows it is fitted on, and how many it is judged on, at most, drawn by class; None: all. Test
            rows are never capped.
        design: how rows are split and prepared, but for the words above that are given; None: a stratified split whose
            validation rows ``seed`` draws.
    """

    method: str
    settings: Mapping[str, Any]
    seed: int
    k: int | None
    k_values: tuple[int, ...]
    scorer: str
    max_rows: int | None
    selections: tuple[str, ...]
    design: Design

    def __init__(
        self,
        method: str,
        settings: Mapping[str, Any] | None = None,
        split: str = _AS_DESIGNED,
        seed: int = 0,
        split_seed: int | None = _AS_DESIGNED,
        test_seed: int = _AS_DESIGNED,
        inner_splits: int | None = _AS_DESIGNED,
        impute: str | None = _AS_DESIGNED,
        indicators: bool = _AS_DESIGNED,
        k: int | None = None,
        k_values: Sequence[int] = (),
        scorer: str = "svm",
        max_rows: int | None = None,
        selections: Sequence[str] = (TOP,),
        design: Design | None = None,
    ) -> None:
        words: dict[str, Any] = {
            "split": split,
            "seed": seed if split_seed is None else split_seed,
            "test_seed": test_seed,
            "count": inner_splits,
            "policy": impute,
            "indicators": indicators,
        }
        given = {name: value for name, value in words.items() if value is not _AS_DESIGNED}
        fields: dict[str, Any] = {
            "method": method,
            "settings": {} if settings is None else settings,
            "seed": seed,
            "k": k,
            "k_values": tuple(k_values),
            "scorer": scorer,
            "max_rows": max_rows,
            "selections": tuple(selections),
            "design": dataclasses.replace(Design(seed=seed) if design is None else design, **given),
        }
        for name, value in fields.items():
            object.__setattr__(self, name, plain(value))

    def to_json(self) -> dict[str, Any]:
        """Return the trial as plain data: the arguments that make it again, the design in words."""
        return {
            "method": self.method,
            "settings": dict(self.settings),
            "split": self.design.split,
            "seed": self.seed,
            "split_seed": self.design.seed,
            "test_seed": self.design.test_seed,
            "inner_splits": self.design.count,
            "impute": self.design.policy,
            "indicators": self.design.indicators,
            "k": self.k,
            "k_values": self.k_values,
            "scorer": self.scorer,
            "max_rows": self.max_rows,
            "selections": self.selections,
        }

    def described(self, batch_size: int) -> dict[str, Any]:
        """Return the settings that the trial is run with, as a record and ``dst trial --json`` show them.

        Args:
            batch_size: the dataset's, which holds where ``settings`` has none.

        Returns:
            ``method``, ``settings`` (all that the ranker works with, :func:`dst.rankers.used_settings`), and of these
            ``sparsity`` and ``l2``, None where the ranker has none.
        """
        used = used_settings(self.method, {"batch_size": batch_size, **self.settings})
        return {"method": self.method, "sparsity": used.get("sparsity"), "l2": used.get("l2"), "settings": used}

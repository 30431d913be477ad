"""The use of a dataset in a study: the entries of a spec's ``datasets``."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, SerializerFunctionWrapHandler, model_serializer, model_validator

from dst.data import (
    MECHANISMS,
    POLICIES,
    SCALINGS,
    SPLITS,
    Dataset,
    Design,
    ReadOptions,
    Removal,
    Scaling,
    load_dataset,
)
from dst.data.readers import Roles
from studies.spec.section import PositiveInt, Section, is_list, one_of


def _names(given: Any) -> Any:
    """One name as a list of it."""
    return given if is_list(given) else [given]


def _words(given: Any) -> Any:
    """One word, or a number of Python's such as -999, as a list of words."""
    return [
        str(word) if isinstance(word, int | float) and not isinstance(word, bool) else word for word in _names(given)
    ]


Names = Annotated[tuple[str, ...], BeforeValidator(_names)]
Words = Annotated[tuple[str, ...], BeforeValidator(_words)]
WORD_KEYS = ("missing_values",)
"""Keys whose numbers in YAML are the words that were written (:func:`search_spaces.documents.parse_yaml`)."""


class MissingSpec(Section):
    """Missing data: what is removed on purpose, and what stands in for what is not there.

    In a spec, each key may be a list: the dataset is then studied once for each combination, under names such as
    ``wine-mcar-0.2``. At rate 0 the mechanism and its seed mean nothing, and combinations that differ in these alone
    are one.

    Attributes:
        rate: share of values that are removed from all rows, in [0, 1) (:func:`dst.data.remove_values`).
        mechanism: ``mcar``, ``mar`` or ``mnar``.
        policy: ``mean``, ``median``, ``zero`` or ``knn``, fitted on training rows (:func:`dst.data.imputing.impute`);
            None: no number may be missing, so there must be one with a rate above 0 or with indicators.
        indicators: True: a missing number also sets a column of its own.
        seed: of the removal.
    """

    rate: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mechanism: Annotated[str, one_of("missing-data mechanism", MECHANISMS)] = "mcar"
    policy: Annotated[str, one_of("missing-data policy", POLICIES)] | None = None
    indicators: bool = False
    seed: Annotated[int, Field(ge=0)] = 0

    @model_validator(mode="after")
    def _says_what_stands_in(self) -> MissingSpec:
        if self.policy is None and (self.rate > 0 or self.indicators):
            cause = f"rate={self.rate:g}" if self.rate > 0 else "indicators=True"
            raise ValueError(f"{cause} needs a policy that says what stands in: one of {', '.join(POLICIES)}")
        return self

    @property
    def suffix(self) -> str:
        """The end of the dataset's name: everything that differs from the defaults, and from the policy ``mean``."""
        parts = [f"{self.mechanism}-{self.rate:g}"] if self.rate else []
        parts += [self.policy] if self.policy not in (None, "mean") else []
        parts += ["indicators"] if self.indicators else []
        parts += [f"seed{self.seed}"] if self.seed else []
        return "".join(f"-{part}" for part in parts)


class DatasetSpec(Section):
    """One dataset: a name of the registry, or a path, and how it is used.

    Attributes:
        path: registry name or path (a relative path starts at the spec file's folder).
        target: label column of a ``.csv`` or ``.parquet`` file.
        split: how rows are split.
        inner_splits: draws of validation rows that a trial is averaged over; None: five below 500 rows, else one, with
            the ``paper`` split always one.
        k: number of columns that are scored; None: the dataset's default.
        batch_size: rows in a minibatch; None: the dataset's default.
        group: the column that names each row's group, for the split ``group``.
        time: the column that says when each row was taken, for the split ``time``.
        categorical: columns whose values are categories, besides those that hold words.
        missing: what is removed, and what stands in for what is missing; None: nothing may be missing.
        scaling: ``standard``, ``minmax`` or ``maxabs``; None: the dataset's default.
        drop: columns that are left out; like the following, see :class:`dst.data.ReadOptions`.
        drop_unlabelled: whether rows without a label are left out.
        index_column: the column of a saved row index, which is left out.
        dates: columns of dates that become numbers.
        decimal: the decimal mark of numbers in text.
        thousands: the mark between thousands in them.
        missing_values: further words that mean "no value".
        separator: the character between the fields of a ``.csv`` file.
    """

    path: str
    target: str | None = None
    split: Annotated[str, one_of("split", SPLITS)] = "stratified"
    inner_splits: PositiveInt | None = None
    k: PositiveInt | None = None
    batch_size: PositiveInt | None = None
    group: str | None = None
    time: str | None = None
    categorical: Names | None = None
    missing: MissingSpec | None = None
    scaling: Annotated[Scaling, one_of("scaling", SCALINGS)] | None = None
    drop: Names | None = None
    drop_unlabelled: bool | None = None
    index_column: str | None = None
    dates: Names | None = None
    decimal: str | None = None
    thousands: str | None = None
    missing_values: Words | None = None
    separator: str | None = None

    @model_validator(mode="after")
    def _can_be_read(self) -> DatasetSpec:
        Roles.of(self.target, self.group, self.time, self.categorical or (), **self._reading())
        return self

    @model_serializer(mode="wrap")
    def _without_absent_reading(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out how a table is read where nothing is said: studies from before these keys go on."""
        return {key: value for key, value in serialize(self).items() if value is not None or key not in _READING_KEYS}

    @property
    def removal(self) -> Removal | None:
        """The removal of values from the table; None: none are removed."""
        if self.missing is None or self.missing.rate == 0:
            return None
        return Removal(self.missing.rate, self.missing.mechanism, self.missing.seed)

    @property
    def table_key(self) -> str:
        """The key of the table: equal for datasets that differ in splits and missing data only."""
        return self.model_dump_json(include={"path", *_TABLE_KEYS, "scaling"}, exclude_none=True)

    def load_table(self) -> Dataset:
        """Load the table, with the scaling that is named here.

        Raises:
            InputError: see :func:`dst.data.load_dataset`.
        """
        dataset = load_dataset(
            self.path, **{key: given for key in _TABLE_KEYS if (given := getattr(self, key)) is not None}
        )
        return dataset if self.scaling is None else replace(dataset, scaling=self.scaling)

    def _reading(self) -> dict[str, Any]:
        return {key: given for key in _READING_KEYS if (given := getattr(self, key)) is not None}

    def search_design(self, seed: int) -> Design:
        """Return how the search splits and prepares the rows: all its trials alike, by the study's seed."""
        return Design(
            split=self.split,
            seed=seed,
            test_seed=seed,
            count=self.inner_splits,
            policy=self.missing.policy if self.missing else None,
            indicators=self.missing.indicators if self.missing else False,
        )


_READING_KEYS = tuple(ReadOptions.__annotations__)
_TABLE_KEYS = ("target", "k", "batch_size", "group", "time", "categorical", *_READING_KEYS)


def each_combination(dataset: Any) -> Iterator[Any]:
    """Yield a dataset once for each combination of the lists in its ``missing``; what else is wrong is said later.

    Raises:
        ValueError: a list is empty, so that there would be no dataset.
    """
    missing = dataset.get("missing") if isinstance(dataset, Mapping) else None
    if not isinstance(missing, Mapping) or not any(is_list(value) for value in missing.values()):
        yield dataset
        return
    empty = next((key for key, value in missing.items() if is_list(value) and not value), None)
    if empty is not None:
        raise ValueError(f"{dataset.get('path')}: missing.{empty} needs a value or more, but its list is empty")
    known = list(MissingSpec.model_fields)
    ordered = sorted(missing, key=lambda key: known.index(key) if key in known else len(known))
    seen: list[dict[str, Any]] = []
    for values in itertools.product(*(missing[key] if is_list(missing[key]) else [missing[key]] for key in ordered)):
        combination = dict(zip(ordered, values, strict=True))
        if combination.get("rate", 0) == 0:
            combination = {key: value for key, value in combination.items() if key not in ("mechanism", "seed")}
        if combination not in seen:
            seen.append(combination)
            yield {**dataset, "missing": combination}

"""Dates: telling them from words, and the numbers that stand for them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

Layout = Literal["iso", "other", "time"]
"""A date or date-time of ISO 8601, one in another layout, a time of day or a duration."""

_CLOCK = r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?"
_ZONE = r"(?: ?(?:Z|UTC|GMT|[+-]\d{2}(?::?\d{2})?))?"
_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sep(?:t(?:ember)?)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_ISO = re.compile(rf"\d{{4}}-(\d{{2}})(?:-(\d{{2}})(?:[T ]\d{{2}}(?::?\d{{2}}(?::?\d{{2}}(?:[.,]\d+)?)?)?{_ZONE})?)?")
_WITH_CLOCK = rf"(?:[T ,]+{_CLOCK}(?: ?[ap]\.?m\.?)?{_ZONE})?"
_NUMBERS = re.compile(rf"(\d{{1,4}})([./-])(\d{{1,2}})\2(\d{{1,2}}|\d{{4}}){_WITH_CLOCK}", re.IGNORECASE)
_DAY, _YEAR = r"\d{1,2}(?:st|nd|rd|th)?", r"(?:\d{4}|\d{2})"
_NAMED = (
    rf"{_DAY}[ ./-]*{_MONTH}[ ,./-]*{_YEAR}",
    rf"{_MONTH}[ -]{_DAY}(?:,? \d{{4}})?",
    rf"{_MONTH}[ -]\d{{4}}",
    rf"\d{{4}}[ -]{_MONTH}(?:[ -]\d{{1,2}})?",
    rf"\d{{1,2}}[ ./-]?{_MONTH}",
    rf"{_MONTH} +\d{{1,2}} +{_CLOCK}(?: [a-z]{{3,4}})? \d{{4}}",
)
_NAMES = re.compile(rf"(?:[a-z]{{3,9}}\.?,? )?(?:{'|'.join(_NAMED)}){_WITH_CLOCK}", re.IGNORECASE)
_WEEK = re.compile(r"\d{4}-?W\d{2}(-?\d)?")
_COMPACT = re.compile(rf"\d{{4}}(\d{{2}})(\d{{2}})T\d{{2}}(?:\d{{2}}(?:\d{{2}}(?:[.,]\d+)?)?)?{_ZONE}")
_MONTH_OF_YEAR = re.compile(r"(0?[1-9]|1[0-2])[/-](1[89]|2[01])\d{2}")
_DAY_OF_YEAR = re.compile(r"(1[89]|2[01])\d{2}-(00[1-9]|0[1-9]\d|[12]\d{2}|3[0-5]\d|36[0-6])")
_TIME = re.compile(rf"(?:{_CLOCK}(?: ?[ap]\.?m\.?)?|-?\d+ days?,? [+-]?{_CLOCK})", re.IGNORECASE)


def layout(cell: str) -> Layout | None:
    """The layout in which a cell without spaces around it is a date or time, if it is one."""
    if not cell[:1].isalnum() and cell[:1] != "-":
        return None
    if found := _ISO.fullmatch(cell) or _COMPACT.fullmatch(cell):
        month, day = int(found[1]), int(found[2] or 1)
        return "iso" if 1 <= month <= 12 and 1 <= day <= 31 else None
    if found := _NUMBERS.fullmatch(cell):
        first, second, last = int(found[1]), int(found[3]), int(found[4])
        if len(found[1]) == 4:
            return "other" if 1 <= second <= 12 and 1 <= last <= 31 else None
        in_a_year = 1 <= min(first, second) <= 12 and max(first, second) <= 31
        return "other" if len(found[1]) <= 2 <= len(found[4]) and in_a_year else None
    if any(pattern.fullmatch(cell) for pattern in (_NAMES, _WEEK, _MONTH_OF_YEAR, _DAY_OF_YEAR)):
        return "other"
    return "time" if _TIME.fullmatch(cell) else None


def to_stamps(cells: Any) -> pd.Series:
    """Dates of ISO 8601, or date objects, in UTC; NaT where a cell is none."""
    import pandas as pd

    if getattr(cells, "dtype", None) is not None and cells.dtype.kind == "M":
        stamps = pd.Series(cells)
        return stamps.dt.tz_localize("UTC") if stamps.dt.tz is None else stamps.dt.tz_convert("UTC")
    return pd.Series(pd.to_datetime(pd.Series(cells), format="ISO8601", utc=True, errors="coerce"))


def compact_dates(values: npt.NDArray[np.float64]) -> pd.Series | None:
    """Whole numbers such as 20240131 as dates; None where one of them is no date, NaN apart."""
    import pandas as pd

    present = values[~np.isnan(values)]
    if not len(present) or present.min() < 1800_01_01 or present.max() > 2199_12_31 or (present % 1).any():
        return None
    words = pd.Series([None if np.isnan(value) else str(int(value)) for value in values], dtype=object)
    stamps = pd.Series(pd.to_datetime(words, format="%Y%m%d", utc=True, errors="coerce"))
    return None if stamps.notna().sum() < len(present) else stamps


def date_parts(name: str, stamps: pd.Series) -> dict[str, npt.NDArray[np.float64]]:
    """The numbers that stand for a column of dates, each a column of its own.

    ``name: days`` counts days, with fractions, since the column's earliest date: one constant is taken off all rows.
    ``name: month`` (1 to 12), ``name: weekday`` (1, Monday, to 7) and ``name: hour`` (0 to 23), all in UTC, are there
    where they differ between rows. A missing date is NaN in all of them.
    """
    import pandas as pd

    days = ((stamps - stamps.min()) / pd.Timedelta(days=1)).to_numpy(dtype=np.float64, na_value=np.nan)
    parts = {f"{name}: days": days}
    clock = {"month": stamps.dt.month, "weekday": stamps.dt.day_of_week + 1, "hour": stamps.dt.hour}
    for part, values in clock.items():
        numbers = values.to_numpy(dtype=np.float64, na_value=np.nan)
        if len(np.unique(numbers[~np.isnan(numbers)])) > 1:
            parts[f"{name}: {part}"] = numbers
    return parts

"""Columns of a file as plain numbers or plain words, and notes on those that cannot be either as they are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from dst.data.readers.dates import compact_dates, date_parts, to_stamps
from dst.data.readers.missing_words import MISSING
from dst.data.readers.notes import Note
from dst.data.readers.table import Roles, shorten
from dst.data.readers.wholes import LARGEST, is_large, merged_note, merged_words
from dst.data.readers.words import DATES_REMEDY, Tidied, Words, merged, refused

if TYPE_CHECKING:
    import pandas as pd


def tidied(frame: pd.DataFrame, roles: Roles) -> tuple[pd.DataFrame, list[Note]]:
    """The features with columns of numbers and of words only, and notes on what was noticed.

    Numbers that are written as named become float64, dates that are named become their parts, words lose the spaces
    around them. A column that a note refuses is left out.
    """
    notes: list[Note] = []
    frame = _without_numbers(frame, roles.missing_values)
    plain = [dtype.kind in "biuf" and not hasattr(dtype, "categories") for dtype in frame.dtypes]
    odd = [place for place, is_plain in enumerate(plain) if not is_plain or frame.columns[place] in roles.dates]
    replaced: dict[int, dict[str, Any]] = {}
    for place in odd:
        result = _column(str(frame.columns[place]), decoded(frame.iloc[:, place]), roles)
        notes += result.notes
        replaced[place] = result.columns
    return _replaced(frame, replaced), notes


def decoded(values: pd.Series) -> pd.Series:
    """A column of bytes as text, of decimals as floats, of date objects as dates, of durations as seconds."""
    import pandas as pd

    if isinstance(values.dtype, pd.CategoricalDtype):
        known = pd.Series(values.dtype.categories)
        if known.dtype.kind == "m":
            return values
        names = decoded(known)
        if names.equals(known) or not names.is_unique:
            return values
        renamed: pd.Series = values.cat.rename_categories(pd.Index(names))
        return renamed
    if values.dtype.kind == "m":
        seconds: pd.Series = values.dt.total_seconds()
        return seconds
    if values.dtype.kind != "O" or isinstance(values.dtype, pd.StringDtype):
        return values
    present = values.dropna()
    kinds = {kind.__name__ for kind in set(map(type, present))}
    if kinds and kinds <= {"bytes", "bytearray"}:
        try:
            return values.map(lambda cell: bytes(cell).rstrip(b"\0").decode(), na_action="ignore").astype(object)
        except UnicodeDecodeError:
            return values
    if "Decimal" in kinds and kinds <= {"Decimal", "int", "float"}:
        words = {format(cell, "f") for cell in set(present) if cell == cell and abs(cell) >= LARGEST}
        if merged_words(words) is not None:
            return values.map(lambda cell: format(cell, "f"), na_action="ignore").astype(object)
        return values.map(float, na_action="ignore").astype(np.float64)
    if kinds and kinds <= {"date", "datetime", "Timestamp"}:
        stamps = to_stamps(values)
        return stamps if any(getattr(cell, "tzinfo", None) for cell in present) else stamps.dt.tz_localize(None)
    return pd.to_timedelta(values).dt.total_seconds() if kinds and kinds <= {"timedelta", "Timedelta"} else values


def without_words(values: pd.Series, words: Sequence[str]) -> pd.Series:
    """A column with no value where a cell is one of the words, or the number that one of them is."""
    import pandas as pd

    if not words:
        return values
    if values.dtype.kind in "iuf" and not isinstance(values.dtype, pd.CategoricalDtype):
        return values.mask(values.isin(_numbers(words)))
    cells = values.astype(object).map(lambda cell: str(cell).strip(), na_action="ignore")
    return values.mask(cells.isin(words))


def _numbers(words: Sequence[str]) -> list[float]:
    """Those of the words that are numbers."""
    import pandas as pd

    found: list[float] = pd.to_numeric(pd.Series(words, dtype=object), errors="coerce").dropna().tolist()
    return found


def _without_numbers(frame: pd.DataFrame, words: Sequence[str]) -> pd.DataFrame:
    """The frame with NaN for the missing values that are numbers, such as -999."""
    numbers = _numbers(words)
    kinds = [dtype.kind in "iuf" and not hasattr(dtype, "categories") for dtype in frame.dtypes]
    numeric = frame.columns[kinds]
    if not numbers or numeric.empty:
        return frame
    frame = frame.copy()
    for name in numeric:  # a gap among integers would make them floats
        if isinstance(dtype := frame[name].dtype, np.dtype) and dtype.kind in "iu" and is_large(frame[name].to_numpy()):
            frame[name] = frame[name].astype("Int64" if dtype.kind == "i" else "UInt64")
    frame[numeric] = frame[numeric].mask(frame[numeric].isin(numbers))
    return frame


def _replaced(frame: pd.DataFrame, columns: Mapping[int, dict[str, Any]]) -> pd.DataFrame:
    """The frame with other columns at some places; neighbours are put in as one block."""
    import pandas as pd

    if not columns:
        return frame
    places = sorted(columns)
    starts = [place for place in places if place - 1 not in columns]
    ends = [place + 1 for place in places if place + 1 not in columns]
    blocks, done = [], 0
    for start, end in zip(starts, ends, strict=True):
        new = [(name, values) for place in range(start, end) for name, values in columns[place].items()]
        block = pd.DataFrame({number: values for number, (_, values) in enumerate(new)}, index=frame.index)
        blocks += [frame.iloc[:, done:start], block.set_axis([name for name, _ in new], axis=1)]
        done = end
    return pd.concat([*blocks, frame.iloc[:, done:]], axis=1)


def _column(name: str, values: pd.Series, roles: Roles) -> Tidied:
    import pandas as pd

    category = isinstance(values.dtype, pd.CategoricalDtype)
    if isinstance(values.dtype, pd.CategoricalDtype):
        if name not in roles.dates and not all(isinstance(category, str) for category in values.dtype.categories):
            return Tidied({name: values})  # categories that are no words
        values = values.astype(values.dtype.categories.dtype)
    if name in roles.dates:
        return _named_dates(name, values, roles.missing_values)
    if values.dtype.kind == "M":
        if name not in roles.categorical:
            return refused(
                name, "dates", f"column {name!r} holds dates", DATES_REMEDY, str(values.dropna().iloc[:1].squeeze())
            )
        values = values.astype(str).where(values.notna())
    if values.dtype.kind in "biuf":
        return Tidied({name: values})
    present = values.notna().to_numpy()
    cells = values.to_numpy(dtype=object)[present]
    others = {type(cell).__name__ for cell in cells if not isinstance(cell, str | int | float | np.number | np.bool_)}
    if others:
        says = f"column {name!r} holds {shorten(sorted(others))}, where a column holds numbers or words"
        return refused(name, "neither numbers nor words", says, "--drop COL", shorten(sorted(others)))
    categorical = category or name in roles.categorical
    if len(cells) and not categorical and not any(isinstance(cell, str) for cell in cells):
        if (
            together := merged_words(str(cell) for cell in set(cells) if isinstance(cell, int | np.integer))
        ) is not None:
            return Tidied({}, (merged_note(name, together),))
        column = np.full(len(values), np.nan)
        column[present] = cells.astype(np.float64)
        return Tidied({name: column})
    texts = np.array([str(cell) for cell in cells], dtype=object)  # a NumPy text array is as wide as its longest cell
    written, raw = pd.factorize(texts)
    stripped = [word.strip() for word in raw]
    words = Words(name, present, *merged(written, stripped), raw=tuple(raw))
    words = words.without(roles.missing_values)
    if categorical:
        return words.as_categories(asked=True)
    return words.as_numbers_or_words(roles)


def _named_dates(name: str, values: pd.Series, missing: Sequence[str]) -> Tidied:
    """The parts of a column that was named as dates."""
    if values.dtype.kind in "iuf":
        stamps = compact_dates(values.to_numpy(dtype=np.float64, na_value=np.nan))
    else:
        values = values.map(lambda cell: cell.strip() if isinstance(cell, str) else cell, na_action="ignore")
        values = without_words(values.where(~values.isin(MISSING)), missing)
        stamps = to_stamps(values)
    lost = values[values.notna() & stamps.isna()] if stamps is not None else values.dropna()
    if len(lost) or stamps is None or stamps.isna().all():
        example = f"{str(lost.iloc[0])!r} in row {int(lost.index[0]) + 1}" if len(lost) else "no date"
        says = f"column {name!r} is named as dates, which are written as in ISO 8601 (2024-01-31), but holds {example}"
        return refused(
            name, "dates not in ISO 8601", says, "write 2024-01-31, then --dates COL; or --drop COL", example
        )
    return Tidied(dict(date_parts(name, stamps)))

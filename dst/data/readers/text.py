"""Tables in text: comma-separated values, plain or gzipped, and svmlight."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dst.data.readers.columns import from_columns
from dst.data.readers.labels import typed
from dst.data.readers.lines import Layout, opened, scan
from dst.data.readers.missing_words import MISSING
from dst.data.readers.notes import Note
from dst.data.readers.numerals import is_canonical
from dst.data.readers.table import Roles, Table, numbered, to_target
from dst.data.readers.wholes import LARGEST, merged_note, merged_words
from dst.errors import InputError
from dst.files.limits import check_columns, unreadable

if TYPE_CHECKING:
    import pandas as pd


def read_csv(path: Path, roles: Roles) -> Table:
    """Read comma-separated values in UTF-8, with one line of names first and as many fields in every line.

    The file is gone through twice: pandas neither counts the fields of a short line nor says where a text is none, so a
    first pass does, and takes the labels as they are written. Columns whose spelling matters (categories, and numbers
    that begin with a 0) are read as text.
    """
    with unreadable():
        layout = scan(path, roles)
        frame, merged = _features(path, layout, roles)
    notes = [*layout.notes, *merged]
    beside = {}
    for name, cells in layout.cells.items():
        role = next(role for role in ("target", "group", "time") if getattr(roles, role) == name)
        beside[name], found = typed(name, role, cells, roles)
        notes += found
    return from_columns(frame, beside, roles, notes)


def _features(path: Path, layout: Layout, roles: Roles) -> tuple[pd.DataFrame, list[Note]]:
    """The feature columns, in the order of the file, and notes on those whose numbers became one."""
    import pandas as pd

    places = {name: place for name, place in layout.places.items() if name not in layout.cells}
    if not places or not layout.n_rows:
        return pd.DataFrame(index=range(layout.n_rows), columns=pd.Index(list(places), dtype=object)), []
    as_written = {name for name in places if name in roles.categorical or name in layout.padded}
    frame = _parsed(path, layout, roles, list(places.values()), [places[name] for name in as_written])
    if frame.shape != (layout.n_rows, len(places)):
        expected = f"{layout.n_rows} lines of {len(places)} fields"
        raise InputError(f"cannot be read: {expected}, but {frame.shape} values in them")
    frame.columns = pd.Index(sorted(places, key=places.__getitem__), dtype=object)
    for name in sorted(as_written & set(roles.categorical)):
        frame[name] = _in_order_of_value(frame[name])
    numbers = frame.select_dtypes("float64")
    large = numbers.columns[(numbers.abs() >= LARGEST).any()]
    notes = _merged(path, layout, roles, {name: places[name] for name in large})
    return frame.drop(columns=[str(note.column) for note in notes]), notes


def _parsed(path: Path, layout: Layout, roles: Roles, places: list[int], as_text: list[int]) -> pd.DataFrame:
    """The fields at some places as pandas reads them, some of them as text."""
    import pandas as pd

    with opened(path) as text:
        for _ in range(layout.first):
            text.readline()
        return pd.read_csv(
            text,
            sep=layout.separator,
            header=None,
            names=range(layout.width),
            usecols=places,
            index_col=False,
            dtype=dict.fromkeys(as_text, str),
            decimal=roles.decimal,
            na_values=[*MISSING, *roles.missing_values],
            keep_default_na=False,
            low_memory=False,  # types by whole columns
            skipinitialspace=True,
        )


def _in_order_of_value(words: pd.Series) -> pd.Series:
    """Categories as numbers, which sorts them by value, where that makes no two of them one but such as 3 and 3.0."""
    import pandas as pd

    spellings = words.dropna().str.strip().drop_duplicates()
    if not spellings.map(is_canonical).all():
        return words
    numbers = pd.to_numeric(words)
    different = spellings.str.replace(r"\.0*$", "", regex=True).nunique()
    return numbers if numbers.nunique() == different else words


def _merged(path: Path, layout: Layout, roles: Roles, places: dict[str, int]) -> list[Note]:
    """Notes on columns of numbers that read otherwise as they are written: as floats, two whole numbers became one."""
    if not places:
        return []
    frame = _parsed(path, layout, roles, list(places.values()), list(places.values()))
    cells = {name: frame[place].dropna().str.strip().unique() for name, place in places.items()}
    found = {name: merged_words(cell.replace(roles.decimal, ".") for cell in words) for name, words in cells.items()}
    return [merged_note(name, merged) for name, merged in found.items() if merged is not None]


def read_svmlight(path: Path, roles: Roles) -> Table:
    """Read ``label index:value ...`` lines into a sparse table."""
    from scipy.sparse import csr_array
    from sklearn.datasets import load_svmlight_file

    named = next((name for name in (roles.target, roles.group, roles.time, *roles.categorical) if name), None)
    if named is not None:
        raise InputError(f"an .svmlight file has its label first in each line and no column names, so not {named!r}")
    with unreadable():
        x, labels = load_svmlight_file(path, dtype=np.float64)
        check_columns(x.shape[1])
        x = csr_array(x)
        x.sum_duplicates()
    return Table(x, to_target(labels, roles.task), numbered(x.shape[1]))

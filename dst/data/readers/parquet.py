"""Tables in Parquet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dst.data.readers.columns import check_names, from_frame_columns
from dst.data.readers.table import Roles, Table, shorten
from dst.data.readers.wholes import LARGEST, merged_words
from dst.errors import InputError
from dst.files.limits import check_bytes, unreadable


def read_parquet(path: Path, roles: Roles) -> Table:
    """Read the named columns of a Parquet file: numbers, truth values, text (or its bytes), categories and dates.

    Decimals are read as float64 unless that makes two of them one (then as text), durations as seconds.
    """
    from pyarrow import parquet

    with unreadable(), path.open("rb") as opened:  # an open file: a path such as year=2024/t.parquet adds a column
        file = parquet.ParquetFile(opened)
        # A saved pandas index is a column of the file but none of the table.
        saved = (file.schema_arrow.pandas_metadata or {}).get("index_columns", [])
        index = [name for name in saved if isinstance(name, str)]
        names = [name for name in file.schema_arrow.names if name not in index]
        check_names(names, roles)
        _check_types(file.schema_arrow, names)
        rows, groups = file.metadata.num_rows, range(file.metadata.num_row_groups)
        claimed = max(
            rows * sum(_width(file.schema_arrow.field(name).type) for name in names),
            sum(file.metadata.row_group(group).total_byte_size for group in groups),
        )
        check_bytes(claimed, path.stat().st_size)
        table = _read(opened, file.schema_arrow)
        frame = table.to_pandas(ignore_metadata=True)
        for name in _integers_with_gaps(table):  # pandas makes floats of them
            frame[name] = table.column(name).to_pandas(types_mapper=_nullable)
    return from_frame_columns(frame[names], roles)


def _read(opened: Any, schema: Any) -> Any:
    """Return the whole table, once what its texts come to is known.

    A text that many rows share is in the file once, and would be in memory as often as there are rows.
    """
    import pyarrow as pa
    from pyarrow import compute, parquet, types

    kinds = (types.is_string, types.is_large_string, types.is_binary, types.is_large_binary)
    texts = [field.name for field in schema if any(kind(field.type) for kind in kinds)]
    size = opened.seek(0, 2)
    table = parquet.ParquetFile(opened, read_dictionary=texts).read()
    claimed = 0
    for name in texts:
        for chunk in table.column(name).chunks:
            lengths = compute.binary_length(chunk.dictionary)
            claimed += compute.sum(compute.take(lengths, chunk.indices)).as_py() or 0
    check_bytes(claimed, size)
    fields = [field.with_type(_plain_type(field.type, _merges_decimals(table.column(field.name)))) for field in schema]
    return table.cast(pa.schema(fields))


def _integers_with_gaps(table: Any) -> list[str]:
    from pyarrow import types

    wide = [field.name for field in table.schema if types.is_int64(field.type) or types.is_uint64(field.type)]
    return [name for name in wide if table.column(name).null_count]


def _nullable(kind: Any) -> Any:
    """The pandas type of integers with gaps."""
    import pandas as pd
    from pyarrow import types

    return pd.UInt64Dtype() if types.is_uint64(kind) else pd.Int64Dtype()


def _merges_decimals(column: Any) -> bool:
    """Return whether a column of decimals holds different whole numbers that are one as float64."""
    from pyarrow import compute

    if not _is_decimal(column.type):
        return False
    values = column.unique().drop_null()
    values = values.dictionary_decode() if hasattr(values, "dictionary_decode") else values
    bounds = compute.min_max(values).as_py()
    if bounds["max"] is None or max(-bounds["min"], bounds["max"]) < LARGEST:
        return False
    return merged_words(format(value, "f") for value in values.to_pylist()) is not None


def _is_decimal(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_decimal(kind) or (types.is_dictionary(kind) and types.is_decimal(kind.value_type)))


def _width(kind: Any) -> int:
    """The bytes that a value takes at least."""
    from pyarrow import types

    return int(kind.byte_width) if types.is_fixed_size_binary(kind) else 4


def _plain_type(kind: Any, as_text: bool) -> Any:
    """The type without decimals, which pandas would keep as an object a cell."""
    import pyarrow as pa
    from pyarrow import types

    if not _is_decimal(kind):
        return kind
    plain = pa.string() if as_text else pa.float64()
    return pa.dictionary(kind.index_type, plain) if types.is_dictionary(kind) else plain


def _check_types(schema: Any, names: list[str]) -> None:
    """Raise an InputError if a column holds what no column of a table can be."""
    from pyarrow import types

    nested = [name for name in names if types.is_nested(schema.field(name).type)]
    if nested:
        raise InputError(f"a column holds one value a row, but these are nested: {shorten(nested)}")

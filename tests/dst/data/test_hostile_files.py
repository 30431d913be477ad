"""Whatever bytes come: a valid table or an InputError, in bounded memory and time."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dst.data import READERS, read_table
from dst.errors import InputError
from tests.support import broken_files
from tests.support.table_files import DENSE, SPARSE

CORPUS = {**DENSE, **SPARSE}
_GB = 2**30


@given(
    suffix=st.sampled_from(sorted(READERS)),
    content=st.binary(max_size=400) | st.text('ay1.-e"\n,: ', max_size=60).map(str.encode),
)
def test_arbitrary_bytes_are_a_table_or_an_input_error(
    suffix: str, content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("bytes") / f"t{suffix}"
    path.write_bytes(content)
    with contextlib.suppress(InputError):
        table = read_table(path, "y")
        assert not np.isinf(table.x if isinstance(table.x, np.ndarray) else table.x.data).any()


LINES = st.lists(
    st.lists(st.sampled_from(["", "1", "-2.5", "1e39", "inf", "nan", "x", "é", '"', "a", " "]), min_size=1, max_size=4),
    min_size=1,
    max_size=8,
)


@given(lines=LINES)
def test_any_lines_of_fields_are_a_table_or_an_input_error(
    lines: list[list[str]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("lines") / "t.csv"
    path.write_text("\n".join(["a,b,y", *(",".join(line) for line in lines)]), encoding="utf-8")
    with contextlib.suppress(InputError):
        table = read_table(path, "y")
        assert table.x.shape == (len(table.labels), 2)
        if not any('"' in field for line in lines for field in line):  # a quoted field may go over several lines
            assert len(table.labels) == sum(line != [""] and line != [" "] for line in lines)


@pytest.mark.parametrize(("seed", "count"), [(1, 5), pytest.param(2, 100, marks=pytest.mark.slow)])
def test_broken_copies_of_good_files(seed: int, count: int, tmp_path: Path) -> None:
    """In a process of its own: a library that crashes, hangs or takes gigabytes ends that process, not the tests."""
    for name, write in CORPUS.items():
        if name == name.lower():
            write(tmp_path / name)
    command = [sys.executable, broken_files.__file__, str(tmp_path), str(seed), str(count), str(8 * _GB)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    *defects, last = done.stdout.splitlines()
    assert defects == []
    found = json.loads(last)
    assert found["outcomes"]["refused"] > found["outcomes"]["table"] > 0
    assert set(found["outcomes"]) <= {"refused", "table", "slow"}
    assert found["outcomes"]["slow"] == 0
    assert found["grown_bytes"] < 700 * 2**20


def test_a_text_that_all_rows_share_counts_as_often_as_it_is_there(tmp_path: Path) -> None:
    """A megabyte in a dictionary, and four hundred rows of some bits: four hundred megabytes."""
    path = tmp_path / "t.parquet"
    shared = pd.Series(["a" * 2**20] * 400)
    pd.DataFrame({"x": np.arange(400), "w": shared, "y": ["u", "v"] * 200}).to_parquet(path)
    assert path.stat().st_size < 2**20
    with pytest.raises(InputError, match=r"it claims 400\.0 MB of data"):
        read_table(path, "y")


def test_one_long_text_does_not_make_all_texts_long(tmp_path: Path) -> None:
    """A table of texts as wide as its longest would take 10 GB."""
    path = tmp_path / "t.csv"
    rows = [f"{number},{'ab'[number % 2]},{number % 2}" for number in range(20_000)]
    rows[7] = f"7,{'z' * 130_000},1"
    path.write_text("\n".join(["x,w,y", *rows]))
    done = subprocess.run(
        [sys.executable, "-c", LIMITED, str(path)], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [20_000, 2, 3]


LIMITED = """
import json, resource, sys
resource.setrlimit(resource.RLIMIT_DATA, (4 * 2**30, 4 * 2**30))
from dst.data import read_table
table = read_table(sys.argv[1], "y")
print(json.dumps([*table.x.shape, len(table.categories[1])]))
"""

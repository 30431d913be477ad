"""Bad tables: each ends in one line that says what is wrong, as an InputError, and as status 2 of the command."""

from __future__ import annotations

import gzip
import io
import os
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.io
import scipy.sparse

from dst.data import check_file, load_dataset
from dst.errors import InputError
from studies.cli.main import main
from tests.support.table_files import (
    LABELS,
    Writer,
    X,
    dense73,
    frame,
    mat,
    mat73,
    npz,
    parquet,
    put,
    put_sparse,
    raw,
    sparse_parts,
    text,
)

NAN, INF = np.nan, np.inf
GB = 2**30


@dataclass(frozen=True)
class Bad:
    """A bad file: its name, what writes it, how it is loaded, and what is said."""

    name: str
    write: Writer
    says: str
    how: dict[str, Any] = field(default_factory=dict)


def csv(content: str, says: str, **how: Any) -> Bad:
    return Bad("t.csv", text(content), says, {"target": "y", **how})


def cut(write: Writer, share: float = 0.6) -> Writer:
    """The file without its end."""

    def short(path: Path) -> None:
        write(path)
        whole = path.read_bytes()
        path.write_bytes(whole[: int(share * len(whole))])

    return short


def patched(write: Writer, old: bytes, new: bytes) -> Writer:
    """The file with some bytes replaced once."""

    def patch(path: Path) -> None:
        write(path)
        whole = path.read_bytes()
        assert old in whole
        path.write_bytes(whole.replace(old, new, 1))

    return patch


def npy(header: dict[str, Any], content: bytes = b"") -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array_header_1_0(out, header)
    return out.getvalue() + content


def archive(**members: bytes) -> Writer:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(f"{name}.npy", content)

    return write


def zip_bomb(path: Path) -> None:
    """Three hundred megabytes of zeros in little more than one."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as file:
        with file.open("X.npy", "w", force_zip64=True) as member:
            member.write(npy({"descr": "<f8", "fortran_order": False, "shape": (300, 131_072)}))
            for _ in range(300):
                member.write(bytes(8 * 131_072))
        file.writestr("y.npy", npy({"descr": "<i8", "fortran_order": False, "shape": (300,)}, bytes(2400)))


def lying_zip(path: Path) -> None:
    """An archive whose directory says that a large member is small."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, X=np.zeros((4, 300_000)), y=LABELS)
    whole = buffer.getvalue()
    size = struct.pack("<I", 4 * 300_000 * 8 + 128)
    assert size in whole
    path.write_bytes(whole.replace(size, struct.pack("<I", 4 * 300_000 * 4 + 128)))


def gzip_bomb(path: Path) -> None:
    """Three hundred megabytes of one number, packed once and repeated."""
    path.write_bytes(gzip.compress(b"a,y\n") + 300 * gzip.compress(b"0" * 2**20))


def element(kind: int, content: bytes) -> bytes:
    return struct.pack("<II", kind, len(content)) + content + bytes(-len(content) % 8)


def mat5(*elements: bytes) -> Writer:
    header = b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM"
    return raw(header + b"".join(elements))


def matrix5(name: bytes, rows: int, columns: int, content: bytes, kind: int = 6, number: int = 9) -> bytes:
    flags, shape = struct.pack("<II", kind, 0), struct.pack("<ii", rows, columns)
    parts = (element(6, flags), element(5, shape), element(1, name), element(number, content))
    return element(14, b"".join(parts))


def mat_bomb(path: Path) -> None:
    """A matrix of zeros that packs half a gigabyte into half a megabyte."""
    head = matrix5(b"X", 8192, 8192, b"")[8:-8] + struct.pack("<II", 9, GB // 2)
    packer = zlib.compressobj(9)
    packed = packer.compress(struct.pack("<II", 14, len(head) + GB // 2) + head) + packer.flush(zlib.Z_FULL_FLUSH)
    megabyte = packer.compress(bytes(2**20)) + packer.flush(zlib.Z_FULL_FLUSH)  # refers to nothing before it
    packed += 512 * megabyte + packer.flush()
    mat5(struct.pack("<II", 15, len(packed)) + packed, matrix5(b"Y", 4, 1, bytes(32)))(path)


def linked73(file: h5py.File) -> None:
    file["X"] = h5py.ExternalLink("elsewhere.bin", "X")
    put(file, "Y", LABELS)


def outside73(file: h5py.File) -> None:
    file.create_dataset("X", (3, 4), "f8", external=[("elsewhere.bin", 0, 96)]).attrs["MATLAB_class"] = np.bytes_(
        "double"
    )
    put(file, "Y", LABELS)


def claiming73(file: h5py.File) -> None:
    huge = file.create_dataset("X", (1_000_000, 1_000_000), "f8", chunks=(100, 100))  # of which no chunk is written
    huge.attrs["MATLAB_class"] = np.bytes_("double")
    put(file, "Y", LABELS)


def struct73(file: h5py.File) -> None:
    file.create_group("X").attrs["MATLAB_class"] = np.bytes_("struct")
    put(file, "Y", LABELS)


def cell73(file: h5py.File) -> None:
    put(file, "X", np.zeros((4, 3)), "cell")
    put(file, "Y", LABELS)


def wild73(file: h5py.File) -> None:
    group = put_sparse(file, "X", X)
    group["ir"][:] = 99
    put(file, "Y", LABELS)


def repeating_parquet(path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet as pq

    pq.write_table(pa.table([[1], [2], [3]], names=["a", "a", "y"]), path)


def claiming_parquet(path: Path) -> None:
    """Columns of a million equal values: a few bytes each."""
    import pyarrow as pa
    from pyarrow import parquet as pq

    ones = pa.array(np.ones(1_000_000, dtype=np.int8))
    table = pa.table({f"c{column}": ones for column in range(75)})
    pq.write_table(table.append_column("y", ones), path, compression="zstd")


def wild_parts(**parts: Any) -> Writer:
    return npz(**{**sparse_parts(), "y": LABELS, **parts})


NO_VALUE = X.copy()
NO_VALUE[:, 1] = NAN
INFINITE = X.copy()
INFINITE[0, 2] = INF
WIDE = "".join(f"c{i}," for i in range(500)) + "y\n"
HDF5_STUB = b"MATLAB 7.3 MAT-file".ljust(124, b" ") + b"\x00\x02IM" + b"\x00" * 400
OBJECTS = np.array([{}, 1, 2, 3], dtype=object)
NESTED = pd.DataFrame({"a": [[1, 2], [3]], "y": [0, 1]})
IDS = "id,y\n" + "".join(f"customer {n},{n % 2}\n" for n in range(60))
THOUSANDS = "id,y\n" + "".join(f"w{n % 1001},{n % 2}\n" for n in range(4004))
HEADER = {"descr": "<f8", "fortran_order": False}

BAD: dict[str, Bad] = {
    # the file itself
    "missing": Bad("t.csv", lambda p: None, "no such file", {"target": "y"}),
    "a directory": Bad("t.csv", lambda p: p.mkdir(), "a table is a file, and this is none", {"target": "y"}),
    "a pipe": Bad("t.csv", lambda p: os.mkfifo(p), "a table is a file, and this is none", {"target": "y"}),
    "a dangling link": Bad("t.csv", lambda p: p.symlink_to("nowhere.csv"), "no such file", {"target": "y"}),
    "unknown suffix": Bad("t.xlsx", text("a"), r"ends in one of \.mat, \.npz, \.csv, \.csv\.gz, \.parquet, \.svmlight"),
    "empty csv": csv("", "it is empty, where a line of column names is needed"),
    "blank csv": csv("\n\n\n", "it is empty, where a line of column names is needed"),
    "empty csv.gz": Bad("t.csv.gz", raw(b""), "it is empty", {"target": "y"}),
    "empty mat": Bad("t.mat", raw(b""), "cannot be read"),
    "empty npz": Bad("t.npz", raw(b""), "it is no archive of X and y"),
    "empty parquet": Bad("t.parquet", raw(b""), "cannot be read: Parquet file size is 0 bytes", {"target": "y"}),
    "empty svmlight": Bad("t.svmlight", raw(b""), "cannot be read|there are no"),
    "no mat": Bad("t.mat", raw(b"not a mat file at all" * 30), "cannot be read: Unknown mat file type"),
    "no npz": Bad("t.npz", raw(b"PK\x03\x04 broken"), "it is no archive of X and y"),
    "one npy": Bad("t.npz", raw(npy({**HEADER, "shape": (1,)}, bytes(8))), "it is no archive of X and y"),
    "no gzip": Bad("t.csv.gz", raw(b"a,y\n1,0\n"), "cannot be read: Not a gzipped file", {"target": "y"}),
    "no parquet": Bad("t.parquet", raw(b"PAR1 but not really"), "cannot be read", {"target": "y"}),
    "cut gzip": Bad("t.csv.gz", raw(gzip.compress(b"a,y\n" + b"1,0\n" * 99)[:-12]), "cannot be read", {"target": "y"}),
    "cut csv": csv("a,b,y\n1,2,u\n3,4,v\n5,", "3, but line 4 has 2"),
    "cut in quotes": csv('a,b,y\n1,2,u\n3,4,"v\n5,6,u\n', "cannot be read: unexpected end of data"),
    "cut mat": Bad(
        "t.mat", cut(mat(X=np.tile(X, (50, 1)), Y=np.tile(LABELS, 50))), "it is cut short in an element of 2,448 bytes"
    ),
    "cut mat 7.3": Bad("t.mat", cut(mat73(dense73)), "cannot be read"),
    "cut npz": Bad("t.npz", cut(npz(X=X, y=LABELS)), "it is no archive of X and y"),
    "cut parquet": Bad("t.parquet", cut(parquet(frame())), "cannot be read", {"target": "label"}),
    "cut svmlight": Bad("t.svmlight", text("1 1:2 2:3\n0 1:2 2:"), "cannot be read"),
    "mat 7.3 without HDF5": Bad("t.mat", raw(HDF5_STUB), "cannot be read"),
    # text
    "latin-1": Bad("t.csv", raw("größe,y\n1,ä\n".encode("latin-1")), "cannot be read: 'utf-8'", {"target": "y"}),
    "utf-16": Bad(
        "t.csv", raw("a,y\n1,0\n2,1\n".encode("utf-16")), "it is UTF-16, where UTF-8 is needed", {"target": "y"}
    ),
    "utf-16 packed": Bad("t.csv.gz", raw(gzip.compress("a,y\n".encode("utf-16"))), "it is UTF-16", {"target": "y"}),
    "semicolons": csv("a;b;y\n1;2;0\n", "separated by commas, but 'a;b;y' seems separated by ';'"),
    "tabs": csv("a\tb\ty\n1\t2\t0\n", r"separated by commas, but 'a\\tb\\ty' seems separated by '\\t'"),
    "short line": csv("a,b,y\n1,2,0\n1\n", "as many fields as the header, 3, but line 3 has 1"),
    "long line": csv("a,y\n1,0\n1,2,0\n", "as many fields as the header, 2, but line 3 has 3"),
    "long lines": csv("a,y\n9,1,0\n9,2,1\n", "as many fields as the header, 2, but line 2 has 3"),
    "wild quotes": csv('a,y\n"1"2,0\n', "cannot be read: ',' expected after '\"'"),
    "an endless field": csv(f'a,y\n"{"x" * 200_000}",0\n', "cannot be read: field larger than field limit"),
    # columns and their names
    "no target": csv("a,b,y\n1,2,0\n", r"must be named \(target\); the columns are 'a', 'b', 'y'$", target=None),
    "near target": csv("a,label\n1,0\n", "no column 'lable': did you mean 'label'", target="lable"),
    "far target": csv("a,b\n1,0\n", "no column 'zzz': the columns are 'a', 'b'$", target="zzz"),
    "many columns": csv(WIDE, r"the columns are 'c0', 'c1', .*'c7' and 493 more$", target=None),
    "parquet without target": Bad("t.parquet", parquet(frame()), "the columns are 'a', 'b', 'c', 'label'"),
    "svmlight with target": Bad("t.svmlight", text("1 1:2\n"), "no column names, so not 'y'", {"target": "y"}),
    "repeated name": csv("a,b,a,y\n1,2,3,0\n", "its own name, but these repeat: 'a'"),
    "repeated target": csv("a,y,y\n1,2,3\n", "its own name, but these repeat: 'y'"),
    "repeated in parquet": Bad("t.parquet", repeating_parquet, "its own name, but these repeat: 'a'", {"target": "y"}),
    "nameless column": csv(",a,y\n0,1,0\n", "column 1 has none"),
    "a long name": csv(f"{'n' * 5000},{'n' * 5000},y\n", "these repeat: 'nnn+...'$"),
    "unknown group": csv("a,b,y\n1,2,0\n", "no column 'g'", group="g"),
    "unknown category": csv("a,bb,y\n1,2,0\n", "no column 'bbb': did you mean 'bb'", categorical=["bbb"]),
    "two roles": csv("a,b,y\n1,2,0\n", "one role .*, but 'b' has two", group="b", time="b"),
    "target as category": csv("a,b,y\n1,2,0\n", "one role .*, but 'y' has two", categorical=["y"]),
    "group of svmlight": Bad("t.svmlight", text("1 1:2\n"), "no column names, so not 'g'", {"group": "g"}),
    # values
    "numbers and words": csv(
        "a,b,y\n1,1,0\nx,2,1\n3,3,0\nz,4,1\n",
        "column 'a' mixes numbers and words: 'x' in row 2, 'z' in row 4; .* --categorical a",
    ),
    "many words": csv(
        "a,y\n1,0\nu,1\nv,0\nw,1\nx,1\n", "mixes numbers and words: 'u' in row 2, 'v' in row 3, 'w' in row 4 and 1 more"
    ),
    "an identifier": csv(IDS, "column 'id' has 60 categories in 60 rows, like an identifier"),
    "too many categories": csv(THOUSANDS, "column 'id' has 1001 categories in 4004 rows"),
    "dates": Bad(
        "t.parquet", parquet(frame().assign(day=pd.Timestamp("2020"))), "'day' holds dates", {"target": "label"}
    ),
    "nested": Bad("t.parquet", parquet(NESTED), "one value a row, but these are nested: 'a'", {"target": "y"}),
    "bytes": Bad(
        "t.parquet",
        parquet(frame().assign(b=b"\xff")),
        "column 'b' holds 'bytes', where a column holds numbers or words",
        {"target": "label"},
    ),
    "an empty column": csv("a,b,y\n1,?,0\n2,,1\n3,NA,1\n", "a value in some row, but these have none: 'b'"),
    "a column of NaN": Bad("t.npz", npz(X=NO_VALUE, y=LABELS), "a value in some row, but these have none: 'f1'"),
    "an empty sparse column": Bad(
        "t.svmlight", text("1 1:1 2:nan\n0 1:1 2:nan\n1 1:0 2:nan\n"), "a value in some row, but these have none: 'f1'"
    ),
    "infinity": csv("a,b,y\n1,inf,0\n2,1,0\n", "finite and within float32, but these columns have others: 'b'"),
    "an infinity": Bad("t.npz", npz(X=INFINITE, y=LABELS), "finite and within float32, .* others: 'f2'"),
    "a sparse infinity": Bad("t.svmlight", text("1 1:1 2:inf\n0 1:1\n"), "finite and within float32, .* others: 'f1'"),
    "beyond float32": Bad(
        "t.npz", npz(X=X.astype(float) * 1e300, y=LABELS), "finite and within float32, .* 'f0', 'f1', 'f2'"
    ),
    "no rows": csv("a,y\n", "there are no rows"),
    "no columns": csv("y\n1\n", "there are no feature columns"),
    "no rows in npz": Bad("t.npz", npz(X=X[:0], y=LABELS[:0]), "there are no rows"),
    "no columns in npz": Bad("t.npz", npz(X=X[:, :0], y=LABELS), "there are no feature columns"),
    # labels, groups and times
    "unlabelled row": csv("a,y\n1,0\n2,\n", "1 of 2 rows have no label in column 'y'"),
    "fractions": csv("a,y\n1,0.5\n2,1\n", r"column 'y': labels must be classes.* 0\.5"),
    "infinite label": csv("a,y\n1,inf\n2,1\n", r"column 'y': labels must be classes.* inf"),
    "huge label": csv(
        "a,y\n1,100000000000000000\n2,1\n", r"column 'y': labels that are numbers must be within 2\*\*53"
    ),
    "one class": csv("a,y\n1,u\n2,u\n", "t: at least two classes are needed, but every label is 'u'"),
    "one row": csv("a,y\n1,u\n", "t: at least two classes are needed, but every label is 'u'"),
    "a class of one row": csv("a,y\n1,u\n2,u\n3,v\n", "t: every class needs two rows or more, but these have one: 'v'"),
    "date labels": Bad(
        "t.parquet", parquet(frame(pd.Timestamp("2020"))), "their type is datetime64", {"target": "label"}
    ),
    "no group": csv("a,g,y\n1,p,0\n2,,1\n", "1 of 2 rows have no group in column 'g'", group="g"),
    "no time": csv("a,t,y\n1,3,0\n2,soon,1\n", "1 of 2 rows have none in column 't', the first in row 2", time="t"),
    "infinite time": csv("a,t,y\n1,3,0\n2,inf,1\n", "times must be finite, but column 't'", time="t"),
    # archives
    "no X": Bad("t.npz", npz(y=LABELS), r"needs a variable X or x or fea or data, but holds 'y'"),
    "only labels that are X": Bad(
        "t.npz", npz(X=X), r"needs a variable Y or y or gnd or target or labels, but holds 'X'"
    ),
    "no Y": Bad("t.mat", mat(X=X), r"needs a variable Y or y or gnd or target or labels, but holds 'X'"),
    "other Y": Bad("t.npz", npz(X=X, y=LABELS), r"needs a variable z, but holds 'X', 'y'", {"target": "z"}),
    "nothing": Bad("t.npz", npz(), "needs a variable X or x or fea or data, but holds none"),
    "a path as a name": Bad("t.npz", archive(**{"../../X": b""}), r"needs a variable X .*, but holds '\.\./\.\./X'"),
    "flat X": Bad("t.npz", npz(X=X[0], y=LABELS), r"X must be a table .* its shape is \(3,\)"),
    "cubic X": Bad("t.mat", mat(X=np.zeros((2, 2, 2)), Y=LABELS), r"X must be a table .* its shape is \(2, 2, 2\)"),
    "words as X": Bad("t.npz", npz(X=X.astype(str), y=LABELS), "X must be numeric, but its type is <U32"),
    "complex X": Bad("t.npz", npz(X=X * 1j, y=LABELS), "X must be numeric, but its type is complex"),
    "one-hot Y": Bad("t.npz", npz(X=X, y=np.eye(4)), r"y: labels, .* must be one a row, but their shape is \(4, 4\)"),
    "fewer labels": Bad("t.npz", npz(X=X, y=LABELS[:3]), "there are 4 rows and 3 labels"),
    "fewer sparse labels": Bad("t.npz", wild_parts(y=LABELS[:3]), "there are 4 rows and 3 labels"),
    "fewer groups": Bad("t.npz", npz(X=X, y=LABELS, g=[1]), "there are 4 rows and 1 groups", {"group": "g"}),
    "fraction as label": Bad("t.npz", npz(X=X, y=LABELS + 0.5), r"y: labels must be classes.* but there is 3\.5"),
    "NaN as label": Bad("t.npz", npz(X=X, y=np.array([1, NAN, 1, NAN])), "y: 2 of 4 rows have no label"),
    "empty word": Bad("t.npz", npz(X=X, y=np.array(["a", " ", "b", "a"])), "y: 1 of 4 rows have no label"),
    "empty cell": Bad("t.mat", mat(X=X, Y=np.array(["a", "", "b", "a"], dtype=object)), "Y: 1 of 4 rows have no label"),
    "pickled X": Bad("t.npz", npz(X=OBJECTS[:, None], y=LABELS), "X.npy holds Python objects, which are not unpickled"),
    "pickled y": Bad("t.npz", npz(X=X, y=OBJECTS), "y.npy holds Python objects, which are not unpickled"),
    "category of sparse": Bad(
        "t.npz", wild_parts(), "in a table that is not sparse, but 'f0' is", {"categorical": ["f0"]}
    ),
    "struct in mat": Bad("t.mat", mat(X={"a": X}, Y=LABELS), "X must hold numbers, but it is a struct"),
    "cells in mat": Bad(
        "t.mat", mat(X=np.array([["a", 1]], dtype=object), Y=LABELS), "X must hold numbers, but it is a cell"
    ),
    "struct as labels": Bad("t.mat", mat(X=X, Y={"a": 1}), "Y must hold numbers or strings, but it is a struct"),
    "nested cells": Bad(
        "t.mat", mat(X=X, Y=np.array([OBJECTS, "a", "b", "a"], dtype=object)), "a cell of it holds a cell of"
    ),
    "struct in mat 7.3": Bad("t.mat", mat73(struct73), "X must hold numbers, but it is a struct"),
    "cells in mat 7.3": Bad("t.mat", mat73(cell73), "X must hold numbers, but it is a cell"),
    "a link in mat 7.3": Bad("t.mat", mat73(linked73), "X must lie in the file itself, but it is a link"),
    "data outside mat 7.3": Bad(
        "t.mat", mat73(outside73), "X must lie in the file itself, but its values are kept outside"
    ),
    "wild rows in mat 7.3": Bad("t.mat", mat73(wild73), "the parts of the sparse matrix do not fit together"),
    # sparse
    "bsr": Bad("t.npz", wild_parts(format=b"bsr"), "saved as csr or csc, but this one is 'bsr'"),
    "wild columns": Bad(
        "t.npz", wild_parts(indices=sparse_parts()["indices"] + 7), "parts of the sparse matrix do not fit"
    ),
    "negative columns": Bad(
        "t.npz", wild_parts(indices=sparse_parts()["indices"] - 5), "parts of the sparse matrix do not fit"
    ),
    "wild bounds": Bad("t.npz", wild_parts(indptr=np.array([0, 99, 3, 4, 7])), "parts of the sparse matrix do not fit"),
    "falling bounds": Bad("t.npz", wild_parts(indptr=np.array([0, 5, 99, 3, 0])), "must begin at 0 and never fall"),
    "too few bounds": Bad("t.npz", wild_parts(indptr=np.array([0, 7])), "parts of the sparse matrix do not fit"),
    "a shape of three": Bad("t.npz", wild_parts(shape=(4, 3, 1)), "must have rows and columns, but its shape is"),
    "a negative shape": Bad("t.npz", wild_parts(shape=(4, -3)), "must have rows and columns, but its shape is"),
    "garbage in svmlight": Bad("t.svmlight", text("1 2:x\n"), "cannot be read"),
    "words in svmlight": Bad("t.svmlight", text("hello world\n"), "cannot be read"),
    "a negative index": Bad("t.svmlight", text("1 -1:2\n0 1:1\n"), "cannot be read"),
    "unsorted indices": Bad(
        "t.svmlight", text("1 2:2 1:1\n0 1:1\n"), "cannot be read: Feature indices .* sorted and unique"
    ),
    # claims
    "an index of billions": Bad(
        "t.svmlight", text("1 1:1 2000000000:1\n0 1:1\n"), "at most 5,000,000 .*, but there are 2,000,000,000"
    ),
    "an index beyond": Bad("t.svmlight", text("1 1:1 99999999999999999999:1\n0 1:1\n"), "cannot be read"),
    "columns in billions": Bad("t.npz", wild_parts(shape=(4, 2**40)), "at most 5,000,000 feature columns"),
    "rows in billions": Bad("t.npz", wild_parts(shape=(2**40, 3)), "rows and 4 labels"),
    "a zip bomb": Bad("t.npz", zip_bomb, r"it claims 300\.0 MB of data, but a file of 1\.\d MB may unpack to"),
    "a directory that lies": Bad(
        "t.npz", lying_zip, "X.npy claims 9,600,000 bytes of values in its header, but holds 4,800,000"
    ),
    "a header that claims gigabytes": Bad(
        "t.npz",
        archive(X=npy({**HEADER, "shape": (10**6, 10**6)}, bytes(64)), y=npy({**HEADER, "shape": (4,)}, bytes(32))),
        "X.npy claims 8,000,000,000,000 bytes of values in its header, but holds 64",
    ),
    "a header with too little": Bad(
        "t.npz", archive(X=npy({**HEADER, "shape": (1, 1)}, bytes(64)), y=b""), "X.npy claims 8 bytes .* holds 64"
    ),
    "a header of code": Bad(
        "t.npz",
        archive(
            X=b"\x93NUMPY\x01\x00\x20\x00__import__('os').abort()       \n", y=npy({**HEADER, "shape": (4,)}, bytes(32))
        ),
        "cannot be read: the header of X.npy describes no array",
    ),
    "a gzip bomb": Bad(
        "t.csv.gz", gzip_bomb, r"it claims 25\d\.\d MB of data, but a file of 0\.\d MB may", {"target": "y"}
    ),
    "a mat bomb": Bad("t.mat", mat_bomb, r"it claims 512\.0 MB of data, but a file of 0\.\d MB may"),
    "a mat that claims": Bad(
        "t.mat",
        mat5(matrix5(b"X", 50_000, 40_000, bytes(8)), matrix5(b"Y", 4, 1, bytes(32))),
        "X claims 2,000,000,000 values, but holds 1",
    ),
    "labels that claim": Bad(
        "t.mat",
        mat5(matrix5(b"X", 1, 1, bytes(8)), matrix5(b"Y", 2**30, 1, bytes(8), kind=4, number=1)),
        "Y claims 1,073,741,824 characters, but holds 8",
    ),
    "a negative size": Bad(
        "t.mat", mat5(matrix5(b"X", -5, -5, bytes(8)), matrix5(b"Y", 4, 1, bytes(32))), "cannot be read"
    ),
    "a mat 7.3 that claims": Bad("t.mat", mat73(claiming73), r"it claims 7,629,394\.5 MB of data"),
    "a parquet that claims": Bad("t.parquet", claiming_parquet, r"it claims 2\d\d\.\d MB of data", {"target": "y"}),
}


def command(path: Path, how: dict[str, Any]) -> list[str]:
    """The command that reads the file in that way: a trial, or a check where columns have other roles."""
    options = [("categorical", name) for name in how.get("categorical", ())]
    options += [(role, how[role]) for role in ("target", "group", "time") if how.get(role) is not None]
    words = [word for role, name in options for word in (f"--{role}", name)]
    if set(how) <= {"target"}:
        return ["trial", "--data", str(path), *words]
    return ["datasets", "check", str(path), *words]


def call(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[object, str, str]:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    printed = capsys.readouterr()
    return ended.value.code, printed.out, printed.err


def test_there_are_forty_and_more() -> None:
    assert len(BAD) >= 40


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("case", BAD)
def test_a_bad_table_is_refused_in_one_line(case: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = BAD[case]
    path = tmp_path / bad.name
    bad.write(path)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError, match=bad.says) as caught:
        load_dataset(path, **bad.how)
    said = str(caught.value)
    assert said.startswith((f"{path}: ", "t: "))
    assert "\n" not in said
    assert len(said) < len(str(path)) + 400
    status, out, err = call(capsys, *command(path, bad.how))
    assert (status, out, err) == (2, "", f"error: {said}\n")
    assert sorted(tmp_path.iterdir()) == before  # nothing was written


STATED: dict[str, tuple[Bad, list[str]]] = {
    "constant columns": (csv("a,b,y\n1,5,0\n2,5,1\n", "", target="y"), ["constant columns (1): 'b'"]),
    "missing values": (csv("a,b,y\n1,,0\n2,5,1\n3,6,1\n", ""), ["missing values: 1 (16.7%), in 1 columns: 'b'"]),
    "repeated rows": (csv("a,y\n1,0\n1,1\n2,0\n", ""), ["rows with the features of an earlier row: 1"]),
    "repeated sparse rows": (
        Bad("t.svmlight", text("1 1:1 3:0\n0 1:1 2:0\n1 2:4 3:1\n"), ""),
        ["rows with the features of an earlier row: 1"],
    ),
    "constant sparse columns": (Bad("t.svmlight", text("1 1:3 2:1\n0 1:3\n"), ""), ["constant columns (1): 'f0'"]),
    "a class of one row": (
        csv("a,y\n1,u\n2,u\n3,v\n", ""),
        ["every class needs two rows or more, but these have one: 'v'"],
    ),
    "one class": (csv("a,y\n1,u\n2,u\n", ""), ["at least two classes are needed, but every label is 'u'"]),
}


@pytest.mark.parametrize("case", STATED)
def test_what_can_be_read_though_it_is_odd_is_a_problem_that_check_names(case: str, tmp_path: Path) -> None:
    odd, problems = STATED[case]
    odd.write(tmp_path / odd.name)
    found = check_file(tmp_path / odd.name, **odd.how)["problems"]
    assert set(problems) <= set(found)


@contextmanager
def an_ordinary_user() -> Iterator[None]:
    """Root may read anything: give its rights up for a moment."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65_534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.parametrize("closed", ["file", "folder"])
def test_no_permission(closed: str, tmp_path: Path) -> None:
    folder = tmp_path / "d"
    folder.mkdir()
    path = folder / "t.csv"
    frame().to_csv(path, index=False)
    load_dataset(path, target="label")  # what reads it is loaded before the rights are given up
    for open_folder in (tmp_path, *tmp_path.parents):
        if open_folder.stat().st_uid == os.getuid() and not open_folder.stat().st_mode & 0o001 and os.geteuid() == 0:
            open_folder.chmod(open_folder.stat().st_mode | 0o001)
    folder.chmod(0o000 if closed == "folder" else 0o755)
    path_mode = 0o000 if closed == "file" else 0o644
    if closed == "file":
        path.chmod(path_mode)
    try:
        with an_ordinary_user(), pytest.raises(InputError, match=r"t\.csv: cannot be read: .*Permission denied"):
            load_dataset(path, target="label")
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("name", ["../wine", "../../etc/passwd", "wine/../wine", "/etc/passwd", "", ".", "wine\x00"])
def test_a_registry_name_is_no_path(name: str) -> None:
    with pytest.raises(InputError, match=r"unknown dataset|ends in one of"):
        load_dataset(name)


def test_an_error_keeps_its_cause(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(b"plain")
    with pytest.raises(InputError) as caught:
        load_dataset(tmp_path / "t.csv.gz", target="y")
    assert isinstance(caught.value.__cause__, gzip.BadGzipFile)


def test_the_mistake_is_the_files_not_its_compression(tmp_path: Path) -> None:
    """A compressed table of the largest ratio that DEFLATE reaches, below what any file may unpack to, is read."""
    x = np.zeros((1000, 4000), dtype=np.float32)
    x[:, 0] = np.arange(1000)
    np.savez_compressed(tmp_path / "t.npz", X=x, y=np.arange(1000) % 2)
    assert (tmp_path / "t.npz").stat().st_size * 200 < x.nbytes
    assert load_dataset(tmp_path / "t.npz").x.shape == x.shape
    scipy.io.savemat(tmp_path / "t.mat", {"X": x, "Y": np.arange(1000) % 2}, do_compression=True)
    assert load_dataset(tmp_path / "t.mat").x.shape == x.shape

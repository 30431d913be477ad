"""Files of tables, good and bad, that the tests of the readers write."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import numpy.typing as npt
import pandas as pd
import scipy.io
import scipy.sparse
from sklearn.datasets import dump_svmlight_file

X = np.array([[1.5, 0.0, -3.0], [0.0, 2.0, 0.25], [7.0, 0.0, 0.0], [1.0, 1.0, 1.0]], dtype=np.float32)
LABELS = np.array([3, -1, 3, -1])
NAMES = ("a", "b", "c")

Writer = Callable[[Path], object]
"""Writes the file of that path."""


def frame(labels: Any = LABELS) -> pd.DataFrame:
    return pd.DataFrame(X, columns=list(NAMES)).assign(label=labels)


def text(content: str) -> Writer:
    return lambda path: path.write_text(content, encoding="utf-8")


def raw(content: bytes) -> Writer:
    return lambda path: path.write_bytes(content)


def npz(**variables: Any) -> Writer:
    return lambda path: np.savez(path, **variables)


def mat(**variables: Any) -> Writer:
    return lambda path: scipy.io.savemat(path, variables)


def parquet(table: pd.DataFrame) -> Writer:
    return lambda path: table.to_parquet(path)


def sparse_parts(x: npt.NDArray[Any] = X, layout: str = "csr") -> dict[str, Any]:
    """What scipy.sparse.save_npz writes, by name."""
    matrix = scipy.sparse.csr_array(x).asformat(layout)
    names = ("data", "indices", "indptr")
    return {name: getattr(matrix, name) for name in names} | {"shape": matrix.shape, "format": layout.encode()}


def mat73(fill: Callable[[h5py.File], object]) -> Writer:
    """An HDF5 file behind MATLAB's header, as ``save -v7.3`` writes it."""

    def write(path: Path) -> None:
        with h5py.File(path, "w", userblock_size=512) as file:
            fill(file)
        header = b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM"
        path.write_bytes(header + path.read_bytes()[len(header) :])

    return write


def put(group: h5py.Group, name: str, values: Any, kind: str = "double", **how: Any) -> None:
    """A variable as MATLAB lays it out: transposed."""
    group.create_dataset(name, data=np.asarray(values).T, **how).attrs["MATLAB_class"] = np.bytes_(kind)


def put_sparse(file: h5py.File, name: str, x: npt.NDArray[Any]) -> h5py.Group:
    matrix = scipy.sparse.csc_array(x)
    group = file.create_group(name)
    group.attrs["MATLAB_class"] = np.bytes_("double")
    group.attrs["MATLAB_sparse"] = np.uint64(matrix.shape[0])
    for part, values in (("data", matrix.data), ("ir", matrix.indices), ("jc", matrix.indptr)):
        group[part] = values
    return group


def put_cells(file: h5py.File, name: str, words: list[str]) -> None:
    file.create_group("#refs#")
    references = []
    for number, word in enumerate(words):
        put(file["#refs#"], f"r{number}", np.array([[ord(letter) for letter in word]], dtype=np.uint16), "char")
        references.append(file["#refs#"][f"r{number}"].ref)
    cells = file.create_dataset(name, data=np.array([references], dtype=h5py.ref_dtype))
    cells.attrs["MATLAB_class"] = np.bytes_("cell")


def dense73(file: h5py.File) -> None:
    put(file, "X", X, compression="gzip")
    put(file, "Y", LABELS[:, None])


DENSE: dict[str, Writer] = {
    "dense.mat": mat(X=X, Y=LABELS[:, None]),
    "packed.mat": lambda p: scipy.io.savemat(p, {"X": X, "Y": LABELS[:, None]}, do_compression=True),
    "old.mat": lambda p: scipy.io.savemat(p, {"X": X, "Y": LABELS[:, None].astype(float)}, format="4"),
    "beside.mat": mat(X=X, Y=LABELS, note={"by": "a struct"}, cells=np.array(["a", 1], dtype=object)),
    "dense73.mat": mat73(dense73),
    "upper.npz": npz(X=X, Y=LABELS),
    "lower.npz": npz(x=X.astype(np.float16), y=LABELS[None, :]),
    "data.npz": lambda p: np.savez_compressed(p, data=np.asfortranarray(X.astype(np.float64)), target=LABELS),
    "fea.npz": npz(fea=X, labels=LABELS.astype(np.float64)),
    "beside.npz": npz(X=X, y=LABELS, notes=np.array([{}], dtype=object)),
    "plain.csv": lambda p: frame().to_csv(p, index=False),
    "SHOUTING.CSV": lambda p: frame().to_csv(p, index=False),
    "spaced.csv": text("a, b, c, label\n1.5, 0, -3, 3\n0, 2, 0.25, -1\n\n7, 0, 0, 3\n   \n1, 1, 1, -1\n\n"),
    "crlf.csv": lambda p: p.write_bytes(frame().to_csv(index=False, lineterminator="\r\n").encode()),
    "quoted.csv": lambda p: frame().to_csv(p, index=False, quoting=1),
    "bom.csv": lambda p: p.write_text("\ufeff" + frame().to_csv(index=False), encoding="utf-8"),
    "packed.csv.gz": lambda p: frame().to_csv(p, index=False),
    "plain.parquet": parquet(frame()),
    "indexed.parquet": parquet(frame().set_index(pd.Index(["r", "s", "t", "u"]))),
}
"""Name -> writer of the same table in every dense format."""


def sparse_writers(x: npt.NDArray[Any], labels: npt.NDArray[Any]) -> dict[str, Writer]:
    """Name -> writer of a table in every sparse format."""

    def sparse73(file: h5py.File) -> None:
        put_sparse(file, "fea", x)
        put(file, "gnd", labels[None, :])

    return {
        "sparse.mat": mat(fea=scipy.sparse.csc_matrix(x.astype(float)), gnd=labels),
        "sparse73.mat": mat73(sparse73),
        "csr.npz": npz(**sparse_parts(x), y=labels),
        "csc.npz": npz(**sparse_parts(x, "csc"), labels=labels),
        "plain.svmlight": lambda p: dump_svmlight_file(x, labels, str(p), zero_based=False),
    }


SPARSE = sparse_writers(X, LABELS)
"""Name -> writer of that table in every sparse format."""


def target_of(path: Path) -> str | None:
    return "label" if ".csv" in path.name.lower() or path.suffix == ".parquet" else None

"""Read broken copies of good files under a limit on memory, and report: run by ``test_hostile_files``.

Usage: broken_files.py FOLDER SEED COUNT BYTES. FOLDER holds good files; each is broken COUNT times and read. What is
neither a table nor an InputError is printed, one JSON object a case; the last line says how many there were of each.
"""

from __future__ import annotations

import faulthandler
import json
import resource
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np

from dst.data import read_table
from dst.data.readers.table import missing_counts
from dst.errors import InputError

_SLOW = 20.0  # seconds for a file of some kilobytes


def broken(content: bytes, rng: np.random.Generator) -> bytes:
    """The content with bytes changed, cut out, doubled, moved or replaced by extreme numbers."""
    array = bytearray(content)
    for _ in range(int(rng.integers(1, 4))):
        at = int(rng.integers(len(array) + 1))
        length = int(rng.integers(1, 1 + min(64, len(array) - at + 1)))
        kind = int(rng.integers(6))
        if kind == 0:
            array[at : at + length] = rng.bytes(length)
        elif kind == 1:
            del array[at:]
        elif kind == 2:
            del array[at : at + length]
        elif kind == 3:
            array[at:at] = array[at : at + length]
        elif kind == 4 and at < len(array):
            array[at] ^= 1 << int(rng.integers(8))
        else:
            extreme = [b"\xff" * 4, b"\xff\xff\xff\x7f", b"\x00" * 8, b"\x00\x00\x00\x80", b"\xff" * 8, b"9" * 20]
            value = extreme[int(rng.integers(len(extreme)))]
            array[at : at + len(value)] = value
    return bytes(array)


def main(folder: Path, seed: int, count: int, limit: int) -> None:
    faulthandler.enable()
    rng = np.random.default_rng(seed)
    good = sorted(path for path in folder.iterdir() if path.is_file())
    for path in good:  # what reads them is loaded before memory is limited
        read_table(path, "label" if ".csv" in path.name or path.suffix == ".parquet" else None)
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    outcomes: Counter[str] = Counter()
    work = folder / "broken"
    work.mkdir()
    for path in good:
        content = path.read_bytes()
        for number in range(count):
            case = work / path.name
            case.write_bytes(broken(content, rng))
            faulthandler.dump_traceback_later(_SLOW, exit=True)
            started = time.monotonic()
            try:
                table = read_table(case, "label" if ".csv" in path.name or path.suffix == ".parquet" else None)
                assert table.x.shape == (len(table.labels), len(table.feature_names))
                assert table.x.dtype in (np.float32, np.float64)
                assert not np.isinf(table.x if isinstance(table.x, np.ndarray) else table.x.data).any()
                assert (missing_counts(table.x) < table.x.shape[0]).all()
                outcomes["table"] += 1
            except InputError as error:
                outcomes["refused" if "\n" not in str(error) else "of several lines"] += 1
            except Exception as error:
                outcomes["defect"] += 1
                print(json.dumps({"file": path.name, "number": number, "error": repr(error)[:300]}))  # noqa: T201
            faulthandler.cancel_dump_traceback_later()
            outcomes["slow"] += time.monotonic() - started > _SLOW / 2
    grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - held) * 1024
    print(json.dumps({"outcomes": dict(outcomes), "grown_bytes": grown}))  # noqa: T201


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))

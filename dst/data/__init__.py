"""Tables: reading, naming, fetching, splitting and scaling them."""

from __future__ import annotations

from dst.data.checking import check_file
from dst.data.dataset import Dataset, Part, Scaling
from dst.data.entry import Entry
from dst.data.fetch import FetchError, fetch_dataset
from dst.data.in_memory import from_arrays, from_frame
from dst.data.loading import DATA_DIR_VARIABLE, list_datasets, load_dataset
from dst.data.readers import READERS, Table, read_table
from dst.data.registry import DATASETS
from dst.data.scaling import prepare, prepare_test, scale
from dst.data.splits import SPLITS, Split, default_count, make_splits

__all__ = [
    "DATASETS",
    "DATA_DIR_VARIABLE",
    "READERS",
    "SPLITS",
    "Dataset",
    "Entry",
    "FetchError",
    "Part",
    "Scaling",
    "Split",
    "Table",
    "check_file",
    "default_count",
    "fetch_dataset",
    "from_arrays",
    "from_frame",
    "list_datasets",
    "load_dataset",
    "make_splits",
    "prepare",
    "prepare_test",
    "read_table",
    "scale",
]

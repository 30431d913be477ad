"""Tables: reading, naming, splitting and scaling them."""

from __future__ import annotations

from dst.data.dataset import Dataset, Part, Scaling
from dst.data.loading import DATA_DIR_VARIABLE, check_file, list_datasets, load_dataset
from dst.data.readers import READERS, Table, read_table
from dst.data.registry import DATASETS, Entry
from dst.data.scaling import prepare, prepare_test, scale
from dst.data.splits import SPLITS, Split, default_count, make_splits

__all__ = [
    "DATASETS",
    "DATA_DIR_VARIABLE",
    "READERS",
    "SPLITS",
    "Dataset",
    "Entry",
    "Part",
    "Scaling",
    "Split",
    "Table",
    "check_file",
    "default_count",
    "list_datasets",
    "load_dataset",
    "make_splits",
    "prepare",
    "prepare_test",
    "read_table",
    "scale",
]

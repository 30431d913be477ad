"""Tables: reading, naming, fetching, splitting and preparing them."""

from __future__ import annotations

from dst.data.checking import check_file
from dst.data.dataset import Dataset, Part, Scaling
from dst.data.entry import Entry
from dst.data.imputing import POLICIES, check_policy
from dst.data.in_memory import from_arrays, from_frame
from dst.data.known.fetch import FetchError, fetch_dataset
from dst.data.known.files import DATA_DIR_VARIABLE
from dst.data.known.registry import DATASETS
from dst.data.loading import list_datasets, load_dataset
from dst.data.missing import MECHANISMS, Removal, remove_values
from dst.data.preparation import prepare, prepare_test
from dst.data.readers import READERS, ReadOptions, Table, read_table
from dst.data.scaling import SCALINGS, scale
from dst.data.splits import SPLITS, Split, default_count, make_splits, split_sha256
from dst.data.trial_data import Design, TrialData, trial_data

__all__ = [
    "DATASETS",
    "DATA_DIR_VARIABLE",
    "MECHANISMS",
    "POLICIES",
    "READERS",
    "SCALINGS",
    "SPLITS",
    "Dataset",
    "Design",
    "Entry",
    "FetchError",
    "Part",
    "ReadOptions",
    "Removal",
    "Scaling",
    "Split",
    "Table",
    "TrialData",
    "check_file",
    "check_policy",
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
    "remove_values",
    "scale",
    "split_sha256",
    "trial_data",
]

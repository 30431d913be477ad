"""Optuna: the trials of a dataset and what became of them, durable at each step.

Names load what they need when they are asked for: importing this package imports no Optuna.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cluster.ledger.durable import read_entries
    from cluster.ledger.entries import SEARCH, Entry, LedgerError, State, Ticket
    from cluster.ledger.ledger import Ledger
    from cluster.ledger.options import OptionError
    from cluster.ledger.pruners.registry import PRUNERS, make_pruner
    from cluster.ledger.samplers.registry import SAMPLERS, make_sampler
    from cluster.ledger.storage.connect import StorageError, open_storage
    from cluster.ledger.storage.patient import StorageFailedError

__all__ = [
    "PRUNERS",
    "SAMPLERS",
    "SEARCH",
    "Entry",
    "Ledger",
    "LedgerError",
    "OptionError",
    "State",
    "StorageError",
    "StorageFailedError",
    "Ticket",
    "make_pruner",
    "make_sampler",
    "open_storage",
    "read_entries",
]

_MODULES = {
    "durable": ("read_entries",),
    "entries": ("SEARCH", "Entry", "LedgerError", "State", "Ticket"),
    "ledger": ("Ledger",),
    "options": ("OptionError",),
    "pruners.registry": ("PRUNERS", "make_pruner"),
    "samplers.registry": ("SAMPLERS", "make_sampler"),
    "storage.connect": ("StorageError", "open_storage"),
    "storage.patient": ("StorageFailedError",),
}


def __getattr__(name: str) -> Any:
    """Import what is asked for when it is asked for."""
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"cluster.ledger.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

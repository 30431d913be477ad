"""Selection: the way from scores of all columns, and the training rows, to the K columns that are taken."""

from dst.selection.named import TOP, Selection, metric_of, selection_of
from dst.selection.registry import SELECTION_RULES
from dst.selection.represented import CLOSEST, StandIn, stand_ins
from dst.selection.select import select_columns

__all__ = [
    "CLOSEST",
    "SELECTION_RULES",
    "TOP",
    "Selection",
    "StandIn",
    "metric_of",
    "select_columns",
    "selection_of",
    "stand_ins",
]

"""How long training steps and topology updates take, beside what else one could use, on this machine."""

from __future__ import annotations

from dst.bench.machine import Machine, machine
from dst.bench.shapes import SHAPES, SPARSITIES, Shape, named_shape
from dst.bench.step import StepRow, step_rows
from dst.bench.topology import TopologyRow, topology_rows

__all__ = [
    "SHAPES",
    "SPARSITIES",
    "Machine",
    "Shape",
    "StepRow",
    "TopologyRow",
    "machine",
    "named_shape",
    "step_rows",
    "topology_rows",
]

"""Measurements on this machine: training steps, topology updates and attribution, beside other ways to compute them."""

from __future__ import annotations

from dst.bench.attribution import AttributionRow, attribution_rows
from dst.bench.machine import Machine, machine
from dst.bench.shapes import DEFAULT_SHAPES, SHAPES, SPARSITIES, Shape, named_shape
from dst.bench.step import StepRow, step_rows
from dst.bench.topology import TopologyRow, topology_rows

__all__ = [
    "DEFAULT_SHAPES",
    "SHAPES",
    "SPARSITIES",
    "AttributionRow",
    "Machine",
    "Shape",
    "StepRow",
    "TopologyRow",
    "attribution_rows",
    "machine",
    "named_shape",
    "step_rows",
    "topology_rows",
]

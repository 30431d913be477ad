"""A row of activations in registers: several vectors of :mod:`dst.kernels.simd` at once, for Numba kernels.

How many is part of the type, so that a kernel is compiled once for each number of vectors and keeps them in registers
throughout its inner loop. A kernel is told by an argument ``lanes``, a tuple of as many zeros (:func:`lanes`).
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from dst.kernels.simd import VECTOR, VECTOR_IR, WIDTH, called, pointer, splatted

MOST = 8
"""Vectors in a row at most: with AVX-512 a row and the sums over it fill half of the registers, with AVX2 all."""


def padded(columns: int) -> int:
    """Return how many columns a batch of ``columns`` samples takes: as few as make rows of equal length."""
    vectors = -(-columns // WIDTH)
    rows = -(-vectors // MOST)
    return -(-vectors // rows) * rows * WIDTH


def lanes(columns: int) -> tuple[int, ...]:
    """Return the type of the rows in which a kernel goes through ``columns``, as a tuple of zeros.

    Its length is the largest number of vectors up to :data:`MOST` that divides the columns.

    Raises:
        ValueError: the columns are not a multiple of the vector width.
    """
    vectors, rest = divmod(columns, WIDTH)
    if rest or vectors < 1:
        raise ValueError(f"columns must be a multiple of {WIDTH}, but there are {columns}")
    return (0,) * next(length for length in range(min(MOST, vectors), 0, -1) if vectors % length == 0)


def _type(length: int) -> Any:
    return types.UniTuple(VECTOR, length)


def _at(builder: Any, offset: Any, vector: int) -> Any:
    return builder.add(offset, ir.Constant(offset.type, WIDTH * vector))


def _load(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    load = builder.load(pointer(context, builder, array_type, array, offset))
    load.align = 4
    return load


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return called(builder, "llvm.fma.v16f32", VECTOR_IR, [a, b, c])


@intrinsic  # type: ignore[untyped-decorator]
def row_splat(typingctx: Any, value: Any, lanes: Any) -> Any:
    """Return a row whose values all equal ``value``."""
    row = _type(len(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return context.make_tuple(builder, row, [splatted(builder, args[0])] * len(row))

    return row(types.float32, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_load(typingctx: Any, array: Any, offset: Any, lanes: Any) -> Any:
    """Load the row that begins at ``array.ravel()[offset]`` of a C-contiguous float32 array."""
    row = _type(len(lanes))

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = [
            _load(context, builder, signature.args[0], args[0], _at(builder, args[1], v)) for v in range(len(row))
        ]
        return context.make_tuple(builder, row, vectors)

    return row(array, types.intp, lanes), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_store(typingctx: Any, array: Any, offset: Any, row: Any) -> Any:
    """Store a row from ``array.ravel()[offset]`` on."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        for v in range(len(row)):
            to = pointer(context, builder, signature.args[0], args[0], _at(builder, args[1], v))
            store = builder.store(builder.extract_value(args[2], v), to)
            store.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, row), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_add(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``a + b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        vectors = [
            builder.fadd(builder.extract_value(args[0], v), builder.extract_value(args[1], v)) for v in range(len(a))
        ]
        return context.make_tuple(builder, a, vectors)

    return a(a, a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_where_positive(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``b`` where ``a > 0``, else 0."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(VECTOR_IR, [0.0] * WIDTH)
        vectors = []
        for v in range(len(a)):
            positive = builder.fcmp_ordered(">", builder.extract_value(args[0], v), zero)
            vectors.append(builder.select(positive, builder.extract_value(args[1], v), zero))
        return context.make_tuple(builder, a, vectors)

    return a(a, a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_fma(typingctx: Any, scale: Any, a: Any, b: Any) -> Any:
    """Return ``scale * a + b`` for a number ``scale``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        factor = splatted(builder, args[0])
        vectors = [
            _fma(builder, factor, builder.extract_value(args[1], v), builder.extract_value(args[2], v))
            for v in range(len(a))
        ]
        return context.make_tuple(builder, a, vectors)

    return a(types.float32, a, a), codegen


@intrinsic  # type: ignore[untyped-decorator]
def row_dot(typingctx: Any, a: Any, b: Any) -> Any:
    """Return a vector of 16 values whose sum is the dot product of two rows."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        total = builder.fmul(builder.extract_value(args[0], 0), builder.extract_value(args[1], 0))
        for v in range(1, len(a)):
            total = _fma(builder, builder.extract_value(args[0], v), builder.extract_value(args[1], v), total)
        return total

    return VECTOR(a, a), codegen

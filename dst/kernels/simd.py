"""A vector of 16 float32 for Numba kernels, and a word's lowest bit.

LLVM's vectoriser does not keep a row of accumulators in registers across an inner loop over connections; a vector
value does. The type is LLVM's ``<16 x float>``, which LLVM lowers to what the machine has: one AVX-512 register, two
of AVX2, four of NEON, without other source. All loads and stores are unaligned.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import cgutils, types
from numba.extending import intrinsic, models, register_model

WIDTH = 16
"""float32 values in a vector."""


class _Float32x16(types.Type):
    def __init__(self) -> None:
        super().__init__(name="float32x16")


VECTOR = _Float32x16()
VECTOR_IR = ir.VectorType(ir.FloatType(), WIDTH)


@register_model(_Float32x16)
class _Float32x16Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, VECTOR_IR)


_LANES = ir.VectorType(ir.IntType(32), WIDTH)


def _shuffled(builder: Any, a: Any, b: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))


def _first(builder: Any, count: Any) -> Any:
    """Return the mask of the first ``count`` lanes."""
    limit = builder.insert_element(
        ir.Constant(_LANES, ir.Undefined), builder.trunc(count, ir.IntType(32)), ir.Constant(ir.IntType(32), 0)
    )
    limits = _shuffled(builder, limit, ir.Constant(_LANES, ir.Undefined), [0] * WIDTH)
    return builder.icmp_signed("<", ir.Constant(_LANES, list(range(WIDTH))), limits)


def splatted(builder: Any, value: Any) -> Any:
    """Emit a vector whose values all equal ``value``."""
    first = builder.insert_element(ir.Constant(VECTOR_IR, ir.Undefined), value, ir.Constant(ir.IntType(32), 0))
    return _shuffled(builder, first, ir.Constant(VECTOR_IR, ir.Undefined), [0] * WIDTH)


def called(builder: Any, name: str, result: Any, arguments: list[Any]) -> Any:
    """Emit a call of an LLVM intrinsic."""
    function = ir.FunctionType(result, [argument.type for argument in arguments])
    return builder.call(cgutils.get_or_insert_function(builder.module, function, name), arguments)


def pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    """Emit the address of the vector ``array.ravel()[offset : offset + 16]``."""
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), VECTOR_IR.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def vload(typingctx: Any, array: Any, offset: Any) -> Any:
    """Load ``array.ravel()[offset : offset + 16]`` of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        load = builder.load(pointer(context, builder, signature.args[0], args[0], args[1]))
        load.align = 4
        return load

    return VECTOR(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vstore(typingctx: Any, array: Any, offset: Any, vector: Any) -> Any:
    """Store a vector to ``array.ravel()[offset : offset + 16]`` of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        store = builder.store(args[2], pointer(context, builder, signature.args[0], args[0], args[1]))
        store.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vsplat(typingctx: Any, value: Any) -> Any:
    """Return a vector whose 16 values all equal ``value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splatted(builder, args[0])

    return VECTOR(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vfma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c`` with one rounding."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return called(builder, "llvm.fma.v16f32", VECTOR_IR, list(args))

    return VECTOR(VECTOR, VECTOR, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vload_first(typingctx: Any, array: Any, offset: Any, count: Any) -> Any:
    """Load the first ``count`` of 16 values, below 16; the other lanes are zero and their memory is not touched."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = pointer(context, builder, signature.args[0], args[0], args[1])
        align, zero = ir.Constant(ir.IntType(32), 4), ir.Constant(VECTOR_IR, [0.0] * WIDTH)
        mask = _first(builder, args[2])
        return called(builder, "llvm.masked.load.v16f32.p0", VECTOR_IR, [source, align, mask, zero])

    return VECTOR(array, types.intp, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vstore_first(typingctx: Any, array: Any, offset: Any, count: Any, vector: Any) -> Any:
    """Store the first ``count`` lanes, below 16; other memory is not touched."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        source = pointer(context, builder, signature.args[0], args[0], args[1])
        arguments = [args[3], source, ir.Constant(ir.IntType(32), 4), _first(builder, args[2])]
        called(builder, "llvm.masked.store.v16f32.p0", ir.VoidType(), arguments)
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vadd(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``a + b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fadd(args[0], args[1])

    return VECTOR(VECTOR, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vmul(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``a * b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fmul(args[0], args[1])

    return VECTOR(VECTOR, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vdiv(typingctx: Any, a: Any, b: Any) -> Any:
    """Return ``a / b``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.fdiv(args[0], args[1])

    return VECTOR(VECTOR, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vsqrt(typingctx: Any, a: Any) -> Any:
    """Return the square root of each value."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return called(builder, "llvm.sqrt.v16f32", VECTOR_IR, [args[0]])

    return VECTOR(VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vsum(typingctx: Any, a: Any) -> Any:
    """Return the sum of the 16 values, added pairwise (halves onto halves)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value, width = args[0], WIDTH
        while width > 1:
            width //= 2
            low, high = list(range(width)), list(range(width, 2 * width))
            value = builder.fadd(_shuffled(builder, value, value, low), _shuffled(builder, value, value, high))
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vstore_sums(typingctx: Any, array: Any, offset: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Store the sums of four vectors to ``array.ravel()[offset : offset + 4]``.

    Each step folds halves of two vectors into one, so four sums take 13 operations where four :func:`vsum` take 32.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        def folded(first: Any, second: Any, low: list[int], high: list[int]) -> Any:
            both = [[*lanes, *(WIDTH + lane for lane in lanes)] for lanes in (low, high)]
            return builder.fadd(_shuffled(builder, first, second, both[0]), _shuffled(builder, first, second, both[1]))

        low, high = list(range(8)), list(range(8, 16))
        ab, cd = folded(args[2], args[3], low, high), folded(args[4], args[5], low, high)
        abcd = folded(ab, cd, [0, 1, 2, 3, 8, 9, 10, 11], [4, 5, 6, 7, 12, 13, 14, 15])
        pairs = builder.fadd(
            _shuffled(builder, abcd, abcd, [0, 1, 4, 5, 8, 9, 12, 13]),
            _shuffled(builder, abcd, abcd, [2, 3, 6, 7, 10, 11, 14, 15]),
        )
        sums = builder.fadd(
            _shuffled(builder, pairs, pairs, [0, 2, 4, 6]), _shuffled(builder, pairs, pairs, [1, 3, 5, 7])
        )
        data = context.make_array(signature.args[0])(context, builder, args[0]).data
        four = ir.VectorType(ir.FloatType(), 4).as_pointer()
        store = builder.store(sums, builder.bitcast(builder.gep(data, [args[1]]), four))
        store.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, VECTOR, VECTOR, VECTOR, VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vany_above(typingctx: Any, array: Any, offset: Any, limit: Any) -> Any:
    """Say whether any of ``array.ravel()[offset : offset + 16]`` has a magnitude above ``limit``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        load = builder.load(pointer(context, builder, signature.args[0], args[0], args[1]))
        load.align = 4
        limits = splatted(builder, args[2])
        above = builder.fcmp_ordered(">", called(builder, "llvm.fabs.v16f32", VECTOR_IR, [load]), limits)
        bits = builder.bitcast(above, ir.IntType(WIDTH))
        return builder.icmp_unsigned("!=", bits, ir.Constant(ir.IntType(WIDTH), 0))

    return types.boolean(array, types.intp, types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def trailing_zeros(typingctx: Any, word: Any) -> Any:
    """Return the number of the lowest set bit of a word that is not zero."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        defined = ir.Constant(ir.IntType(1), 1)
        return called(builder, "llvm.cttz.i64", ir.IntType(64), [args[0], defined])

    return types.int64(types.uint64), codegen

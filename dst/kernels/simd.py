"""A vector of 16 float32 for Numba kernels.

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


_VECTOR = _Float32x16()
_IR = ir.VectorType(ir.FloatType(), WIDTH)


@register_model(_Float32x16)
class _Float32x16Model(models.PrimitiveModel):  # type: ignore[misc]
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _IR)


def _pointer(context: Any, builder: Any, array_type: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(array_type)(context, builder, array).data
    return builder.bitcast(builder.gep(data, [offset]), _IR.as_pointer())


@intrinsic  # type: ignore[untyped-decorator]
def vload(typingctx: Any, array: Any, offset: Any) -> Any:
    """Load ``array.ravel()[offset : offset + 16]`` of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        load = builder.load(_pointer(context, builder, signature.args[0], args[0], args[1]))
        load.align = 4
        return load

    return _VECTOR(array, types.intp), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vstore(typingctx: Any, array: Any, offset: Any, vector: Any) -> Any:
    """Store a vector to ``array.ravel()[offset : offset + 16]`` of a C-contiguous float32 array."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        store = builder.store(args[2], _pointer(context, builder, signature.args[0], args[0], args[1]))
        store.align = 4
        return context.get_dummy_value()

    return types.void(array, types.intp, _VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vsplat(typingctx: Any, value: Any) -> Any:
    """Return a vector whose 16 values all equal ``value``."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        one = builder.insert_element(ir.Constant(_IR, ir.Undefined), args[0], ir.Constant(ir.IntType(32), 0))
        lanes = ir.Constant(ir.VectorType(ir.IntType(32), WIDTH), [0] * WIDTH)
        return builder.shuffle_vector(one, ir.Constant(_IR, ir.Undefined), lanes)

    return _VECTOR(types.float32), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vfma(typingctx: Any, a: Any, b: Any, c: Any) -> Any:
    """Return ``a * b + c`` with one rounding."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        function = ir.FunctionType(_IR, [_IR, _IR, _IR])
        return builder.call(cgutils.get_or_insert_function(builder.module, function, "llvm.fma.v16f32"), args)

    return _VECTOR(_VECTOR, _VECTOR, _VECTOR), codegen


@intrinsic  # type: ignore[untyped-decorator]
def vsum(typingctx: Any, a: Any) -> Any:
    """Return the sum of the 16 values, added pairwise (halves onto halves)."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        value = args[0]
        width = WIDTH
        while width > 1:
            width //= 2
            lanes = ir.VectorType(ir.IntType(32), width)
            low = ir.Constant(lanes, list(range(width)))
            high = ir.Constant(lanes, list(range(width, 2 * width)))
            undefined = ir.Constant(value.type, ir.Undefined)
            value = builder.fadd(
                builder.shuffle_vector(value, undefined, low), builder.shuffle_vector(value, undefined, high)
            )
        return builder.extract_element(value, ir.Constant(ir.IntType(32), 0))

    return types.float32(_VECTOR), codegen

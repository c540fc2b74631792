"""SIMD vector instructions for functions that Numba compiles.

Compiled code calls a function decorated with `instruction` without its first parameter,
``builder``. At compile time, the Python function emits LLVM instructions with this builder
(`llvmlite.ir.IRBuilder`). Vectors are ordinary local variables of compiled code, and LLVM keeps
them in registers, also when they are in a tuple.

A memory location is given by an address, which is an integer (see `address`), and an offset ``k``
in units of 4 bytes, the size of a float32 or int32. The location need not be aligned to the size of
a vector.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, cast

import numba
import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.extending import intrinsic, models, register_model
from numpy.typing import NDArray

from w2v.engines.compiled.functions import UNCOUNTED


def count_lanes(features: str) -> int:
    """Return the number of float32 values in a SIMD vector: 16 with AVX-512, 8 with AVX2, else 4.

    `features` is LLVM's comma-separated list of the features of a CPU.
    """
    names = features.split(",")
    return 16 if "+avx512f" in names else 8 if "+avx2" in names else 4


def host_features() -> str:
    """Return LLVM's comma-separated list of the features of this CPU."""
    return str(binding.get_host_cpu_features().flatten())


LANES = count_lanes(getattr(numba.config, "CPU_FEATURES", None) or host_features())
"""The number of float32 values in a SIMD vector on the target CPU (`count_lanes`)."""


class Vector(types.Type):
    """The Numba type of a SIMD vector, which has `lanes` numbers of type `element`."""

    def __init__(self, element: Any, lanes: int = LANES) -> None:
        self.element, self.lanes = element, lanes
        super().__init__(f"Vector({element}, {lanes})")


ZERO = cast(int, np.int64(0))
"""The number 0 as an int64. It is used for variables and arguments that can also have other values:
Numba would compile a function once more for the literal ``0``."""

unsigned: Any = np.uint64
"""Converts an index that is never negative, in loops that run for each word. With a signed index,
Numba would first check whether it is negative and so counts from the end. This takes time, and
LLVM does not vectorize such loops."""

FLOATS, INTS, MASK = Vector(types.float32), Vector(types.int32), Vector(types.boolean)
"""The types of vectors with `LANES` elements. A mask is the result of a comparison."""

FOUR = Vector(types.float32, 4)
"""The type of a vector of four float32 numbers, on all CPUs."""

LLVM_ELEMENTS = {
    types.float32: ir.FloatType(),
    types.int32: ir.IntType(32),
    types.boolean: ir.IntType(1),
}


def llvm_type(vector: Vector) -> Any:
    """Return the LLVM type of a SIMD vector, given its Numba type."""
    return ir.VectorType(LLVM_ELEMENTS[vector.element], vector.lanes)


@register_model(Vector)
class VectorModel(models.PrimitiveModel):
    """The data model by which Numba represents a `Vector` as an LLVM vector."""

    def __init__(self, manager: Any, vector: Vector) -> None:
        super().__init__(manager, vector, llvm_type(vector))  # type: ignore[no-untyped-call]


def instruction(
    signature: Callable[..., Any],
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Return a decorator by which compiled code can call a function that emits LLVM instructions.

    Numba calls the function when it compiles a caller, and the emitted instructions become part of
    the caller.

    Parameters
    ----------
    signature
        A function that takes the Numba types of the arguments and returns the Numba signature.

    Returns
    -------
    The decorator. A decorated function takes an `llvmlite.ir.IRBuilder` and the LLVM values of the
    arguments; it returns the LLVM value of the result, or None if the instruction has no result.
    Compiled code calls it without the builder.
    """

    def decorate(write: Callable[..., Any]) -> Callable[..., Any]:
        def define(_: Any, *arguments: Any) -> Any:
            def generate(context: Any, builder: Any, _: Any, values: Any) -> Any:
                result = write(builder, *values)
                return context.get_dummy_value() if result is None else result

            return signature(*arguments), generate

        # Numba binds the arguments of a call by this signature.
        define.__name__, define.__doc__ = write.__name__, write.__doc__
        define.__signature__ = inspect.signature(write)  # type: ignore[attr-defined]
        return cast(Callable[..., Any], intrinsic(define))

    return decorate


def pointer(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code for a pointer to the memory location ``address`` + 4 ``k``.

    This is element ``k`` of a float32 or int32 array at ``address``.
    """
    base = builder.inttoptr(address, ir.PointerType())
    return builder.gep(base, [k], source_etype=ir.FloatType())


def shuffle(builder: Any, x: Any, y: Any, lanes: Iterable[int]) -> Any:
    """Emit LLVM code for a vector made of selected lanes (elements) of the vectors ``x`` and ``y``.

    In ``lanes``, lane n of ``x`` has the number n, and lane n of ``y`` the number n plus the length
    of ``x``.
    """
    mask = list(lanes)
    kind = ir.VectorType(ir.IntType(32), len(mask))
    return builder.shuffle_vector(x, y, ir.Constant(kind, mask))


def binary(vector: Any, *_: Any) -> Any:
    """Return the Numba signature of an operation, such as `add`, from two vectors to a vector.

    All three have the type ``vector``, the Numba type of the first argument.
    """
    return vector(vector, vector)


# ---------------------------------------------------------------- memory


@numba.njit(**UNCOUNTED)  # type: ignore[untyped-decorator]
def address(array: NDArray[Any]) -> int:
    """Return the address of an array's first element."""
    return np.intp(array.ctypes.data)  # type: ignore[return-value]


def write_prefetch(builder: Any, place: Any, purpose: int, locality: int) -> None:
    """Emit LLVM code that prefetches a cache line, to read it or to write to it.

    Parameters
    ----------
    place
        A pointer to any place in the line.
    purpose
        0 to read, 1 to write.
    locality
        The cache: 3 for the nearest one, 2 for the next.
    """
    number = ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [ir.PointerType(), number, number, number])
    function = builder.module.declare_intrinsic("llvm.prefetch", [ir.PointerType()], kind)
    builder.call(function, [place, number(purpose), number(locality), number(1)])


@instruction(lambda *_: types.void(types.intp, types.intp))
def prefetch(builder: Any, address: Any, k: Any) -> None:
    """Emit LLVM code that prefetches the cache line of the location ``address`` + 4 ``k``.

    The line is prefetched to be read, into the second-nearest cache.
    """
    write_prefetch(builder, pointer(builder, address, k), 0, 2)


@instruction(lambda *_: types.void(types.intp, types.intp))
def prefetch_target(builder: Any, address: Any, k: Any) -> None:
    """Emit LLVM code that prefetches the cache line of ``address`` + 4 ``k``, to write to it.

    The line is prefetched into the nearest cache.
    """
    write_prefetch(builder, pointer(builder, address, k), 1, 3)


@instruction(lambda *_: types.float32(types.intp, types.intp))
def load_float(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads element ``k`` of a float32 array at ``address``."""
    return builder.load(pointer(builder, address, k), align=4, typ=ir.FloatType())


@instruction(lambda *_: types.int32(types.intp, types.intp))
def load_int(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads element ``k`` of an int32 array at ``address``."""
    return builder.load(pointer(builder, address, k), align=4, typ=ir.IntType(32))


@instruction(lambda *_: types.intp(types.intp, types.intp))
def load_address(builder: Any, address: Any, n: Any) -> Any:
    """Emit LLVM code that loads element ``n`` of the array of 64-bit addresses at ``address``."""
    base = builder.inttoptr(address, ir.PointerType())
    place = builder.gep(base, [n], source_etype=ir.IntType(64))
    return builder.load(place, align=8, typ=ir.IntType(64))


@instruction(lambda *_: FLOATS(types.intp, types.intp))
def load(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads `LANES` values of a float32 array into a SIMD vector.

    ``address`` is the address of the array. Its elements ``k`` to ``k + LANES - 1`` are loaded.
    In compiled code, ``load(address, k)`` returns the vector.
    """
    return builder.load(pointer(builder, address, k), align=4, typ=llvm_type(FLOATS))


@instruction(lambda *_: INTS(types.intp, types.intp))
def load_ints(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads `LANES` values of an int32 array into a SIMD vector.

    ``address`` is the address of the array. Its elements ``k`` to ``k + LANES - 1`` are loaded.
    In compiled code, ``load_ints(address, k)`` returns the vector.
    """
    return builder.load(pointer(builder, address, k), align=4, typ=llvm_type(INTS))


@instruction(lambda *_: FOUR(types.intp, types.intp))
def load_four(builder: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads four numbers from a float32 array, from element ``k`` on.

    ``address`` is the address of the array.
    """
    return builder.load(pointer(builder, address, k), align=4, typ=llvm_type(FOUR))


@instruction(lambda value, *_: types.void(value, types.intp, types.intp))
def store(builder: Any, value: Any, address: Any, k: Any) -> None:
    """Emit LLVM code that stores a SIMD vector in an array, from element ``k`` on.

    ``address`` is the address of the array, whose elements have 4 bytes.
    """
    builder.store(value, pointer(builder, address, k), align=4)


@instruction(lambda value, *_: types.void(value, types.intp, types.intp))
def store_apart(builder: Any, value: Any, address: Any, stride: Any) -> None:
    """Emit LLVM code that stores the lanes of a vector at equal distances, such as down a column.

    Lane n is stored at ``address`` + 4 n ``stride``.
    """
    for n in range(value.type.count):
        lane = builder.extract_element(value, ir.IntType(32)(n))
        builder.store(lane, pointer(builder, address, builder.mul(stride, stride.type(n))), align=4)


@instruction(lambda like, *_: like(like, types.intp, types.intp))
def load_each(builder: Any, like: Any, address: Any, k: Any) -> Any:
    """Emit LLVM code that loads adjacent vectors of a float32 array at ``address`` into a tuple.

    The first vector begins at index ``k``. The tuple has as many vectors as the tuple ``like``,
    whose contents are not used.
    """
    result = ir.Constant(like.type, ir.Undefined)
    for n in range(like.type.count):
        start = builder.add(k, k.type(n * LANES))
        value = builder.load(pointer(builder, address, start), align=4, typ=llvm_type(FLOATS))
        result = builder.insert_value(result, value, n)
    return result


@instruction(lambda values, *_: types.void(values, types.intp, types.intp))
def store_each(builder: Any, values: Any, address: Any, k: Any) -> None:
    """Emit LLVM code that stores a tuple of vectors contiguously in a float32 array at ``address``.

    The first vector is stored from index ``k`` on.
    """
    for n in range(values.type.count):
        start = builder.add(k, k.type(n * LANES))
        value = builder.extract_value(values, n)
        builder.store(value, pointer(builder, address, start), align=4)


# ---------------------------------------------------------------- arithmetic


def write_splat(builder: Any, number: Any, vector: Vector = FLOATS) -> Any:
    """Emit LLVM code that copies a number into every lane (element) of a new SIMD vector.

    ``vector`` is the Numba type of the vector.
    """
    undefined = ir.Constant(llvm_type(vector), ir.Undefined)
    one = builder.insert_element(undefined, number, ir.IntType(32)(0))
    return shuffle(builder, one, undefined, [0] * vector.lanes)


def write_multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Emit LLVM code for ``x * y + z``, elementwise; one instruction on CPUs that have it."""
    kind, name = z.type, f"llvm.fmuladd.v{z.type.count}f32"
    function = builder.module.declare_intrinsic(name, fnty=ir.FunctionType(kind, [kind] * 3))
    return builder.call(function, [x, y, z])


@instruction(lambda _: FLOATS(types.float32))
def splat(builder: Any, x: Any) -> Any:
    """Emit LLVM code for a vector that has the number ``x`` in every lane."""
    return write_splat(builder, x)


@instruction(lambda _: FOUR(types.float32))
def splat_four(builder: Any, x: Any) -> Any:
    """Emit LLVM code for a vector of four lanes that all have the number ``x``."""
    return write_splat(builder, x, FOUR)


@instruction(lambda vector, *_: vector(vector, vector, vector))
def multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """Emit LLVM code for ``x * y + z``, elementwise; one instruction on CPUs that have it."""
    return write_multiply_add(builder, x, y, z)


@instruction(lambda _x, _ys, zs: zs(FLOATS, zs, zs))
def multiply_add_each(builder: Any, x: Any, ys: Any, zs: Any) -> Any:
    """Emit LLVM code for a tuple of vectors: ``x * y + z`` for each y of ``ys`` and z of ``zs``.

    ``x`` is a vector. ``ys`` and ``zs`` are tuples of equally many vectors, which are paired.
    """
    for n in range(zs.type.count):
        y, z = builder.extract_value(ys, n), builder.extract_value(zs, n)
        zs = builder.insert_value(zs, write_multiply_add(builder, x, y, z), n)
    return zs


@instruction(binary)
def add(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x + y``, elementwise."""
    return builder.fadd(x, y)


@instruction(binary)
def subtract(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x - y``, elementwise."""
    return builder.fsub(x, y)


@instruction(binary)
def multiply(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x * y``, elementwise."""
    return builder.fmul(x, y)


@instruction(binary)
def divide(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x / y``, elementwise."""
    return builder.fdiv(x, y)


def polynomial_signature(_: Any, coefficients: Any) -> Any:
    """Return the Numba signature of `polynomial`, given the Numba types of its arguments.

    It depends on the number of coefficients.
    """
    floats = types.UniTuple(types.float32, len(coefficients))  # type: ignore[no-untyped-call]
    return FLOATS(FLOATS, floats)


@instruction(polynomial_signature)
def polynomial(builder: Any, x: Any, coefficients: Any) -> Any:
    """Emit LLVM code for a polynomial, evaluated at each lane of ``x``.

    Parameters
    ----------
    coefficients
        A tuple of float32 numbers, from the constant term up to the highest power.
    """
    count = coefficients.type.count
    *lower, y = (write_splat(builder, builder.extract_value(coefficients, n)) for n in range(count))
    for coefficient in reversed(lower):
        y = write_multiply_add(builder, y, x, coefficient)
    return y


@instruction(lambda *_: MASK(FLOATS, FLOATS))
def greater(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for a mask that is true in the lanes where ``x > y``, and false with NaN."""
    return builder.fcmp_ordered(">", x, y)


@instruction(lambda mask, x, _: x(mask, x, x))
def select(builder: Any, mask: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for a vector with the lanes of ``x`` where ``mask`` is true, else of ``y``.

    With a truth value instead of a mask, ``x`` and ``y`` are numbers, and the result is one of
    them, with the type of ``x``. LLVM is told not to use a branch, which the CPU might often
    predict wrongly.
    """
    result = builder.select(mask, x, y)
    result.set_metadata("unpredictable", builder.module.add_metadata([]))
    return result


@instruction(lambda _: INTS(types.int32))
def splat_int(builder: Any, x: Any) -> Any:
    """Emit LLVM code for a vector that has the integer ``x`` in every lane."""
    return write_splat(builder, x, INTS)


@instruction(binary)
def add_ints(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x + y``, elementwise."""
    return builder.add(x, y)


@instruction(binary)
def multiply_ints(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x * y``, elementwise."""
    return builder.mul(x, y)


@instruction(binary)
def common_bits(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x & y``, elementwise."""
    return builder.and_(x, y)


@instruction(binary)
def shift_right(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for ``x >> y``, elementwise; the sign is kept."""
    return builder.ashr(x, y)


@instruction(lambda *_: MASK(INTS, INTS))
def less_ints(builder: Any, x: Any, y: Any) -> Any:
    """Emit LLVM code for a mask that is true in the lanes where ``x < y``."""
    return builder.icmp_signed("<", x, y)


@instruction(lambda _: INTS(FLOATS))
def to_ints(builder: Any, x: Any) -> Any:
    """Emit LLVM code that converts a float32 vector to int32, rounding toward zero."""
    return builder.fptosi(x, llvm_type(INTS))


@instruction(lambda _: FLOATS(INTS))
def to_floats(builder: Any, x: Any) -> Any:
    """Emit LLVM code that converts an int32 vector to float32."""
    return builder.sitofp(x, llvm_type(FLOATS))


@instruction(lambda _: FLOATS(INTS))
def power_of_two(builder: Any, exponent: Any) -> Any:
    """Emit LLVM code for ``2 ** exponent`` as float32, elementwise.

    ``exponent`` is an int32 vector with elements from -126 to 127.
    """
    kind = llvm_type(INTS)
    biased = builder.add(exponent, ir.Constant(kind, [127] * LANES))
    return builder.bitcast(builder.shl(biased, ir.Constant(kind, [23] * LANES)), llvm_type(FLOATS))


# ---------------------------------------------------------------- across lanes


@instruction(lambda _: types.float32(FLOATS))
def sum_lanes(builder: Any, x: Any) -> Any:
    """Emit LLVM code for the sum of the lanes (elements) of a vector."""
    total = ir.Constant(ir.FloatType(), 0)
    for lane in range(LANES):
        total = builder.fadd(total, builder.extract_element(x, ir.IntType(32)(lane)))
    return total


@instruction(lambda *_: Vector(types.float32, 4)(FLOATS, FLOATS, FLOATS, FLOATS))
def sum_lanes_of_four(builder: Any, a: Any, b: Any, c: Any, d: Any) -> Any:
    """Emit LLVM code for a vector of four numbers: the sums of the elements of four vectors.

    The sum for ``a`` comes first, then those for ``b``, ``c`` and ``d``.
    """

    def add_pairs(x: Any, y: Any, pairs: tuple[tuple[int, int], tuple[int, int]]) -> Any:
        low, high = (
            [group + side + k for group in groups for side in (0, LANES) for k in pair]
            for pair in pairs
        )
        sides = shuffle(builder, x, y, low), shuffle(builder, x, y, high)
        return builder.fadd(*sides)

    # First add within each group of four lanes, so that every group has four sums, one of each
    # vector. Then add the groups.
    groups = range(0, LANES, 4)
    adjacent, alternate = ((0, 1), (2, 3)), ((0, 2), (1, 3))
    total = add_pairs(add_pairs(a, b, adjacent), add_pairs(c, d, adjacent), alternate)
    size = LANES
    while size > 4:
        size //= 2
        low = shuffle(builder, total, total, range(size))
        high = shuffle(builder, total, total, range(size, 2 * size))
        total = builder.fadd(low, high)
    return total


def half_of(x: Vector) -> Any:
    """Return the Numba signature of an operation that returns half of the lanes of a vector."""
    return Vector(x.element, x.lanes // 2)(x)


@instruction(half_of)
def low_half(builder: Any, x: Any) -> Any:
    """Emit LLVM code for the first half of the lanes of a vector."""
    return shuffle(builder, x, x, range(x.type.count // 2))


@instruction(half_of)
def high_half(builder: Any, x: Any) -> Any:
    """Emit LLVM code for the second half of the lanes of a vector."""
    return shuffle(builder, x, x, range(x.type.count // 2, x.type.count))

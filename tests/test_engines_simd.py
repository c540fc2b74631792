"""Test `w2v.engines.compiled.simd`: its vector instructions give the same results as NumPy."""

from collections.abc import Callable, Sequence
from typing import Any
from unittest.mock import Mock

import numba
import numpy as np
import pytest
from llvmlite import ir
from numba import types
from numba.core.registry import cpu_target
from numpy.typing import NDArray

from w2v.engines.compiled import simd
from w2v.engines.compiled.simd import FLOATS, INTS, LANES, MASK, Vector

F32 = NDArray[np.float32]

compiled = numba.njit(error_model="numpy")
OFFSETS = [0, 1, 3, LANES - 1, LANES, 2 * LANES + 1]


def numbers(count: int, seed: int = 0) -> F32:
    return np.random.default_rng(seed).normal(0, 3, count).astype(np.float32)


def lanes(operation: Callable[..., Any], *inputs: F32) -> F32:
    """Apply an operation on SIMD vectors to one, two or three arrays; return the resulting array.

    All arrays have the shape (LANES,), where LANES is the number of floats in a SIMD vector.
    """
    load, store, address = simd.load, simd.store, simd.address

    @compiled
    def one(out: F32, a: F32) -> None:
        store(operation(load(address(a), 0)), address(out), 0)

    @compiled
    def two(out: F32, a: F32, b: F32) -> None:
        store(operation(load(address(a), 0), load(address(b), 0)), address(out), 0)

    @compiled
    def three(out: F32, a: F32, b: F32, c: F32) -> None:
        x, y, z = load(address(a), 0), load(address(b), 0), load(address(c), 0)
        store(operation(x, y, z), address(out), 0)

    out = np.full(LANES, np.nan, np.float32)
    (one, two, three)[len(inputs) - 1](out, *inputs)
    return out


def test_lanes_of_processors() -> None:
    assert simd.count_lanes("+sse2,+avx2,+fma,+avx512f") == 16
    assert simd.count_lanes("+sse2,+avx2,-avx512f") == 8
    assert simd.count_lanes("+neon,-avx2") == 4
    assert simd.count_lanes(simd.host_features()) in (4, 8, 16)


# Memory


@compiled
def copy_vector(source: F32, k: int, target: F32, j: int) -> None:
    simd.store(simd.load(simd.address(source), k), simd.address(target), j)


@pytest.mark.parametrize("k", OFFSETS)
@pytest.mark.parametrize("j", OFFSETS)
def test_load_and_store_at_any_alignment(k: int, j: int) -> None:
    source, target = numbers(4 * LANES), np.zeros(4 * LANES, np.float32)
    copy_vector(source, k, target, j)
    wanted = np.zeros(4 * LANES, np.float32)
    wanted[j : j + LANES] = source[k : k + LANES]
    np.testing.assert_array_equal(target, wanted)


@compiled
def copy_two(source: F32, k: int, target: F32) -> None:
    zero = simd.splat(0)
    vectors = simd.load_each((zero, zero), simd.address(source), k)
    simd.store_each(vectors, simd.address(target), 5)


@compiled
def copy_three(source: F32, k: int, target: F32) -> None:
    zero = simd.splat(0)
    vectors = simd.load_each((zero, zero, zero), simd.address(source), k)
    simd.store_each(vectors, simd.address(target), 5)


@pytest.mark.parametrize(("count", "copy"), [(2, copy_two), (3, copy_three)])
@pytest.mark.parametrize("k", OFFSETS)
def test_load_and_store_several(count: int, copy: Callable[..., None], k: int) -> None:
    source, target = numbers(6 * LANES), np.zeros(6 * LANES, np.float32)
    copy(source, k, target)
    wanted = np.zeros(6 * LANES, np.float32)
    wanted[5 : 5 + count * LANES] = source[k : k + count * LANES]
    np.testing.assert_array_equal(target, wanted)


def test_store_apart() -> None:
    @compiled
    def spread(x: F32, target: F32, stride: int) -> None:
        simd.store_apart(simd.load_four(simd.address(x), 1), simd.address(target), stride)

    source, target = numbers(5), np.zeros(16, np.float32)
    spread(source, target, 5)
    wanted = np.zeros(16, np.float32)
    wanted[::5] = source[1:]
    np.testing.assert_array_equal(target, wanted)


@compiled
def read_one(floats: F32, ints: NDArray[np.int32], k: int) -> tuple[Any, Any]:
    x, n = simd.address(floats), simd.address(ints)
    simd.prefetch(x, k)
    return simd.load_float(x, k), simd.load_int(n, k)


@compiled
def read_address(addresses: NDArray[np.int64], n: int) -> int:
    address: int = simd.load_address(simd.address(addresses), n)
    return address


def test_load_address() -> None:
    addresses = np.array([2**62, -1, 5])
    assert [read_address(addresses, n) for n in range(3)] == addresses.tolist()


@pytest.mark.parametrize("k", [0, 1, 5, 6])
def test_load_one_number(k: int) -> None:
    floats, ints = numbers(7), np.array([0, -1, 2**31 - 1, -(2**31), 5, 6, -7], np.int32)
    assert read_one(floats, ints, k) == (floats[k], ints[k])


def test_prefetch_of_an_address_that_is_not_mapped_does_nothing() -> None:
    @compiled
    def ask() -> None:
        simd.prefetch(1 << 40, 3)
        simd.prefetch_target(1 << 40, 3)

    ask()


def test_address_is_that_of_the_first_element() -> None:
    array = numbers(10)
    find = compiled(lambda x: simd.address(x))
    assert find(array) == array.ctypes.data
    assert find(array[3:]) == array.ctypes.data + 12


def test_splat() -> None:
    @compiled
    def fill(x: float, out: F32) -> None:
        simd.store(simd.splat(x), simd.address(out), 0)

    out = np.zeros(LANES + 1, np.float32)
    fill(0.1, out)
    assert out.tolist() == [np.float32(0.1)] * LANES + [0.0]


# Arithmetic


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (simd.add, np.add),
        (simd.subtract, np.subtract),
        (simd.multiply, np.multiply),
        (simd.divide, np.divide),
    ],
)
def test_arithmetic(operation: Any, wanted: Any) -> None:
    a, b = numbers(LANES), numbers(LANES, 1)
    got = lanes(compiled(lambda x, y: operation(x, y)), a, b)
    np.testing.assert_allclose(got, wanted(a, b), rtol=3e-7)
    assert np.isnan(lanes(compiled(lambda x, y: operation(x, y)), a * np.float32("nan"), b)).all()


def test_multiply_add() -> None:
    a, b, c = (numbers(LANES, seed) for seed in range(3))
    got = lanes(compiled(lambda x, y, z: simd.multiply_add(x, y, z)), a, b, c)
    np.testing.assert_allclose(got, a.astype(float) * b + c, rtol=1e-5)


def test_multiply_add_of_several() -> None:
    @compiled
    def second(x: Any, y: Any, z: Any) -> Any:
        return simd.multiply_add_each(x, (z, y), (z, z))[1]

    @compiled
    def first(x: Any, y: Any, z: Any) -> Any:
        return simd.multiply_add_each(x, (y, z), (z, x))[0]

    a, b, c = (numbers(LANES, seed) for seed in range(3))
    for function in (first, second):
        np.testing.assert_allclose(lanes(function, a, b, c), a.astype(float) * b + c, rtol=1e-5)


@pytest.mark.parametrize("coefficients", [(2.0,), (1.0, -0.5), (0.5, 0.0, -1.0, 0.25)])
def test_polynomial(coefficients: tuple[float, ...]) -> None:
    x = numbers(LANES)
    got = lanes(compiled(lambda x: simd.polynomial(x, coefficients)), x)
    wanted = sum(c * x.astype(float) ** n for n, c in enumerate(coefficients))
    np.testing.assert_allclose(got, wanted, rtol=1e-5, atol=1e-5)


def test_greater_and_select() -> None:
    a, b = numbers(LANES), numbers(LANES, 1)
    a[0], b[1], b[2] = np.nan, np.nan, a[2]
    got = lanes(compiled(lambda x, y: simd.select(simd.greater(x, y), x, y)), a, b)
    np.testing.assert_array_equal(got, np.where(a > b, a, b))


@pytest.mark.parametrize("truth", [True, False])
@pytest.mark.parametrize(
    ("x", "y"), [(np.int64(2), np.int64(-3)), (np.float32(0.5), np.float32(-np.inf))]
)
def test_select_one_of_two_numbers(truth: bool, x: Any, y: Any) -> None:
    assert compiled(simd_select)(truth, x, y) == (x if truth else y)
    assert "!unpredictable" in written_code("select")  # LLVM is told not to use a branch


def simd_select(truth: bool, x: Any, y: Any) -> Any:
    return simd.select(truth, x, y)


@compiled
def combine_ints(operation: int, a: NDArray[np.int32], b: NDArray[np.int32], out: F32) -> None:
    x, y = simd.load_ints(simd.address(a), 1), simd.load_ints(simd.address(b), 2)
    if operation == 0:
        x = simd.add_ints(x, y)
    elif operation == 1:
        x = simd.multiply_ints(x, y)
    elif operation == 2:
        x = simd.common_bits(x, y)
    elif operation == 3:
        x = simd.shift_right(x, simd.common_bits(y, simd.splat_int(np.int32(7))))
    else:
        x = simd.select(simd.less_ints(x, y), x, y)
    simd.store(simd.to_floats(x), simd.address(out), 0)


@pytest.mark.parametrize(
    ("operation", "wanted"),
    [
        (0, np.add),
        (1, np.multiply),
        (2, np.bitwise_and),
        (3, lambda x, y: x >> (y & 7)),
        (4, np.minimum),
    ],
)
def test_arithmetic_of_integers(operation: int, wanted: Any) -> None:
    random = np.random.default_rng(0)
    a, b = random.integers(-2000, 2000, (2, LANES + 2), dtype=np.int32)
    b[2:4] = a[1], a[2] + 1  # equal numbers, and neighbors
    out = np.zeros(LANES, np.float32)
    combine_ints(operation, a, b, out)
    np.testing.assert_array_equal(out, wanted(a[1 : LANES + 1], b[2:]))


def test_conversion_rounds_towards_zero() -> None:
    x = np.resize(np.array([0.0, 0.9, -0.9, 1.5, -2.5, 1e6], np.float32), LANES)
    got = lanes(compiled(lambda x: simd.to_floats(simd.to_ints(x))), x)
    np.testing.assert_array_equal(got, np.trunc(x))


def test_powers_of_two() -> None:
    @compiled
    def fill(x: F32, out: F32) -> None:
        for k in range(0, len(x), LANES):
            power = simd.power_of_two(simd.to_ints(simd.load(simd.address(x), k)))
            simd.store(power, simd.address(out), k)

    x = np.arange(-128, 128).clip(-126, 127).astype(np.float32)
    out = np.zeros(256, np.float32)
    fill(x, out)
    assert out.tolist() == [2.0**n for n in x.tolist()]


# Across lanes


def test_sum_of_lanes_is_in_their_order() -> None:
    x = numbers(LANES)
    total = np.float32(0)
    for number in x:
        total += number
    assert compiled(lambda x: simd.sum_lanes(simd.load(simd.address(x), 0)))(x) == total


def test_sums_of_four_vectors() -> None:
    @compiled
    def sums(x: F32, out: F32) -> None:
        a = simd.address(x)
        rows = (
            simd.load(a, 0),
            simd.load(a, LANES),
            simd.load(a, 2 * LANES),
            simd.load(a, 3 * LANES),
        )
        simd.store(simd.sum_lanes_of_four(*rows), simd.address(out), 0)

    x, out = numbers(4 * LANES).reshape(4, LANES), np.zeros(5, np.float32)
    sums(x, out)
    np.testing.assert_allclose(out, [*x.sum(axis=1), 0], rtol=1e-5, atol=1e-6)


def test_vectors_of_four_numbers() -> None:
    @compiled
    def combine(x: F32, factor: np.float32, out: F32) -> None:
        a = simd.address(x)
        product = simd.multiply_add(
            simd.load_four(a, 1), simd.splat_four(factor), simd.load_four(a, 6)
        )
        simd.store(simd.add(product, simd.load_four(a, 2)), simd.address(out), 3)

    x, out = numbers(10), np.zeros(9, np.float32)
    combine(x, np.float32(0.3), out)
    wanted = np.float32(0.3) * x[1:5] + x[6:10] + x[2:6]
    np.testing.assert_allclose(out, [0, 0, 0, *wanted, 0, 0], rtol=1e-5, atol=1e-6)


def test_halves() -> None:
    @compiled
    def swap(x: F32, out: F32) -> None:
        vector = simd.load(simd.address(x), 0)
        simd.store(simd.high_half(vector), simd.address(out), 0)
        simd.store(simd.low_half(vector), simd.address(out), LANES // 2)

    x, out = numbers(LANES), np.zeros(LANES, np.float32)
    swap(x, out)
    np.testing.assert_array_equal(out, np.roll(x, LANES // 2))


# The LLVM code

PAIR = types.UniTuple(FLOATS, 2)  # type: ignore[no-untyped-call]
COEFFICIENTS = types.UniTuple(types.float32, 3)  # type: ignore[no-untyped-call]
ARGUMENTS: dict[str, Sequence[Any]] = {
    "prefetch": (types.intp, types.intp),
    "prefetch_target": (types.intp, types.intp),
    "load_float": (types.intp, types.intp),
    "load_int": (types.intp, types.intp),
    "load_address": (types.intp, types.intp),
    "load": (types.intp, types.intp),
    "load_ints": (types.intp, types.intp),
    "load_four": (types.intp, types.intp),
    "store": (FLOATS, types.intp, types.intp),
    "store_apart": (Vector(types.float32, 4), types.intp, types.intp),
    "load_each": (PAIR, types.intp, types.intp),
    "store_each": (PAIR, types.intp, types.intp),
    "splat": (types.float32,),
    "splat_four": (types.float32,),
    "multiply_add": (FLOATS, FLOATS, FLOATS),
    "multiply_add_each": (FLOATS, PAIR, PAIR),
    "add": (FLOATS, FLOATS),
    "subtract": (FLOATS, FLOATS),
    "multiply": (FLOATS, FLOATS),
    "divide": (FLOATS, FLOATS),
    "polynomial": (FLOATS, COEFFICIENTS),
    "greater": (FLOATS, FLOATS),
    "select": (MASK, FLOATS, FLOATS),
    "splat_int": (types.int32,),
    "add_ints": (INTS, INTS),
    "multiply_ints": (INTS, INTS),
    "common_bits": (INTS, INTS),
    "shift_right": (INTS, INTS),
    "less_ints": (INTS, INTS),
    "to_ints": (FLOATS,),
    "to_floats": (INTS,),
    "power_of_two": (INTS,),
    "sum_lanes": (FLOATS,),
    "sum_lanes_of_four": (FLOATS,) * 4,
    "low_half": (FLOATS,),
    "high_half": (Vector(types.float32, 4),),
}


def written_code(name: str) -> str:
    """Return the LLVM IR that the function `name` of `w2v.engines.compiled.simd` emits.

    Such a function is an intrinsic of Numba: it inserts LLVM instructions where compiled code calls
    it. The IR is the text of a module whose only function has these instructions. `name` is a key
    of `ARGUMENTS`, such as "load".
    """
    kinds = [cpu_target.target_context.get_value_type(kind) for kind in ARGUMENTS[name]]
    function = ir.Function(ir.Module(), ir.FunctionType(ir.VoidType(), kinds), "test")
    builder = ir.IRBuilder(function.append_basic_block())
    signature, generate = getattr(simd, name).__wrapped__(None, *ARGUMENTS[name])
    generate(Mock(), builder, signature, function.args)
    builder.ret_void()
    return str(function.module)


def test_every_instruction_is_known_here() -> None:
    made = {name for name, value in vars(simd).items() if type(value) is type(simd.load)}
    assert made == set(ARGUMENTS)


@pytest.mark.parametrize("name", ARGUMENTS)
def test_pointers_have_no_type(name: str) -> None:
    """Generated code has no typed pointers such as ``float*``, which newer versions of LLVM reject.

    `name` is a function of `w2v.engines.compiled.simd`, which generates LLVM code. The test also
    looks for the instruction ``getelementptr float, ptr``, which computes the address of a 32-bit
    element from an untyped pointer. The code of each function that loads, stores or prefetches must
    have this instruction, with one exception: `load_address`, which loads a 64-bit integer. The
    code of `load_address` and of all other functions must not have it.
    """
    code = written_code(name)
    assert "*" not in code
    in_memory = name.startswith(("load", "store", "prefetch"))
    assert ("getelementptr float, ptr" in code) == (in_memory and name != "load_address")

"""Compiled kernels of negative sampling: every function that Numba compiles is in this file.

A *block* is a run of `BLOCK` positions of the running text, which is what sub-sampling leaves of
the documents, one after another. With C (BLOCK x d) its centre rows and R the outside rows, those
of the text from m positions before to m after it and then those of `NOISE` words drawn as noise,
a step is three small matrix products (``w2v/README.md``, "Everything is one shape"): scores
S = C Rᵀ, then G R and Gᵀ C. A pair at distance j counts with its weight, and zero across
documents; a noise word counts against centre i with K / NOISE times the weight of the pairs of i.

Only the band of S near the diagonal is computed. It is stored row by row,

    (centre i, context j)  at  i * row + j - i + TALL - 1
    (centre i, noise k)    at  i * row + band + TALL - 1 + k

so an entry's place is linear in i and j, and tiles of TALL centres may stick out of the band,
where weights are zero.

The products are written in LLVM's vectors, because loops over single numbers do not keep a tile
of sums in registers. Nothing here works with ``NUMBA_DISABLE_JIT=1``. Threads call `train` on
disjoint documents with blocks and scratch of their own and one `Problem`, whose rows they update
without locks (Niu, Recht, Ré and Wright 2011, "Hogwild!").
"""
# ruff: noqa: ARG001 -- Numba hands an intrinsic its arguments by position, used or not.

from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numba.core import cgutils as _cgutils
from numba.core import codegen as _codegen
from numba.core import types
from numba.extending import intrinsic
from numpy.typing import NDArray

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Function = TypeVar("Function", bound=Callable[..., Any])
cgutils: Any = _cgutils  # in part without types
# LLVM as Numba brings it: its own version, of which nothing else is used.
ir: Any = cgutils.ir
binding: Any = cast(Any, _codegen).ll


def lanes_of(features: str) -> int:
    """Floats in a vector of a processor, given LLVM's list of its features."""
    names = features.split(",")
    return 16 if "+avx512f" in names else 8 if "+avx2" in names else 4


_forced: str | None = getattr(numba.config, "CPU_FEATURES", None)
LANES = lanes_of(_forced or binding.get_host_cpu_features().flatten())
BLOCK = 32
NOISE = 16
TALL, WIDE = 4, 2
"""A tile of scores: eight sums, enough to hide the latency of two multiply-adds a cycle."""
DEEP = 3
"""Vectors of a row that are summed at once: TALL * DEEP sums and what feeds them fill the sixteen
registers of AVX2."""
LINE = 16
"""Floats in a cache line."""
BUCKETS = 1024
"""Cells for adding up the curvature of equal words. Words that share a cell share a bound, so
they move less, never more."""
# NaN and infinity stay what they are: a model that diverges shows in the loss.
FLAGS = ("reassoc", "contract", "nsz", "arcp")


class Problem(NamedTuple):
    """What the threads share.

    Attributes
    ----------
    center, outside : float32 (V, width)
        Updated in place. Rows start on cache lines, and are zero from column d on.
    keep : float32 (V,)
        The chance of a word to survive sub-sampling.
    threshold, alias : float32 (V,), int32 (V,)
        See `w2v.sampling.NoiseDistribution`.
    pair_weights : float32 (2 m + 1,)
        The weight of a pair by its distance, from -m to m.
    negatives
        K.
    """

    center: F32
    outside: F32
    keep: F32
    threshold: F32
    alias: I32
    pair_weights: F32
    negatives: np.float32


class Source(NamedTuple):
    """Documents to train on, read-only arrays; see `w2v.text.tokens.Text`.

    Attributes
    ----------
    tokens : int32 (n,)
    ids : int32 (types,)
    spans : int64 (documents, 2)
    """

    tokens: I32
    ids: I32
    spans: NDArray[np.int64]


class Sizes(NamedTuple):
    """Sizes of a block; made by `sizes_of`.

    Attributes
    ----------
    window
        m.
    band
        Context rows that TALL centres are scored with.
    row
        Entries of S that are stored for a centre.
    contexts
        Context rows of a block, in whole tiles.
    vectors
        Vectors in a row of C and R.
    """

    window: int
    band: int
    row: int
    contexts: int
    vectors: int


class Block(NamedTuple):
    """A block as drawn. An id of -1 stands for no row.

    Attributes
    ----------
    centers : int32 (BLOCK,)
    outside : int32 (contexts + NOISE,)
    weights : float32 (BLOCK * row,)
        How much each entry of S counts; below zero for noise.
    pairs : float64 (2,)
        The summed weight of pairs; then 1 if the block and its contexts are of one document.
    """

    centers: I32
    outside: I32
    weights: F32
    pairs: NDArray[np.float64]


class Scratch(NamedTuple):
    """Working memory of one thread.

    Attributes
    ----------
    ids, owners : int32 (words + margins,)
        The running text, and the number of each word's document; -1 in the margins.
    state : uint64 (1,)
        The state of the random numbers.
    C : float32 (BLOCK, width)
    R : float32 (contexts + NOISE, width)
    scores, curvature : float32 (BLOCK * row,)
    center_norms, center_steps : float32 (BLOCK,)
    outside_norms, outside_steps : float32 (contexts + NOISE,)
        Each row's squared length, and the length of its step.
    buckets : float32 (BUCKETS,)
    """

    ids: I32
    owners: I32
    state: NDArray[np.uint64]
    C: F32
    R: F32
    scores: F32
    curvature: F32
    center_norms: F32
    center_steps: F32
    outside_norms: F32
    outside_steps: F32
    buckets: F32


class Rows(NamedTuple):
    """Rows to add to: addresses of a matrix, row ids and step lengths; floats a matrix row."""

    matrix: int
    stride: int
    ids: int
    steps: int


class Terms(NamedTuple):
    """Sums over ``terms`` rows: row p gains Σ_k G[p * down + k * along] R[k]; G, R addresses."""

    G: int
    down: int
    along: int
    terms: int
    R: int


def whole(n: int, step: int) -> int:
    """The multiple of ``step`` that is not below ``n``."""
    return -(-n // step) * step


def line_aligned(rows: int, columns: int) -> F32:
    """Zeros, float32 (rows, columns), on a cache line."""
    raw = np.empty(rows * columns + LINE, np.float32)
    raw.fill(0)
    first = (-raw.ctypes.data // raw.itemsize) % LINE
    return raw[first : first + rows * columns].reshape(rows, columns)


def sizes_of(dim: int, window: int) -> Sizes:
    """The sizes of a block for vectors of ``dim`` numbers."""
    band = 2 * window + TALL
    row = band + TALL - 1 + NOISE
    return Sizes(window, band, row, whole(BLOCK + 2 * window, TALL), -(-dim // LANES))


def make_block(sizes: Sizes) -> Block:
    """A block to draw into."""
    return Block(
        np.full(BLOCK, -1, np.int32),
        np.full(sizes.contexts + NOISE, -1, np.int32),
        np.zeros(BLOCK * sizes.row, np.float32),
        np.zeros(2),
    )


def make_scratch(sizes: Sizes, words: int) -> Scratch:
    """Working memory for texts of up to ``words`` words."""
    length = words + BLOCK + 2 * sizes.window
    rows, width = sizes.contexts + NOISE, sizes.vectors * LANES
    scores, curvature = line_aligned(2, BLOCK * sizes.row)
    center_norms, center_steps = np.zeros((2, BLOCK), np.float32)
    outside_norms, outside_steps = np.zeros((2, rows), np.float32)
    return Scratch(
        ids=np.zeros(length, np.int32),
        owners=np.full(length, -1, np.int32),
        state=np.zeros(1, np.uint64),
        C=line_aligned(BLOCK, width),
        R=line_aligned(rows, width),
        scores=scores,
        curvature=curvature,
        center_norms=center_norms,
        center_steps=center_steps,
        outside_norms=outside_norms,
        outside_steps=outside_steps,
        buckets=np.zeros(BUCKETS, np.float32),
    )


def compiled(function: Function) -> Function:
    """Compile on first use and keep the result on disk."""
    options = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FLAGS))
    return cast(Function, options(function))


def emitted(function: Callable[..., Any]) -> Callable[..., Any]:
    """A function for compiled code that gives its type and writes its LLVM code."""
    return cast(Callable[..., Any], intrinsic(function))


# ---------------------------------------------------------------- tiles, in LLVM's vectors

FLOAT = ir.FloatType()
INT = ir.IntType(32)
VECTOR = ir.VectorType(FLOAT, LANES)
INTS = ir.VectorType(INT, LANES)


def constant(x: float) -> Any:
    """A vector of one number."""
    return ir.Constant(VECTOR, [float(np.float32(x))] * LANES)


class Emit:
    """Writes vector code at a builder's place."""

    def __init__(self, builder: Any) -> None:
        self.builder = builder

    def pointer(self, address: Any, kind: Any = FLOAT) -> Any:
        return self.builder.inttoptr(address, kind.as_pointer())

    def at(self, base: Any, *factors: Any) -> Any:
        """The pointer ``base`` moved by a product of integers."""
        index = factors[0]
        for factor in factors[1:]:
            index = self.builder.mul(index, index.type(factor) if type(factor) is int else factor)
        return self.builder.gep(base, [index])

    def load(self, pointer: Any) -> Any:
        return self.builder.load(self.builder.bitcast(pointer, VECTOR.as_pointer()), align=4)

    def store(self, value: Any, pointer: Any) -> None:
        self.builder.store(value, self.builder.bitcast(pointer, value.type.as_pointer()), align=4)

    def add(self, x: Any, y: Any) -> Any:
        return self.builder.fadd(x, y, flags=FLAGS)

    def mul(self, x: Any, y: Any) -> Any:
        return self.builder.fmul(x, y, flags=FLAGS)

    def shuffle(self, x: Any, y: Any, lanes: Iterable[int]) -> Any:
        mask = list(lanes)
        return self.builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(INT, len(mask)), mask))

    def splat(self, number: Any) -> Any:
        none = ir.Constant(VECTOR, ir.Undefined)
        one = self.builder.insert_element(none, number, INT(0))
        return self.shuffle(one, none, [0] * LANES)

    def polynomial(self, x: Any, coefficients: tuple[float, ...]) -> Any:
        """The polynomial with these coefficients, from the lowest power on."""
        y = constant(coefficients[-1])
        for coefficient in coefficients[-2::-1]:
            y = self.add(self.mul(y, x), constant(coefficient))
        return y

    def zeros(self, count: int) -> list[Any]:
        """So many sums that start from zero here."""
        sums = [cgutils.alloca_once(self.builder, VECTOR) for _ in range(count)]
        for each in sums:
            self.builder.store(constant(0), each)
        return sums

    def increase(self, total: Any, x: Any, y: Any) -> None:
        self.builder.store(self.add(self.mul(x, y), self.builder.load(total)), total)

    def fours(self, vectors: list[Any]) -> list[Any]:
        """The sum over lanes of each vector, four of them to a vector of four numbers."""
        groups = range(0, LANES, 4)
        for lower, upper in (((0, 1), (2, 3)), ((0, 2), (1, 3))):
            low, high = (
                [g + side + k for g in groups for side in (0, LANES) for k in half]
                for half in (lower, upper)
            )
            vectors = [
                self.add(self.shuffle(x, y, low), self.shuffle(x, y, high))
                for x, y in zip(vectors[::2], vectors[1::2], strict=True)
            ]
        size = LANES
        while size > 4:
            size //= 2
            vectors = [
                self.add(self.shuffle(x, x, range(size)), self.shuffle(x, x, range(size, 2 * size)))
                for x in vectors
            ]
        return vectors


@emitted
def _address(_: Any, array: Any) -> Any:
    """The address of an array's first element."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        proxy = cgutils.create_struct_proxy(signature.args[0])
        return builder.ptrtoint(proxy(context, builder, value=args[0]).data, ir.IntType(64))

    return types.intp(array), generate


@emitted
def _prefetch(_: Any, address: Any) -> Any:
    """Ask for the cache line of an address."""

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        byte = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(ir.VoidType(), [byte, INT, INT, INT])
        function = builder.module.declare_intrinsic("llvm.prefetch", [byte], kind)
        builder.call(function, [builder.inttoptr(args[0], byte), INT(0), INT(2), INT(1)])
        return context.get_dummy_value()

    return types.void(types.intp), generate


@emitted
def _score(_: Any, a: Any, b: Any, vectors: Any, out: Any, down: Any) -> Any:
    """Scores of TALL rows at ``a`` with WIDE rows at ``b``, ``vectors`` long and side by side.

    Those of row p go to ``out`` and the place behind it, moved by ``p * down`` floats.
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emit(builder)
        a, b, out = (emit.pointer(args[n]) for n in (0, 1, 3))
        vectors, down = args[2], args[4]
        tall = [emit.at(a, vectors, LANES * p) for p in range(TALL)]
        wide = [emit.at(b, vectors, LANES * q) for q in range(WIDE)]
        sums = emit.zeros(TALL * WIDE)
        with cgutils.for_range(builder, vectors) as loop:
            x = [emit.load(emit.at(row, loop.index, LANES)) for row in tall]
            y = [emit.load(emit.at(row, loop.index, LANES)) for row in wide]
            for n, total in enumerate(sums):
                emit.increase(total, x[n // WIDE], y[n % WIDE])
        fours = emit.fours([builder.load(total) for total in sums])
        for p in range(TALL):
            four = fours[p * WIDE // 4]
            first = p * WIDE % 4
            emit.store(emit.shuffle(four, four, range(first, first + WIDE)), emit.at(out, down, p))
        return context.get_dummy_value()

    return types.void(*[types.intp] * 5), generate


def _make_descend(deep: int) -> Any:
    """Make `_descend` for ``deep`` vectors at a time."""

    @emitted
    def _descend(_: Any, rows: Any, near: Any, far: Any, column: Any, width: Any) -> Any:
        """Add step * sum of the terms to TALL rows, from ``column`` on.

        ``rows`` is a `Rows`; ``near`` and ``far`` are `Terms` over rows of ``width`` floats.
        Rows whose id is below 0 are left out.
        """

        def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            emit = Emit(builder)
            matrix, stride, ids, steps = cgutils.unpack_tuple(builder, args[0])
            column, width = args[3], args[4]
            sums = emit.zeros(TALL * deep)
            for terms in args[1:3]:
                G, down, along, count, R = cgutils.unpack_tuple(builder, terms)
                weights = [emit.at(emit.pointer(G), down, p) for p in range(TALL)]
                start = emit.at(emit.pointer(R), column)
                with cgutils.for_range(builder, count) as loop:
                    row = emit.at(start, loop.index, width)
                    y = [emit.load(emit.at(row, column.type(n * LANES))) for n in range(deep)]
                    for p in range(TALL):
                        weight = builder.load(emit.at(weights[p], loop.index, along))
                        x = emit.splat(weight)
                        for n in range(deep):
                            emit.increase(sums[p * deep + n], x, y[n])
            for p in range(TALL):
                place = column.type(p)
                row_id = builder.load(emit.at(emit.pointer(ids, INT), place))
                with builder.if_then(builder.icmp_signed(">=", row_id, row_id.type(0))):
                    step = emit.splat(builder.load(emit.at(emit.pointer(steps), place)))
                    row = emit.at(emit.pointer(matrix), builder.sext(row_id, stride.type), stride)
                    row = emit.at(row, column)
                    for n in range(deep):
                        to = emit.at(row, column.type(n * LANES))
                        moved = emit.mul(step, builder.load(sums[p * deep + n]))
                        emit.store(emit.add(emit.load(to), moved), to)
            return context.get_dummy_value()

        return types.void(rows, near, far, types.intp, types.intp), generate

    return _descend


_descend1, _descend2, _descend3 = (_make_descend(deep) for deep in range(1, DEEP + 1))

# Near the best fits, relative error 3e-9: 2**x for |x| <= 1/2, and 2 artanh(z) / z in z**2 up
# to 1/9.
EXP2 = (1.0, 0.69314721, 0.24022651, 0.055503272, 0.0096180256, 0.0013400432, 0.00015469732)
ARTANH = (2.0, 0.66666316, 0.40024854, 0.27961419, 0.28174657)


@emitted
def _logistic(_: Any, scores: Any, weights: Any, curvature: Any, vectors: Any) -> Any:
    """Turn scores into −∂J/∂S in place, fill in the curvatures and return the loss, float32.

    For an entry of score s and weight w, with x = -s where w is above zero, a pair, and s where
    it is not, noise: the loss is |w| log(1 + exp(x)), -∂J/∂s is w σ(x), and the curvature is
    |w| / (2 max(2, |s|)) (``w2v/README.md``, "Kept stable").

    One division serves both functions: with e = exp(-|x|), log(1 + e) = 2 artanh(e / (2 + e)).
    """

    def generate(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        emit = Emit(builder)
        add, mul = emit.add, emit.mul
        S, W, H = (emit.pointer(address) for address in args[:3])
        zero, one, two = (constant(x) for x in (0, 1, 2))

        def greater(x: Any, y: Any) -> Any:
            return builder.fcmp_ordered(">", x, y)

        (total,) = emit.zeros(1)
        with cgutils.for_range(builder, args[3]) as loop:
            s, w, h = (emit.at(base, loop.index, LANES) for base in (S, W, H))
            score, weight = emit.load(s), emit.load(w)
            is_pair = greater(weight, zero)
            x = builder.select(is_pair, builder.fsub(zero, score), score)
            size = builder.select(is_pair, weight, builder.fsub(zero, weight))
            above = greater(x, zero)
            a = builder.select(above, x, builder.fsub(zero, x))
            # exp(-a) as a power of two: its whole part goes into the exponent's bits.
            t = mul(a, constant(-1.4426950408889634))
            t = builder.select(greater(t, constant(-125)), t, constant(-125))
            whole_part = builder.fptosi(builder.fsub(t, constant(0.5)), INTS)
            rest = builder.fsub(t, builder.sitofp(whole_part, VECTOR))
            bits = builder.add(whole_part, ir.Constant(INTS, [127] * LANES))
            power = builder.bitcast(builder.shl(bits, ir.Constant(INTS, [23] * LANES)), VECTOR)
            e = mul(emit.polynomial(rest, EXP2), power)
            q, r = add(one, e), add(two, e)
            inverse = builder.fdiv(one, mul(q, r), flags=FLAGS)
            z = mul(mul(e, q), inverse)
            log = mul(z, emit.polynomial(mul(z, z), ARTANH))
            sigma = mul(mul(r, inverse), builder.select(above, one, e))
            term = add(log, mul(constant(0.5), add(a, x)))
            emit.increase(total, size, term)
            emit.store(mul(weight, sigma), s)
            largest = builder.select(greater(a, two), a, two)
            emit.store(builder.fdiv(mul(constant(0.5), size), largest, flags=FLAGS), h)
        loss = ir.Constant(FLOAT, 0)
        for lane in range(LANES):
            loss = builder.fadd(loss, builder.extract_element(builder.load(total), INT(lane)))
        return loss

    return types.float32(*[types.intp] * 4), generate


# ---------------------------------------------------------------- drawing


@compiled
def _random(state: Any) -> Any:
    """The next 64 bits of splitmix64 (Steele, Lea and Flood 2014)."""
    x = state[0] + np.uint64(0x9E3779B97F4A7C15)
    state[0] = x
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def _unit(bits: Any) -> Any:
    """The lowest 24 bits as a float32 in [0, 1)."""
    return np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)


@compiled
def read(problem: Problem, sizes: Sizes, source: Source, scratch: Scratch) -> tuple[int, int]:
    """Lay out the running text; returns the words before and after sub-sampling."""
    ids, owners = scratch.ids, scratch.owners
    words = 0
    place = sizes.window
    for document in range(len(source.spans)):
        for t in range(source.spans[document, 0], source.spans[document, 1]):
            word = source.ids[source.tokens[t]]
            # Written always, kept by moving on: which words are kept cannot be foreseen.
            ids[place] = word
            owners[place] = document
            if word >= 0:
                words += 1
                place += _unit(_random(scratch.state)) < problem.keep[word]
    owners[place : place + BLOCK + sizes.window] = -1
    return words, place - sizes.window


@compiled
def draw(problem: Problem, sizes: Sizes, scratch: Scratch, first: int, block: Block) -> None:
    """Fill a block with the running text from position ``first`` on, and with noise."""
    ids, owners, m = scratch.ids, scratch.owners, sizes.window
    for j in range(BLOCK + 2 * m):
        t = first + j
        block.outside[j] = ids[t] if owners[t] >= 0 else -1
    for i in range(BLOCK):
        block.centers[i] = block.outside[m + i]
    size = np.uint64(len(problem.alias))
    for k in range(NOISE):
        bits = _random(scratch.state)
        cell = np.int64(((bits >> np.uint64(32)) * size) >> np.uint64(32))
        own = _unit(bits) < problem.threshold[cell]
        block.outside[sizes.contexts + k] = cell if own else problem.alias[cell]
    # Within one document the weights are those already there, if the last block was so too.
    last = owners[first + BLOCK + 2 * m - 1]
    inside = last >= 0 and last == owners[first]
    if not (inside and block.pairs[1] == 1.0):
        block.pairs[0] = _weigh(problem, sizes, owners[first:], block.weights)
    block.pairs[1] = 1.0 if inside else 0.0


@compiled
def _weigh(problem: Problem, sizes: Sizes, owners: I32, weights: F32) -> np.float64:
    """Fill in the weights of a block; returns their sum over pairs."""
    m = sizes.window
    total = np.float64(0)
    for i in range(BLOCK):
        at = i * sizes.row + TALL - 1
        pairs = np.float32(0)
        for j in range(2 * m + 1):
            near = owners[m + i] >= 0 and owners[i + j] == owners[m + i]
            weight = problem.pair_weights[j] if near else np.float32(0)
            weights[at + j] = weight
            pairs += weight
        total += pairs
        at += sizes.band
        weights[at : at + NOISE] = -pairs * problem.negatives / np.float32(NOISE)
    return total


@compiled
def _prefetch_rows(matrix: F32, ids: I32, width: int) -> None:
    base, stride = _address(matrix), matrix.shape[1]
    for word in ids:
        if word >= 0:
            for k in range(0, width, LINE):
                _prefetch(base + 4 * (np.int64(word) * stride + k))


# ---------------------------------------------------------------- stepping


@compiled
def _gather(matrix: F32, ids: I32, rows: F32, norms: F32) -> None:
    """Copy rows, zeros for an id of -1, and take their squared lengths."""
    for j in range(len(ids)):
        word = np.int64(ids[j])
        norm = np.float32(0)
        if word >= 0:
            for k in range(rows.shape[1]):
                x = matrix[word, k]
                rows[j, k] = x
                norm += x * x
        else:
            rows[j] = np.float32(0)
        norms[j] = norm


@compiled
def _limit(ids: I32, steps: F32, buckets: F32, rate: np.float32) -> None:
    """Turn the curvatures of rows into lengths of steps, those of equal words added up.

    The limit is 2 / h, up to which the bound promises no rise, and not 1 / h: a noise word stands
    for so many pairs that 1 / h would shorten its steps more often than those of the same word
    as context, and so bias the model.
    """
    for word in ids:
        buckets[word & (BUCKETS - 1)] = 0
    for j in range(len(ids)):
        buckets[ids[j] & (BUCKETS - 1)] += steps[j]
    for j in range(len(ids)):
        curvature = buckets[ids[j] & (BUCKETS - 1)]
        steps[j] = rate if rate * curvature <= 2 else np.float32(2) / curvature


@compiled
def _bound(sizes: Sizes, block: Block, scratch: Scratch, rate: np.float32) -> None:
    """Set each row's step: the rate, or less where a longer one could overshoot."""
    center, outside = scratch.center_steps, scratch.outside_steps
    outside[:] = 0
    for i in range(BLOCK):
        norm = scratch.center_norms[i]
        total = np.float32(0)
        at = i * sizes.row + TALL - 1
        for j in range(2 * sizes.window + 1):
            h = scratch.curvature[at + j]
            total += h * scratch.outside_norms[i + j]
            outside[i + j] += h * norm
        at += sizes.band
        for k in range(NOISE):
            h = scratch.curvature[at + k]
            total += h * scratch.outside_norms[sizes.contexts + k]
            outside[sizes.contexts + k] += h * norm
        center[i] = total
    _limit(block.centers, center, scratch.buckets, rate)
    _limit(block.outside, outside, scratch.buckets, rate)


@compiled
def _descend(vectors: int, rows: Rows, near: Terms, far: Terms) -> None:
    """Step TALL rows along the sums of their terms, up to DEEP vectors at a time."""
    column, left = 0, vectors
    for rounds in range(-(-vectors // DEEP), 0, -1):
        deep = -(-left // rounds)
        if deep == 3:
            _descend3(rows, near, far, column, vectors * LANES)
        elif deep == 2:
            _descend2(rows, near, far, column, vectors * LANES)
        else:
            _descend1(rows, near, far, column, vectors * LANES)
        column += deep * LANES
        left -= deep


@compiled
def update(
    problem: Problem, sizes: Sizes, block: Block, scratch: Scratch, rate: np.float32
) -> float:
    """Take one step on a block; returns its loss, both from the vectors before the step.

    A row that occurs several times moves by the sum.
    """
    m, band, row, contexts, vectors = sizes
    _gather(problem.center, block.centers, scratch.C, scratch.center_norms)
    _gather(problem.outside, block.outside, scratch.R, scratch.outside_norms)
    C, R, S = _address(scratch.C), _address(scratch.R), _address(scratch.scores)
    W, H = _address(block.weights), _address(scratch.curvature)
    size = 4 * vectors * LANES  # bytes of a row
    near = S + 4 * (TALL - 1)
    noise = near + 4 * band
    R_noise = R + contexts * size
    for i in range(0, BLOCK, TALL):
        for j in range(i, i + band, WIDE):
            _score(C + i * size, R + j * size, vectors, near + 4 * (i * (row - 1) + j), row - 1)
        for k in range(0, NOISE, WIDE):
            _score(C + i * size, R_noise + k * size, vectors, noise + 4 * (i * row + k), row)
    loss: float = _logistic(S, W, H, BLOCK * row // LANES)
    _bound(sizes, block, scratch, rate)

    v, stride = _address(problem.center), problem.center.shape[1]
    ids, steps = _address(block.centers), _address(scratch.center_steps)
    for i in range(0, BLOCK, TALL):
        _descend(
            vectors,
            Rows(v, stride, ids + 4 * i, steps + 4 * i),
            Terms(near + 4 * i * row, row - 1, 1, band, R + i * size),
            Terms(noise + 4 * i * row, row, 1, NOISE, R_noise),
        )
    u, stride = _address(problem.outside), problem.outside.shape[1]
    ids, steps = _address(block.outside), _address(scratch.outside_steps)
    nothing = Terms(S, 0, 0, 0, C)
    for j in range(0, contexts, TALL):
        i = max(0, j - 2 * m)
        count = min(BLOCK, j + TALL) - i
        _descend(
            vectors,
            Rows(u, stride, ids + 4 * j, steps + 4 * j),
            Terms(near + 4 * (i * (row - 1) + j), 1, row - 1, count, C + i * size),
            nothing,
        )
    for k in range(0, NOISE, TALL):
        j = contexts + k
        _descend(
            vectors,
            Rows(u, stride, ids + 4 * j, steps + 4 * j),
            Terms(noise + 4 * k, 1, row, BLOCK, C),
            nothing,
        )
    return loss


@compiled
def train(
    problem: Problem,
    sizes: Sizes,
    source: Source,
    blocks: tuple[Block, Block],
    scratch: Scratch,
    rates: tuple[float, float],
    seed: np.uint64,
) -> tuple[int, float, float]:
    """Train once on a text that fits the scratch.

    Parameters
    ----------
    rates
        The learning rate at the start and, linearly from there, at the end.
    seed
        Of all that is random.

    Returns
    -------
    words, pairs, loss
        See `w2v.engines.Tally`.
    """
    scratch.state[0] = seed
    words, kept = read(problem, sizes, source, scratch)
    this, following = blocks
    this.pairs[1] = following.pairs[1] = 0.0
    pairs = loss = 0.0
    first = 0
    if kept > 0:
        draw(problem, sizes, scratch, first, this)
    for first in range(0, kept, BLOCK):
        if first + BLOCK < kept:
            # Drawn one block ahead, so that memory is asked for before it is needed.
            draw(problem, sizes, scratch, first + BLOCK, following)
            _prefetch_rows(problem.center, following.centers, sizes.vectors * LANES)
            _prefetch_rows(problem.outside, following.outside, sizes.vectors * LANES)
        rate = np.float32(rates[0] + (rates[1] - rates[0]) * first / kept)
        loss += update(problem, sizes, this, scratch, rate)
        pairs += this.pairs[0]
        this, following = following, this
    return words, pairs, loss

"""The compiled loops of ``engine=numba``: sub-sampling, noise and steps of negative sampling.

A *batch* is `BATCH` adjacent positions of the text that sub-sampling leaves. Let C (BATCH x d)
hold the batch's center rows, and R the outside rows: those of the text from m positions before the
batch to m after it, then those of `NOISE` noise words. A step is three small matrix products
(``w2v/README.md``, "Everything is one shape"): the scores S = C Rᵀ, then G R and Gᵀ C with
G = ∂J/∂S. A pair at distance j has the weight of that distance, or zero where its words are in
different documents. A noise word has K / `NOISE` times the summed weight of the center's pairs.

Only the scores near the diagonal of S are needed. They are stored by center:

    (center i, context j)  at  i * row + j - i + MR - 1
    (center i, noise k)    at  i * row + band + MR - 1 + k

Positions are linear in i and j, so a *tile* of S has a constant stride. A tile of `MR` centers may
reach beyond the windows of some of them, to entries whose weight is zero.

The products work on tiles of sums that stay in vector registers, and the logistic function on
whole vectors (see `w2v.engines.simd`). LLVM achieves neither with loops over single numbers. The
same step in plain ``@njit`` loops trains 5.4 times fewer words per second: 0.94 million against
5.12 million on one thread with AVX-512, for 100 dimensions, window 5 and 5 noise words, measured on
20,000 film reviews by ``python -m tests.benchmark_plain_njit imdb.txt.xz``.

Threads call `train` on different documents. Each has its own batches and scratch memory; they share
one `Problem` and update its rows without locks (Niu, Recht, Ré and Wright 2011, "Hogwild!").
``NUMBA_DISABLE_JIT=1`` does not work here.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np
from numpy.typing import NDArray

from w2v.engines.simd import (
    FAST_MATH,
    LANES,
    add,
    address,
    divide,
    greater,
    high_half,
    load,
    load_each,
    load_float,
    load_int,
    low_half,
    multiply,
    multiply_add,
    multiply_add_each,
    polynomial,
    power_of_two,
    prefetch,
    select,
    splat,
    store,
    store_each,
    subtract,
    sum_lanes,
    sum_lanes_of_four,
    to_floats,
    to_ints,
)

F32 = NDArray[np.float32]
I32 = NDArray[np.int32]
Function = TypeVar("Function", bound=Callable[..., Any])

BATCH = 32
"""Positions of the text in a batch."""

NOISE = 16
"""Noise words of a batch."""

MR, NR = 4, 2
"""Center rows and outside rows in a tile of scores. Its eight sums are enough to hide the latency
of two multiply-adds a cycle. The tile functions are written out for these sizes."""

MAX_VECTORS = 3
"""Vectors of each row in a tile of steps. `MR` times as many sums, with their operands, fill the
sixteen registers of AVX2."""

LINE = 16
"""Float32 numbers in a cache line."""

BUCKETS = 1024
"""Cells in which the curvature of equal words is added up; a power of two. Words that share a cell
share a limit, so their steps can only get shorter."""


class Problem(NamedTuple):
    """The model and the settings, which all threads share.

    Attributes
    ----------
    center, outside : float32 (V, width)
        Updated in place. Rows start on cache lines, and are zero from column d on.
    keep : float32 (V,)
        The probability that sub-sampling keeps a word.
    threshold, alias : float32 (V,), int32 (V,)
        The noise distribution; see `w2v.sampling.NoiseDistribution`.
    pair_weights : float32 (2 m + 1,)
        The weight of a pair by its distance, from -m to m.
    negatives
        K, the number of noise words per pair.
    """

    center: F32
    outside: F32
    keep: F32
    threshold: F32
    alias: I32
    pair_weights: F32
    negatives: np.float32


class Source(NamedTuple):
    """The documents to train on, as read-only arrays; see `w2v.text.tokens.Text`.

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
    """The sizes of a batch, made by `make_sizes`.

    Attributes
    ----------
    window
        m, the largest distance of a pair.
    band
        How many context rows a tile of `MR` centers is scored with.
    row
        How many scores are stored for a center.
    contexts
        How many context rows a batch has, rounded up to whole tiles.
    vectors
        How many vectors a row of C or R has.
    """

    window: int
    band: int
    row: int
    contexts: int
    vectors: int


class Batch(NamedTuple):
    """A batch with its noise. An id of -1 stands for an empty row.

    Attributes
    ----------
    centers : int32 (BATCH,)
    outside : int32 (contexts + NOISE,)
    weights : float32 (BATCH * row,)
        The weight of each score, negative for noise.
    pairs : float64 (2,)
        The summed weight of the pairs; then 1 if the batch and its contexts are in one document.
    """

    centers: I32
    outside: I32
    weights: F32
    pairs: NDArray[np.float64]


class Scratch(NamedTuple):
    """The working memory of a thread.

    Attributes
    ----------
    ids, documents : int32 (words + margins,)
        The text after sub-sampling, and the number of each word's document, -1 in the margins.
    state : uint64 (1,)
        The state of the random number generator.
    C : float32 (BATCH, width)
    R : float32 (contexts + NOISE, width)
    scores, curvature : float32 (BATCH * row,)
    center_norms, center_steps : float32 (BATCH,)
        The squared length of each row, and its learning rate.
    outside_norms, outside_steps : float32 (contexts + NOISE,)
        The same of the outside rows.
    buckets : float32 (BUCKETS,)
    """

    ids: I32
    documents: I32
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
    """Rows of a matrix to move.

    Attributes
    ----------
    matrix, stride
        The address of the matrix, and the floats from one row to the next.
    ids, steps
        The addresses of the ids of the rows and of their learning rates.
    """

    matrix: int
    stride: int
    ids: int
    steps: int


class Terms(NamedTuple):
    """A sum for each row p, over k below ``size``: Σ G[p * down + k * along] R[k].

    Attributes
    ----------
    G, down, along
        The address of the factors, and their strides in floats.
    size, R
        The number of terms, and the address of their rows.
    """

    G: int
    down: int
    along: int
    size: int
    R: int


def round_up(n: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is at least ``n``."""
    return -(-n // step) * step


def aligned_zeros(rows: int, columns: int) -> F32:
    """Return zeros, float32 (rows, columns), that start on a cache line."""
    raw = np.empty(rows * columns + LINE, np.float32)
    raw.fill(0)
    first = (-raw.ctypes.data // raw.itemsize) % LINE
    return raw[first : first + rows * columns].reshape(rows, columns)


def make_sizes(dim: int, window: int) -> Sizes:
    """Return the sizes of a batch for vectors of ``dim`` numbers."""
    band = 2 * window + MR
    row = band + MR - 1 + NOISE
    return Sizes(window, band, row, round_up(BATCH + 2 * window, MR), -(-dim // LANES))


def make_batch(sizes: Sizes) -> Batch:
    """Return an empty batch."""
    return Batch(
        np.full(BATCH, -1, np.int32),
        np.full(sizes.contexts + NOISE, -1, np.int32),
        np.zeros(BATCH * sizes.row, np.float32),
        np.zeros(2),
    )


def make_scratch(sizes: Sizes, words: int) -> Scratch:
    """Return working memory for texts of up to ``words`` words."""
    length = words + BATCH + 2 * sizes.window
    rows, width = sizes.contexts + NOISE, sizes.vectors * LANES
    scores, curvature = aligned_zeros(2, BATCH * sizes.row)
    center_norms, center_steps = np.zeros((2, BATCH), np.float32)
    outside_norms, outside_steps = np.zeros((2, rows), np.float32)
    return Scratch(
        ids=np.zeros(length, np.int32),
        documents=np.full(length, -1, np.int32),
        state=np.zeros(1, np.uint64),
        C=aligned_zeros(BATCH, width),
        R=aligned_zeros(rows, width),
        scores=scores,
        curvature=curvature,
        center_norms=center_norms,
        center_steps=center_steps,
        outside_norms=outside_norms,
        outside_steps=outside_steps,
        buckets=np.zeros(BUCKETS, np.float32),
    )


def compiled(function: Function) -> Function:
    """Compile a function when it is first called, and keep the result on disk."""
    options = numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=set(FAST_MATH))
    return cast(Function, options(function))


def inlined(function: Function) -> Function:
    """Compile a function into those that call it, so that its vectors stay in registers."""
    options = numba.njit(error_model="numpy", forceinline=True, fastmath=set(FAST_MATH))
    return cast(Function, options(function))


# ---------------------------------------------------------------- tiles


@inlined
def score_tile(a: int, b: int, vectors: int, out: int, down: int) -> None:
    """Score `MR` center rows with `NR` outside rows.

    Parameters
    ----------
    a, b
        The addresses of the first center row and of the first outside row. Rows lie side by side.
    vectors
        Vectors in a row.
    out, down
        The scores of row p go to address ``out``, moved by ``p * down`` floats.
    """
    width = vectors * LANES
    zero = splat(0)
    sums0 = sums1 = sums2 = sums3 = (zero, zero)
    for k in range(0, width, LANES):
        y = load(b, k), load(b, width + k)
        sums0 = multiply_add_each(load(a, k), y, sums0)
        sums1 = multiply_add_each(load(a, width + k), y, sums1)
        sums2 = multiply_add_each(load(a, 2 * width + k), y, sums2)
        sums3 = multiply_add_each(load(a, 3 * width + k), y, sums3)
    upper = sum_lanes_of_four(sums0[0], sums0[1], sums1[0], sums1[1])
    lower = sum_lanes_of_four(sums2[0], sums2[1], sums3[0], sums3[1])
    store(low_half(upper), out, 0)
    store(high_half(upper), out, down)
    store(low_half(lower), out, 2 * down)
    store(high_half(lower), out, 3 * down)


@inlined
def add_terms(terms: Terms, width: int, column: int, tile: Any) -> Any:
    """Add the sums of terms to a tile: for each of `MR` rows, a tuple of vectors."""
    G, down, along = terms.G, terms.down, terms.along
    sums0, sums1, sums2, sums3 = tile
    for k in range(terms.size):
        y = load_each(sums0, terms.R, column + k * width)
        sums0 = multiply_add_each(splat(load_float(G, k * along)), y, sums0)
        sums1 = multiply_add_each(splat(load_float(G, down + k * along)), y, sums1)
        sums2 = multiply_add_each(splat(load_float(G, 2 * down + k * along)), y, sums2)
        sums3 = multiply_add_each(splat(load_float(G, 3 * down + k * along)), y, sums3)
    return sums0, sums1, sums2, sums3


@inlined
def step_row(rows: Rows, p: int, column: int, sums: Any) -> None:
    """Move row ``p`` along its sums, from ``column`` on, unless its id is below 0."""
    row_id = load_int(rows.ids, p)
    if row_id >= 0:
        start = np.int64(row_id) * rows.stride + column
        step = splat(load_float(rows.steps, p))
        old = load_each(sums, rows.matrix, start)
        store_each(multiply_add_each(step, sums, old), rows.matrix, start)


@compiled
def step_tile(rows: Rows, near: Terms, far: Terms, width: int, column: int, zero: Any) -> None:
    """Move `MR` rows along the sums of their terms, over the columns of one tile.

    ``zero`` is a tuple of zero vectors, as many as the tile has.
    """
    tile = add_terms(near, width, column, (zero, zero, zero, zero))
    sums0, sums1, sums2, sums3 = add_terms(far, width, column, tile)
    step_row(rows, 0, column, sums0)
    step_row(rows, 1, column, sums1)
    step_row(rows, 2, column, sums2)
    step_row(rows, 3, column, sums3)


@compiled
def step_rows(vectors: int, rows: Rows, near: Terms, far: Terms) -> None:
    """Move `MR` rows along the sums of their terms, in tiles of up to `MAX_VECTORS` vectors."""
    zero, width = splat(0), vectors * LANES
    column, left = 0, vectors
    for tiles in range(-(-vectors // MAX_VECTORS), 0, -1):
        size = -(-left // tiles)
        if size == 3:
            step_tile(rows, near, far, width, column, (zero, zero, zero))
        elif size == 2:
            step_tile(rows, near, far, width, column, (zero, zero))
        else:
            step_tile(rows, near, far, width, column, (zero,))
        column += size * LANES
        left -= size


# Coefficients of near-minimax fits with relative error 3e-9: 2**x for |x| <= 1/2, and
# 2 artanh(z) / z as a function of z**2 up to 1/9.
EXP2 = (1.0, 0.69314721, 0.24022651, 0.055503272, 0.0096180256, 0.0013400432, 0.00015469732)
ARTANH = (2.0, 0.66666316, 0.40024854, 0.27961419, 0.28174657)


@compiled
def logistic(scores: int, weights: int, curvature: int, vectors: int) -> float:
    """Compute the loss, its derivatives by the scores and its curvatures.

    For an entry of score s and weight w, let x = -s where w is above zero (a pair) and x = s
    where it is not (noise). Its loss is |w| log(1 + exp(x)), -∂J/∂s is w σ(x), and its curvature
    is |w| / (2 max(2, |s|)) (``w2v/README.md``, "Kept stable").

    One division serves both functions: with e = exp(-|x|), log(1 + e) = 2 artanh(e / (2 + e)).

    Parameters
    ----------
    scores
        The address of S, which becomes -∂J/∂S.
    weights
        The address of the entries' weights.
    curvature
        The address that the curvatures are written to.
    vectors
        How many vectors of entries there are.

    Returns
    -------
    float32
        The loss summed over all entries.
    """
    zero, half, one, two = splat(0), splat(0.5), splat(1), splat(2)
    total = zero
    for k in range(0, vectors * LANES, LANES):
        score, weight = load(scores, k), load(weights, k)
        is_pair = greater(weight, zero)
        x = select(is_pair, subtract(zero, score), score)
        size = select(is_pair, weight, subtract(zero, weight))
        is_positive = greater(x, zero)
        a = select(is_positive, x, subtract(zero, x))
        # exp(-a) is a power of two whose integer part goes into the exponent's bits.
        t = multiply(a, splat(-1.4426950408889634))
        t = select(greater(t, splat(-125)), t, splat(-125))
        integer = to_ints(subtract(t, half))
        fraction = subtract(t, to_floats(integer))
        e = multiply(polynomial(fraction, EXP2), power_of_two(integer))
        q, r = add(one, e), add(two, e)
        inverse = divide(one, multiply(q, r))
        z = multiply(multiply(e, q), inverse)
        log = multiply(z, polynomial(multiply(z, z), ARTANH))
        sigma = multiply(multiply(r, inverse), select(is_positive, one, e))
        loss = add(log, multiply(half, add(a, x)))
        total = multiply_add(size, loss, total)
        store(multiply(weight, sigma), scores, k)
        largest = select(greater(a, two), a, two)
        store(divide(multiply(half, size), largest), curvature, k)
    loss_sum: float = sum_lanes(total)
    return loss_sum


# ---------------------------------------------------------------- drawing


@compiled
def random_bits(state: Any) -> Any:
    """Return the next 64 bits of the splitmix64 generator (Steele, Lea and Flood 2014)."""
    x = state[0] + np.uint64(0x9E3779B97F4A7C15)
    state[0] = x
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return x ^ (x >> np.uint64(31))


@compiled
def unit_float(bits: Any) -> Any:
    """Return the lowest 24 bits as a float32 in [0, 1)."""
    return np.float32(bits & np.uint64(0xFFFFFF)) * np.float32(2.0**-24)


@compiled
def subsample(problem: Problem, sizes: Sizes, source: Source, scratch: Scratch) -> tuple[int, int]:
    """Write the sub-sampled text to the scratch memory.

    Returns
    -------
    words, kept
        How many words of the vocabulary the text has, and how many of them are kept.
    """
    ids, documents = scratch.ids, scratch.documents
    words = 0
    end = sizes.window
    for document in range(len(source.spans)):
        for t in range(source.spans[document, 0], source.spans[document, 1]):
            word = source.ids[source.tokens[t]]
            # Every word is written, and the next one overwrites it unless it is kept: a branch
            # on a random number would often be mispredicted.
            ids[end] = word
            documents[end] = document
            if word >= 0:
                words += 1
                end += unit_float(random_bits(scratch.state)) < problem.keep[word]
    documents[end : end + BATCH + sizes.window] = -1
    return words, end - sizes.window


@compiled
def draw_batch(problem: Problem, sizes: Sizes, scratch: Scratch, first: int, batch: Batch) -> None:
    """Fill a batch with the text from position ``first`` on, and draw its noise."""
    ids, documents, m = scratch.ids, scratch.documents, sizes.window
    for j in range(BATCH + 2 * m):
        t = first + j
        batch.outside[j] = ids[t] if documents[t] >= 0 else -1
    for i in range(BATCH):
        batch.centers[i] = batch.outside[m + i]
    size = np.uint64(len(problem.alias))
    for k in range(NOISE):
        bits = random_bits(scratch.state)
        cell = np.int64(((bits >> np.uint64(32)) * size) >> np.uint64(32))
        is_cell = unit_float(bits) < problem.threshold[cell]
        batch.outside[sizes.contexts + k] = cell if is_cell else problem.alias[cell]
    # All batches inside a document have the same weights.
    last = documents[first + BATCH + 2 * m - 1]
    inside = last >= 0 and last == documents[first]
    if not (inside and batch.pairs[1] == 1.0):
        batch.pairs[0] = fill_weights(problem, sizes, documents[first:], batch.weights)
    batch.pairs[1] = 1.0 if inside else 0.0


@compiled
def fill_weights(problem: Problem, sizes: Sizes, documents: I32, weights: F32) -> np.float64:
    """Fill in the weights of a batch and return their sum over pairs."""
    # Here and below, a loop that sums stores nothing. Otherwise the compiled loop would check
    # whether arrays overlap, and the order of the sum, and so its rounding, would depend on where
    # they are in memory.
    m = sizes.window
    total = np.float64(0)
    for i in range(BATCH):
        start = i * sizes.row + MR - 1
        pairs = np.float32(0)
        for j in range(2 * m + 1):
            is_pair = documents[m + i] >= 0 and documents[i + j] == documents[m + i]
            weights[start + j] = problem.pair_weights[j] if is_pair else np.float32(0)
        for j in range(2 * m + 1):
            pairs += weights[start + j]
        total += pairs
        start += sizes.band
        weights[start : start + NOISE] = -pairs * problem.negatives / np.float32(NOISE)
    return total


@compiled
def prefetch_rows(matrix: F32, ids: I32, width: int) -> None:
    """Start to load the rows that will soon be read."""
    base, stride = address(matrix), matrix.shape[1]
    for word in ids:
        if word >= 0:
            for k in range(0, width, LINE):
                prefetch(base, np.int64(word) * stride + k)


# ---------------------------------------------------------------- stepping


@compiled
def gather_rows(matrix: F32, ids: I32, rows: F32, norms: F32) -> None:
    """Copy rows, zeros for an id of -1, and compute their squared lengths."""
    for j in range(len(ids)):
        word = np.int64(ids[j])
        norm = np.float32(0)
        if word >= 0:
            for k in range(rows.shape[1]):
                rows[j, k] = matrix[word, k]
            for k in range(rows.shape[1]):
                norm += rows[j, k] * rows[j, k]
        else:
            rows[j] = np.float32(0)
        norms[j] = norm


@compiled
def limit_steps(ids: I32, steps: F32, buckets: F32, rate: np.float32) -> None:
    """Turn the curvatures of rows into learning rates, after adding up those of equal words.

    The limit is 2 / h, the longest step that the bound allows without a rise of the loss. With
    1 / h the model would be biased: a noise word stands for so many pairs that the limit would
    apply to it more often than to the same word as a context.
    """
    for word in ids:
        buckets[word & (BUCKETS - 1)] = 0
    for j in range(len(ids)):
        buckets[ids[j] & (BUCKETS - 1)] += steps[j]
    for j in range(len(ids)):
        curvature = buckets[ids[j] & (BUCKETS - 1)]
        steps[j] = rate if rate * curvature <= 2 else np.float32(2) / curvature


@compiled
def set_steps(sizes: Sizes, batch: Batch, scratch: Scratch, rate: np.float32) -> None:
    """Set the learning rate of each row: ``rate``, or less where that could overshoot."""
    center, outside = scratch.center_steps, scratch.outside_steps
    outside[:] = 0
    for i in range(BATCH):
        norm = scratch.center_norms[i]
        total = np.float32(0)
        start = i * sizes.row + MR - 1
        for j in range(2 * sizes.window + 1):
            outside[i + j] += scratch.curvature[start + j] * norm
        for j in range(2 * sizes.window + 1):
            total += scratch.curvature[start + j] * scratch.outside_norms[i + j]
        start += sizes.band
        for k in range(NOISE):
            outside[sizes.contexts + k] += scratch.curvature[start + k] * norm
        for k in range(NOISE):
            total += scratch.curvature[start + k] * scratch.outside_norms[sizes.contexts + k]
        center[i] = total
    limit_steps(batch.centers, center, scratch.buckets, rate)
    limit_steps(batch.outside, outside, scratch.buckets, rate)


@compiled
def update(
    problem: Problem, sizes: Sizes, batch: Batch, scratch: Scratch, rate: np.float32
) -> float:
    """Take one step on a batch and return its loss before the step.

    Gradients are those before the step. A word that occurs several times moves by their sum.
    """
    m, band, row, contexts, vectors = sizes
    gather_rows(problem.center, batch.centers, scratch.C, scratch.center_norms)
    gather_rows(problem.outside, batch.outside, scratch.R, scratch.outside_norms)
    C, R, S = address(scratch.C), address(scratch.R), address(scratch.scores)
    W, H = address(batch.weights), address(scratch.curvature)
    size = 4 * vectors * LANES  # bytes of a row
    near = S + 4 * (MR - 1)
    noise = near + 4 * band
    R_noise = R + contexts * size
    for i in range(0, BATCH, MR):
        for j in range(i, i + band, NR):
            out = near + 4 * (i * (row - 1) + j)
            score_tile(C + i * size, R + j * size, vectors, out, row - 1)
        for k in range(0, NOISE, NR):
            score_tile(C + i * size, R_noise + k * size, vectors, noise + 4 * (i * row + k), row)
    loss: float = logistic(S, W, H, BATCH * row // LANES)
    set_steps(sizes, batch, scratch, rate)

    v, stride = address(problem.center), problem.center.shape[1]
    ids, steps = address(batch.centers), address(scratch.center_steps)
    for i in range(0, BATCH, MR):
        step_rows(
            vectors,
            Rows(v, stride, ids + 4 * i, steps + 4 * i),
            Terms(near + 4 * i * row, row - 1, 1, band, R + i * size),
            Terms(noise + 4 * i * row, row, 1, NOISE, R_noise),
        )
    u, stride = address(problem.outside), problem.outside.shape[1]
    ids, steps = address(batch.outside), address(scratch.outside_steps)
    nothing = Terms(S, 0, 0, 0, C)
    for j in range(0, contexts, MR):
        i = max(0, j - 2 * m)
        count = min(BATCH, j + MR) - i
        step_rows(
            vectors,
            Rows(u, stride, ids + 4 * j, steps + 4 * j),
            Terms(near + 4 * (i * (row - 1) + j), 1, row - 1, count, C + i * size),
            nothing,
        )
    for k in range(0, NOISE, MR):
        j = contexts + k
        step_rows(
            vectors,
            Rows(u, stride, ids + 4 * j, steps + 4 * j),
            Terms(noise + 4 * k, 1, row, BATCH, C),
            nothing,
        )
    return loss


@compiled
def train(
    problem: Problem,
    sizes: Sizes,
    source: Source,
    batches: tuple[Batch, Batch],
    scratch: Scratch,
    rates: tuple[float, float],
    seed: np.uint64,
) -> tuple[int, float, float]:
    """Train once on a text that fits the scratch memory.

    Parameters
    ----------
    rates
        The learning rate at the start and at the end; it changes linearly.
    seed
        The seed of everything that is random.

    Returns
    -------
    words, pairs, loss
        See `w2v.engines.Tally`.
    """
    scratch.state[0] = seed
    words, kept = subsample(problem, sizes, source, scratch)
    current, following = batches
    current.pairs[1] = following.pairs[1] = 0.0
    pairs = loss = 0.0
    first = 0
    if kept > 0:
        draw_batch(problem, sizes, scratch, first, current)
    for first in range(0, kept, BATCH):
        if first + BATCH < kept:
            # Batches are drawn one ahead, so that their rows arrive from memory in time.
            draw_batch(problem, sizes, scratch, first + BATCH, following)
            prefetch_rows(problem.center, following.centers, sizes.vectors * LANES)
            prefetch_rows(problem.outside, following.outside, sizes.vectors * LANES)
        rate = np.float32(rates[0] + (rates[1] - rates[0]) * first / kept)
        loss += update(problem, sizes, current, scratch, rate)
        pairs += current.pairs[0]
        current, following = following, current
    return words, pairs, loss

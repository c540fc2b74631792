"""The compiled loops of ``engine=numba``: the step of negative sampling, on several threads.

`train` is called by each of the threads, with the same arguments but for its scratch memory. The
work is cut into jobs, whose results depend on the seed and the settings alone, and which any thread
may take (see `w2v.engines.jobs`). There are four kinds, in this order:

1. `subsample` a block of the text.
2. `plan` a step: copy its words, draw its noise, and list where each word occurs.
3. `compute_strip`: the gradients of a strip of the text, from the model as it was before the step.
   They are written to a buffer, one row for each word of the text or of the noise. A word that the
   step has only once moves at once.
4. `move`: for some other words, sum their gradients in the order of the text and move their rows of
   the model.

A strip is a number of *tiles*, each of `CENTERS` adjacent positions of the sub-sampled text. Let
C (CENTERS x d) hold a tile's center rows, and R the outside rows: those of the text from m
positions before the tile to m after it, then those of `NOISE` noise words. A tile takes three small
matrix products (``w2v/README.md``, "Everything is one shape"): the scores S = C Rᵀ, then G R and
Gᵀ C with G = ∂J/∂S. A pair at distance j has the weight of that distance, or zero where its words
are in different documents. A noise word has K / `NOISE` times the summed weight of the center's
pairs.

Only the scores near the diagonal of S are needed. They are stored by center:

    (center i, context j)  at  i * row + j - i + MR - 1
    (center i, noise k)    at  i * row + band + MR - 1 + k

Positions are linear in i and j, so a block of S has a constant stride. A block of `MR` centers may
reach beyond the windows of some of them, to entries whose weight is zero.

The products work on blocks of sums that stay in vector registers, and the logistic function on
whole vectors (see `w2v.engines.simd`). LLVM achieves neither with loops over single numbers.
``NUMBA_DISABLE_JIT=1`` does not work here.
"""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v import sampling
from w2v.engines.jobs import finish, make_jobs, take, wait
from w2v.engines.negative_sampling import CENTERS, NOISE
from w2v.engines.simd import (
    LANES,
    add,
    address,
    compiled,
    divide,
    greater,
    high_half,
    inlined,
    load,
    load_address,
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
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

MR, NR = 4, 2
"""Center rows and outside rows in a block of scores. Its eight sums are enough to hide the latency
of two multiply-adds a cycle. The functions are written out for these sizes."""

MAX_VECTORS = 4 if LANES == 16 else 3
"""Vectors of each row in a block of gradients. `MR` times as many sums, with their operands, fit
the 32 registers of AVX-512, or fill the sixteen of AVX2."""

ALONE = -2
"""What `Plans` has in place of the row after, for a row whose word has no other row in the step."""

TINY = np.float32(1e-30)
"""What a curvature of zero is taken for."""

AHEAD = 4
"""How many words before its turn a word's rows are prefetched."""

LINE = 16
"""Float32 numbers in a cache line."""

BLOCK = 4096
"""Tokens that are sub-sampled at a time."""

STRIP = 64
"""The least center words in a strip. Fewer would make threads write more: a strip has rows of the
buffer for 2 m words around it, too."""

WORDS = 32
"""Words that are moved at a time."""


class Problem(NamedTuple):
    """The model and the settings, which all threads share.

    Attributes
    ----------
    center, outside : float32 (V, width)
        Updated in place. Rows start on cache lines, and are zero from column d on.
    keep : uint32 (V,)
        See `w2v.sampling.keep_thresholds`.
    threshold, alias : uint32 (V,), int32 (V,)
        The noise distribution; see `w2v.sampling.NoiseDistribution`.
    pair_weights : float32 (2 m + 1,)
        The weight of a pair by its distance, from -m to m.
    sums : float32 (2 m + 2,)
        The sums of none, one, two ... of these weights.
    negatives
        K, the number of noise words per pair.
    """

    center: F32
    outside: F32
    keep: U32
    threshold: U32
    alias: I32
    pair_weights: F32
    sums: F32
    negatives: np.float32


class Source(NamedTuple):
    """The documents to train on; see `w2v.text.tokens.Text`.

    Attributes
    ----------
    tokens, ids : int32 (n,), int32 (types,)
        Read-only.
    starts, ends : int64 (documents,)
        For each document, what to add to a position in the shard to get its place in ``tokens``;
        and the position in the shard at which it ends.
    """

    tokens: I32
    ids: I32
    starts: I64
    ends: I64


class Sizes(NamedTuple):
    """The sizes of a tile, a strip and a step, made by `make_sizes`.

    Attributes
    ----------
    window
        m, the largest distance of a pair.
    band
        How many context rows a block of `MR` centers is scored with.
    row
        How many scores are stored for a center.
    contexts
        How many context rows a tile has, rounded up to whole blocks.
    vectors
        How many vectors a row has.
    step
        The center words of a step.
    strip
        The tiles of a strip.
    slots
        The rows that a strip has in the buffer of gradients of outside rows: its context rows,
        then its noise words.
    """

    window: int
    band: int
    row: int
    contexts: int
    vectors: int
    step: int
    strip: int
    slots: int


class Plans(NamedTuple):
    """What is known of some steps before they are taken. Arrays have a row for each step.

    The rows of the buffer that belong to one word are a list: `center_words` and `outside_words`
    have the words with several rows, `center_heads` and `outside_heads` the first row of each, and
    `center_next` and `outside_next` the row after a row, -1 after the last, or `ALONE`.

    Attributes
    ----------
    ids, documents : int32 (n, step + CENTERS + 2 m)
        The words from m before the step to m after it, and their documents; -1 where there is none.
    noise : int32 (n, step / CENTERS * NOISE)
    center_words, center_heads, center_next : int32 (n, step)
    outside_words, outside_heads, outside_next : int32 (n, strips * slots)
    """

    ids: I32
    documents: I32
    noise: I32
    center_words: I32
    center_heads: I32
    center_next: I32
    outside_words: I32
    outside_heads: I32
    outside_next: I32


class Buffer(NamedTuple):
    """The gradients of a step, by row.

    Attributes
    ----------
    center : float32 (step, width)
        -∂J/∂C.
    outside : float32 (strips * slots, width)
        -∂J/∂R.
    center_curvature, outside_curvature : float32, one for each row
        The row's part of h (``w2v/README.md``, "Kept stable").
    """

    center: F32
    outside: F32
    center_curvature: F32
    outside_curvature: F32


class Shard(NamedTuple):
    """What is written about a shard, for later jobs and for the engine.

    Attributes
    ----------
    jobs : int64 (phases, 16)
        See `w2v.engines.jobs`.
    ids, documents : int32 (n,)
        The words that are kept, those of block b from b * `BLOCK` on, and their documents.
    words, kept : int64 (blocks,)
        The words of each block before and after sub-sampling.
    starts : int64 (blocks + 1,)
        The words that are kept before each block, and in all.
    several : int64 (steps, 2)
        The number of center words and of outside words with several rows, for each step.
    tallies : float64 (strips, 2)
        The summed weight of the pairs and the loss of each strip.
    """

    jobs: I64
    ids: I32
    documents: I32
    words: I64
    kept: I64
    starts: I64
    several: I64
    tallies: F64


class Scratch(NamedTuple):
    """The working memory of a thread.

    Attributes
    ----------
    bits, more_bits : uint32 (BLOCK,)
        Random numbers.
    heads : int32 (V,)
        The last row of each word that was added to its list; -1 if there is none.
    weights : float32 (2, CENTERS * row)
        The weight of each score, negative for noise: of a tile, and of any tile inside a document.
    inside_pairs : float64 (1,)
        The summed weight of the pairs of the latter; 0 if it was not computed yet.
    C, N, R : float32, rows of width
        The rows of a tile's centers and noise words, and of a strip's contexts.
    center_norms, noise_norms, norms : float32
        Their squared lengths.
    scores, curvature : float32 (CENTERS * row,)
    mask : float32 (NOISE + 2 m + 1, rounded up to whole vectors)
        1 for each noise word and each context of a center, then 0.
    sums : float32 (MR, contexts + NOISE + at least 2 m + 1)
        See `sum_curvature`.
    out, old, steps : int64, int64 and float32, (CENTERS + contexts + NOISE,)
        See `Targets`.
    zeros : float32 (width,)
    """

    bits: U32
    more_bits: U32
    heads: I32
    weights: F32
    inside_pairs: F64
    C: F32
    N: F32
    R: F32
    center_norms: F32
    noise_norms: F32
    norms: F32
    scores: F32
    curvature: F32
    mask: F32
    sums: F32
    out: I64
    old: I64
    steps: F32
    zeros: F32


class Targets(NamedTuple):
    """Where the gradients of rows go: to ``old + step * gradient``.

    That is the row's place in the buffer, with a row of zeros for ``old`` and a step of 1; or the
    row of the model, if no other row of the step belongs to the same word.

    Attributes
    ----------
    out, old
        The addresses of arrays of addresses, int64.
    steps
        The address of an array of float32.
    """

    out: int
    old: int
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


def make_sizes(dim: int, window: int, step: int) -> Sizes:
    """Return the sizes for vectors of ``dim`` numbers and steps of ``step`` center words."""
    band = 2 * window + MR
    contexts = round_up(CENTERS + 2 * window, MR)
    # The rows around a strip are at most as many as those of its centers.
    strip = min(-(-max(STRIP, 2 * window) // CENTERS), -(-step // CENTERS))
    slots = (strip - 1) * CENTERS + contexts + strip * NOISE
    return Sizes(
        window, band, band + MR - 1 + NOISE, contexts, -(-dim // LANES), step, strip, slots
    )


def make_plans(sizes: Sizes, steps: int) -> Plans:
    """Return memory for the plans of a number of steps."""
    rows = -(-sizes.step // (sizes.strip * CENTERS)) * sizes.slots
    length = sizes.step + CENTERS + 2 * sizes.window
    widths = (length, length, sizes.step // CENTERS * NOISE, *3 * [sizes.step], *3 * [rows])
    return Plans(*(np.zeros((steps, width), np.int32) for width in widths))


def make_buffer(sizes: Sizes) -> Buffer:
    """Return memory for the gradients of a step."""
    rows = -(-sizes.step // (sizes.strip * CENTERS)) * sizes.slots
    width = sizes.vectors * LANES
    return Buffer(
        aligned_zeros(sizes.step, width),
        aligned_zeros(rows, width),
        np.zeros(sizes.step, np.float32),
        np.zeros(rows, np.float32),
    )


def make_shard(sizes: Sizes, tokens: int, plans: int) -> Shard:
    """Return memory for what is written about a shard of so many tokens."""
    blocks, steps = -(-tokens // BLOCK), -(-tokens // sizes.step)
    strips = -(-sizes.step // (sizes.strip * CENTERS))
    return Shard(
        make_jobs(2 + -(-steps // plans) + 2 * steps),
        np.empty(tokens, np.int32),
        np.empty(tokens, np.int32),
        np.zeros(blocks, np.int64),
        np.zeros(blocks, np.int64),
        np.zeros(blocks + 1, np.int64),
        np.zeros((steps, 2), np.int64),
        np.zeros((steps * strips, 2)),
    )


def make_scratch(sizes: Sizes, words: int) -> Scratch:
    """Return working memory for a vocabulary of ``words`` words."""
    width, pairs = sizes.vectors * LANES, 2 * sizes.window + 1
    contexts, rows = (sizes.strip - 1) * CENTERS + sizes.contexts, CENTERS + sizes.contexts + NOISE
    scores, curvature = aligned_zeros(2, CENTERS * sizes.row + LANES)
    mask = np.zeros(NOISE + round_up(pairs, LANES), np.float32)
    mask[: NOISE + pairs] = 1
    return Scratch(
        bits=np.zeros(BLOCK, np.uint32),
        more_bits=np.zeros(BLOCK, np.uint32),
        heads=np.full(words, -1, np.int32),
        weights=aligned_zeros(2, CENTERS * sizes.row),
        inside_pairs=np.zeros(1),
        C=aligned_zeros(CENTERS, width),
        N=aligned_zeros(NOISE, width),
        R=aligned_zeros(contexts, width),
        center_norms=np.zeros(CENTERS, np.float32),
        noise_norms=np.zeros(NOISE, np.float32),
        norms=np.zeros(contexts + LANES, np.float32),
        scores=scores,
        curvature=curvature,
        mask=mask,
        sums=aligned_zeros(MR, sizes.contexts + NOISE + LANES),
        out=np.zeros(rows, np.int64),
        old=np.zeros(rows, np.int64),
        steps=np.zeros(rows, np.float32),
        zeros=np.zeros(width, np.float32),
    )


# ---------------------------------------------------------------- products


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
def put_row(targets: Targets, p: int, column: int, sums: Any) -> None:
    """Write the sums of row ``p`` to its target, from ``column`` on."""
    step = splat(load_float(targets.steps, p))
    old = load_each(sums, load_address(targets.old, p), column)
    store_each(multiply_add_each(step, sums, old), load_address(targets.out, p), column)


@compiled
def gradient_block(
    terms: Terms, more: Terms, width: int, column: int, sums: int, targets: Targets, zero: Any
) -> None:
    """Compute the gradients of `MR` rows over some columns, and write them to their targets.

    Parameters
    ----------
    sums
        The address of what to add to; 0 for nothing.
    zero
        A tuple of zero vectors, as many as there are in those columns.
    """
    if sums:
        sums0 = load_each(zero, sums, column)
        sums1 = load_each(zero, sums, width + column)
        sums2 = load_each(zero, sums, 2 * width + column)
        sums3 = load_each(zero, sums, 3 * width + column)
        tile = add_terms(terms, width, column, (sums0, sums1, sums2, sums3))
    else:
        tile = add_terms(terms, width, column, (zero, zero, zero, zero))
    sums0, sums1, sums2, sums3 = add_terms(more, width, column, tile)
    put_row(targets, 0, column, sums0)
    put_row(targets, 1, column, sums1)
    put_row(targets, 2, column, sums2)
    put_row(targets, 3, column, sums3)


@compiled
def gradient_rows(vectors: int, terms: Terms, more: Terms, sums: int, targets: Targets) -> None:
    """Compute the gradients of `MR` rows, in blocks of up to `MAX_VECTORS` vectors."""
    zero, width = splat(0), vectors * LANES
    column, left = 0, vectors
    for blocks in range(-(-vectors // MAX_VECTORS), 0, -1):
        size = -(-left // blocks)
        if size == 4:
            gradient_block(terms, more, width, column, sums, targets, (zero, zero, zero, zero))
        elif size == 3:
            gradient_block(terms, more, width, column, sums, targets, (zero, zero, zero))
        elif size == 2:
            gradient_block(terms, more, width, column, sums, targets, (zero, zero))
        else:
            gradient_block(terms, more, width, column, sums, targets, (zero,))
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

    One division serves all three: with e = exp(-|x|), log(1 + e) = 2 artanh(e / (2 + e)).

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
    zero, half, one, two, huge = splat(0), splat(0.5), splat(1), splat(2), splat(1e30)
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
        largest = select(greater(a, two), select(greater(a, huge), huge, a), two)
        qr = multiply(q, r)
        every = divide(one, multiply(qr, largest))
        inverse = multiply(every, largest)
        z = multiply(multiply(e, q), inverse)
        log = multiply(z, polynomial(multiply(z, z), ARTANH))
        sigma = multiply(multiply(r, inverse), select(is_positive, one, e))
        loss = add(log, multiply(half, add(a, x)))
        total = multiply_add(size, loss, total)
        store(multiply(weight, sigma), scores, k)
        store(multiply(multiply(half, size), multiply(every, qr)), curvature, k)
    loss_sum: float = sum_lanes(total)
    return loss_sum


# ---------------------------------------------------------------- sub-sampling and plans

threefry = inlined(sampling.threefry)


@compiled
def fill_bits(key: sampling.Key, purpose: int, first: int, bits: U32, more: U32) -> None:
    """Make the draws from number ``first`` on; see `w2v.sampling.draw`."""
    stream = np.uint32(purpose)
    for i in range(len(bits)):
        bits[i], more[i] = threefry(key.first, key.second, np.uint32(first + i), stream)


@compiled
def subsample(
    problem: Problem, source: Source, key: sampling.Key, block: int, shard: Shard, scratch: Scratch
) -> None:
    """Write down which words of a block are kept."""
    position, end = block * BLOCK, min((block + 1) * BLOCK, source.ends[-1])
    fill_bits(key, SUBSAMPLING, position, scratch.bits[: end - position], scratch.more_bits)
    bits, keep = scratch.bits, problem.keep
    first = place = position
    words = 0
    document = np.searchsorted(source.ends, position, "right")
    while position < end:
        while source.ends[document] <= position:
            document += 1
        start = source.starts[document]
        for t in range(position, min(end, source.ends[document])):
            word = source.ids[source.tokens[start + t]]
            # Every word is written, and the next one overwrites it unless it is kept: a branch
            # on a random number would often be mispredicted.
            shard.ids[place] = word
            shard.documents[place] = document
            if word >= 0:
                words += 1
                place += bits[t - first] <= keep[word]
        position = min(end, source.ends[document])
    shard.words[block] = words
    shard.kept[block] = place - first


@compiled
def add_up(shard: Shard) -> None:
    """Fill in how many words are kept before each block."""
    for block in range(len(shard.kept)):
        shard.starts[block + 1] = shard.starts[block] + shard.kept[block]


@compiled
def copy_kept(shard: Shard, first: int, ids: I32, documents: I32) -> None:
    """Copy the words that are kept, from the one with number ``first`` on; -1 beyond the ends."""
    starts, end = shard.starts, min(first + len(ids), shard.starts[-1])
    n = max(first, 0)
    ids[: n - first] = documents[: n - first] = -1
    block = np.searchsorted(starts, n, "right") - 1
    while n < end:
        place = block * BLOCK - starts[block]
        stop = min(end, starts[block + 1])
        for k in range(n, stop):
            ids[k - first] = shard.ids[place + k]
            documents[k - first] = shard.documents[place + k]
        n = stop
        block += 1
    ids[n - first :] = documents[n - first :] = -1


@inlined
def add_row(word: int, row: int, count: int, heads: I32, words: I32, following: I32) -> int:
    """Put a row before the others of its word, and return the number of words with rows."""
    head = heads[word]
    following[row] = head
    heads[word] = row
    words[count] = word
    return int(count + (head < 0))


@compiled
def take_heads(heads: I32, words: I32, count: int, first: I32, following: I32) -> int:
    """Write down the first row of each word with several rows, and empty the lists.

    Returns the number of those words.
    """
    several = 0
    for n in range(count):
        word = words[n]
        row = heads[word]
        heads[word] = -1
        # Every word is written, and the next one overwrites it unless it is one of those.
        words[several], first[several] = word, row
        if following[row] < 0:
            following[row] = ALONE
        else:
            several += 1
    return several


@compiled
def plan(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    step: int,
    plans: Plans,
    shard: Shard,
    scratch: Scratch,
) -> None:
    """Plan a step."""
    m, n, heads = sizes.window, step % len(plans.ids), scratch.heads
    ids, noise = plans.ids[n], plans.noise[n]
    copy_kept(shard, step * sizes.step - m, ids, plans.documents[n])
    size = np.uint64(len(problem.alias))
    for first in range(0, len(noise), BLOCK):
        bits, more = scratch.bits[: len(noise) - first], scratch.more_bits
        fill_bits(key, NOISE_WORDS, step * len(noise) + first, bits, more)
        for k in range(len(bits)):
            cell = np.int64((np.uint64(bits[k]) * size) >> np.uint64(32))
            is_cell = more[k] < problem.threshold[cell]
            noise[first + k] = cell if is_cell else problem.alias[cell]
    # From the end on, so that each list has its rows in the order of the text.
    centers = step_centers(sizes, shard, step)
    words, following = plans.center_words[n], plans.center_next[n]
    following[:] = -1  # also the rows of no word
    count = 0
    for i in range(centers - 1, -1, -1):
        count = add_row(ids[m + i], i, count, heads, words, following)
    shard.several[step, 0] = take_heads(heads, words, count, plans.center_heads[n], following)
    words, following = plans.outside_words[n], plans.outside_next[n]
    following[:] = -1
    count = 0
    tiles = -(-centers // CENTERS)
    for strip in range((tiles - 1) // sizes.strip, -1, -1):
        first = strip * sizes.strip
        last = min(first + sizes.strip, tiles)
        row = strip * sizes.slots + sizes.slots - sizes.strip * NOISE
        for k in range((last - first) * NOISE - 1, -1, -1):
            count = add_row(noise[first * NOISE + k], row + k, count, heads, words, following)
        row = strip * sizes.slots
        for j in range((last - first) * CENTERS + 2 * m - 1, -1, -1):
            word = ids[first * CENTERS + j]
            if word >= 0:
                count = add_row(word, row + j, count, heads, words, following)
    shard.several[step, 1] = take_heads(heads, words, count, plans.outside_heads[n], following)


@inlined
def step_centers(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of center words of a step."""
    return int(min(sizes.step, shard.starts[-1] - step * sizes.step))


# ---------------------------------------------------------------- gradients


@compiled
def fill_weights(problem: Problem, sizes: Sizes, documents: I32, weights: F32) -> float:
    """Fill in the weights of a tile and return their sum over pairs.

    ``documents`` are those of its context rows, and never fall.
    """
    m, count = sizes.window, CENTERS + 2 * sizes.window
    first = end = 0  # the context rows of the center's document
    total = np.float64(0)
    for i in range(CENTERS):
        start = i * sizes.row + MR - 1
        document = documents[m + i]
        low = high = 0
        if document >= 0:
            while documents[first] != document:
                first += 1
            while end < count and (end <= m + i or documents[end] == document):
                end += 1
            low, high = max(first - i, 0), min(end - i, 2 * m + 1)
        for j in range(2 * m + 1):
            is_pair = (j >= low) & (j < high)
            weights[start + j] = problem.pair_weights[j] if is_pair else np.float32(0)
        pairs = problem.sums[high] - problem.sums[low]
        total += pairs
        start += sizes.band
        share = -pairs * problem.negatives / np.float32(NOISE)
        for k in range(NOISE):
            weights[start + k] = share
    return total


@compiled
def choose_weights(
    problem: Problem, sizes: Sizes, documents: I32, scratch: Scratch
) -> tuple[int, float]:
    """Return the address of a tile's weights and their sum over pairs; see `fill_weights`."""
    last = documents[CENTERS + 2 * sizes.window - 1]
    inside = documents[0] >= 0 and documents[0] == last
    weights = scratch.weights[np.int64(inside)]
    if not inside or scratch.inside_pairs[0] == 0:
        pairs = fill_weights(problem, sizes, documents, weights)
        if inside:
            scratch.inside_pairs[0] = pairs
        return address(weights), pairs
    return address(weights), scratch.inside_pairs[0]


@compiled
def prefetch_rows(matrix: F32, ids: I32, width: int) -> None:
    """Start to load the rows that will soon be read."""
    base, stride = address(matrix), matrix.shape[1]
    for word in ids:
        if word >= 0:
            for k in range(0, width, LINE):
                prefetch(base, np.int64(word) * stride + k)


@inlined
def copy_row(matrix: int, word: int, stride: int, out: int, width: int) -> Any:
    """Copy a row, zeros for an id of -1, and return a vector whose lanes sum to its length squared.

    ``matrix`` and ``out`` are addresses: of the matrix, and of the copy.
    """
    total = splat(0)
    if word >= 0:
        for k in range(0, width, LANES):
            values = load(matrix, np.int64(word) * stride + k)
            store(values, out, k)
            total = multiply_add(values, values, total)
    else:
        for k in range(0, width, LANES):
            store(splat(0), out, k)
    return total


@compiled
def gather_rows(matrix: F32, ids: I32, rows: F32, norms: F32) -> None:
    """Copy rows, whose number is a multiple of `MR`, and compute their squared lengths."""
    base, stride, width = address(matrix), matrix.shape[1], rows.shape[1]
    out, size = address(rows), 4 * rows.shape[1]
    for j in range(0, len(ids), MR):
        sums = sum_lanes_of_four(
            copy_row(base, ids[j], stride, out + j * size, width),
            copy_row(base, ids[j + 1], stride, out + (j + 1) * size, width),
            copy_row(base, ids[j + 2], stride, out + (j + 2) * size, width),
            copy_row(base, ids[j + 3], stride, out + (j + 3) * size, width),
        )
        store(sums, address(norms), j)


@inlined
def add_curvature(H: int, norms: int, norm: float, sums: int, mask: int, vectors: int) -> Any:
    """Add a center's curvatures to the sums of the outside rows and return its own sum, by lanes.

    Parameters
    ----------
    H, mask
        The addresses of the curvatures and of the factors, 1 or 0, that select some of them.
    norms, sums
        The addresses of the outside rows' squared lengths, and of their sums.
    norm
        The squared length of the center.
    """
    factor, total = splat(norm), splat(0)
    for k in range(0, vectors * LANES, LANES):
        values = multiply(load(H, k), load(mask, k))
        total = multiply_add(values, load(norms, k), total)
        store(multiply_add(values, factor, load(sums, k)), sums, k)
    return total


@inlined
def center_curvature(sizes: Sizes, scratch: Scratch, norms: int, i: int, p: int) -> Any:
    """Return the curvature of center ``i + p``, by lanes; see `sum_curvature`."""
    sums = address(scratch.sums) + 4 * p * scratch.sums.shape[1]
    H = address(scratch.curvature) + 4 * ((i + p) * sizes.row + MR - 1)
    norm, mask = scratch.center_norms[i + p], address(scratch.mask)
    of_contexts = add_curvature(
        H,
        norms + 4 * (i + p),
        norm,
        sums + 4 * (i + p),
        mask + 4 * NOISE,
        scratch.mask.size // LANES - NOISE // LANES,
    )
    of_noise = add_curvature(
        H + 4 * sizes.band,
        address(scratch.noise_norms),
        norm,
        sums + 4 * sizes.contexts,
        mask,
        NOISE // LANES,
    )
    return add(of_contexts, of_noise)


@compiled
def sum_curvature(sizes: Sizes, scratch: Scratch, norms: int, out: F32) -> None:
    """Add up the curvature of each row of a tile.

    The sums of the centers go to ``out``. Those of the outside rows go to `MR` rows of the scratch
    memory, to be added: what is stored can only be loaded again some cycles later.

    Parameters
    ----------
    norms
        The address of the squared lengths of the contexts.
    """
    scratch.sums[:] = 0
    for i in range(0, CENTERS, MR):
        sums = sum_lanes_of_four(
            center_curvature(sizes, scratch, norms, i, 0),
            center_curvature(sizes, scratch, norms, i, 1),
            center_curvature(sizes, scratch, norms, i, 2),
            center_curvature(sizes, scratch, norms, i, 3),
        )
        store(sums, address(out), i)


@compiled
def compute_scores(sizes: Sizes, scratch: Scratch, W: int, R: int) -> float:
    """Compute a tile's -∂J/∂S, and its curvatures; return its loss.

    Parameters
    ----------
    W, R
        The addresses of the weights and of the context rows.
    """
    band, row, vectors = sizes.band, sizes.row, sizes.vectors
    C, N, S = address(scratch.C), address(scratch.N), address(scratch.scores)
    size = 4 * vectors * LANES  # bytes of a row
    near = S + 4 * (MR - 1)
    far = near + 4 * band
    for i in range(0, CENTERS, MR):
        for j in range(i, i + band, NR):
            out = near + 4 * (i * (row - 1) + j)
            score_tile(C + i * size, R + j * size, vectors, out, row - 1)
        for k in range(0, NOISE, NR):
            score_tile(C + i * size, N + k * size, vectors, far + 4 * (i * row + k), row)
    loss: float = logistic(S, W, address(scratch.curvature), CENTERS * row // LANES)
    return loss


@compiled
def compute_gradients(sizes: Sizes, scratch: Scratch, R: int, dR: int, follows: bool) -> None:
    """Compute the gradients of a tile and write them to their targets.

    Parameters
    ----------
    R, dR
        The addresses of the context rows, and of their places in the buffer.
    follows
        Whether the tile before has written to the first of those.
    """
    m, band, row, contexts, vectors = sizes[:5]
    C, N, S = address(scratch.C), address(scratch.N), address(scratch.scores)
    out, old, steps = address(scratch.out), address(scratch.old), address(scratch.steps)
    size = 4 * vectors * LANES  # bytes of a row
    near = S + 4 * (MR - 1)
    far = near + 4 * band
    nothing = Terms(S, 0, 0, 0, C)
    for i in range(0, CENTERS, MR):
        of_contexts = Terms(near + 4 * i * row, row - 1, 1, band, R + i * size)
        of_noise = Terms(far + 4 * i * row, row, 1, NOISE, N)
        targets = Targets(out + 8 * i, old + 8 * i, steps + 4 * i)
        gradient_rows(vectors, of_contexts, of_noise, 0, targets)
    for j in range(0, contexts, MR):
        i = max(0, j - 2 * m)
        count = min(CENTERS, j + MR) - i
        terms = Terms(near + 4 * (i * (row - 1) + j), 1, row - 1, count, C + i * size)
        sums = dR + j * size if follows and j < contexts - CENTERS else 0
        n = CENTERS + j
        targets = Targets(out + 8 * n, old + 8 * n, steps + 4 * n)
        gradient_rows(vectors, terms, nothing, sums, targets)
    for k in range(0, NOISE, MR):
        terms = Terms(far + 4 * k, 1, row, CENTERS, C)
        n = CENTERS + contexts + k
        targets = Targets(out + 8 * n, old + 8 * n, steps + 4 * n)
        gradient_rows(vectors, terms, nothing, 0, targets)


@inlined
def limit(rate: np.float32, curvature: np.float32) -> np.float32:
    """Return the learning rate of a row: 2 / h where more could overshoot.

    With 1 / h the model would be biased: a noise word stands for so many pairs that the limit would
    apply to it more often than to the same word as a context.
    """
    longest = np.float32(2) / max(curvature, TINY)
    return longest if longest < rate else rate


@compiled
def choose_targets(
    matrix: F32,
    ids: I32,
    following: I32,
    curvature: F32,
    rate: np.float32,
    copies: int,
    places: int,
    scratch: Scratch,
    first: int,
) -> None:
    """Choose where the gradients of some rows go; see `Targets`.

    Parameters
    ----------
    copies, places
        The addresses of the rows as they are before the step, and of their places in the buffer.
    first
        Where to write the choice in the scratch memory.
    """
    model, stride, size = address(matrix), np.int64(4 * matrix.shape[1]), 4 * scratch.C.shape[1]
    zeros, one = address(scratch.zeros), np.float32(1)
    for j in range(len(ids)):
        # Without branches, which would often be mispredicted.
        alone = following[j] == ALONE
        step = limit(rate, curvature[j])
        row, place = model + ids[j] * stride, places + j * size
        scratch.out[first + j] = row if alone else place
        scratch.old[first + j] = copies + j * size if alone else zeros
        scratch.steps[first + j] = step if alone else one


@compiled
def compute_strip(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """Compute the gradients and the tally of a strip."""
    m, contexts, width = sizes.window, sizes.contexts, sizes.vectors * LANES
    size, n = 4 * width, step % len(plans.ids)
    ids, noise, documents = plans.ids[n], plans.noise[n], plans.documents[n]
    tiles = -(-step_centers(sizes, shard, step) // CENTERS)
    first, last = strip * sizes.strip, min((strip + 1) * sizes.strip, tiles)
    slot = strip * sizes.slots
    noise_slot = slot + sizes.slots - sizes.strip * NOISE
    curvature = buffer.outside_curvature
    curvature[slot:noise_slot] = 0
    dC, dR = address(buffer.center), address(buffer.outside)
    pairs = loss = np.float64(0)
    known = 0  # context rows of the strip in the scratch memory
    start = first * CENTERS
    # More of them arrive at a time than when they are copied one after the other.
    prefetch_rows(problem.center, ids[start + m : start + m + CENTERS], width)
    prefetch_rows(problem.outside, ids[start : start + contexts], width)
    prefetch_rows(problem.outside, noise[first * NOISE : (first + 1) * NOISE], width)
    for tile in range(first, last):
        start, place = tile * CENTERS, (tile - first) * CENTERS
        end = start + contexts
        if tile + 1 < last:
            # The rows of the next tile arrive from memory while this one is computed.
            prefetch_rows(problem.center, ids[start + m + CENTERS : start + m + 2 * CENTERS], width)
            prefetch_rows(problem.outside, ids[end : end + CENTERS], width)
            prefetch_rows(problem.outside, noise[(tile + 1) * NOISE : (tile + 2) * NOISE], width)
        weights, tile_pairs = choose_weights(problem, sizes, documents[start:], scratch)
        pairs += tile_pairs
        centers, near = ids[start + m : start + m + CENTERS], ids[start:end]
        far = noise[tile * NOISE : (tile + 1) * NOISE]
        gather_rows(problem.center, centers, scratch.C, scratch.center_norms)
        new = ids[first * CENTERS + known : end]
        gather_rows(problem.outside, new, scratch.R[known:], scratch.norms[known:])
        known = place + contexts
        gather_rows(problem.outside, far, scratch.N, scratch.noise_norms)
        R = address(scratch.R) + place * size
        loss += compute_scores(sizes, scratch, weights, R)

        of_centers = buffer.center_curvature[start : start + CENTERS]
        sum_curvature(sizes, scratch, address(scratch.norms) + 4 * place, of_centers)
        a, b, c, d = scratch.sums[0], scratch.sums[1], scratch.sums[2], scratch.sums[3]
        row, k = slot + place, noise_slot + (tile - first) * NOISE
        for j in range(contexts):
            curvature[row + j] += (a[j] + b[j]) + (c[j] + d[j])
        for j in range(NOISE):
            i = contexts + j
            curvature[k + j] = (a[i] + b[i]) + (c[i] + d[i])

        following, C, N = plans.center_next[n], address(scratch.C), address(scratch.N)
        choose_targets(
            problem.center,
            centers,
            following[start:],
            of_centers,
            rate,
            C,
            dC + start * size,
            scratch,
            0,
        )
        following = plans.outside_next[n]
        choose_targets(
            problem.outside,
            near,
            following[row:],
            curvature[row:],
            rate,
            R,
            dR + row * size,
            scratch,
            CENTERS,
        )
        if tile + 1 < last:  # the next tile adds to the last rows
            for j in range(CENTERS, contexts):
                scratch.out[CENTERS + j] = dR + (row + j) * size
                scratch.old[CENTERS + j] = address(scratch.zeros)
                scratch.steps[CENTERS + j] = 1
        choose_targets(
            problem.outside,
            far,
            following[k:],
            curvature[k:],
            rate,
            N,
            dR + k * size,
            scratch,
            CENTERS + contexts,
        )
        compute_gradients(sizes, scratch, R, dR + row * size, tile > first)
    strips = -(-sizes.step // (sizes.strip * CENTERS))
    shard.tallies[step * strips + strip, 0] = pairs
    shard.tallies[step * strips + strip, 1] = loss


# ---------------------------------------------------------------- moving


@inlined
def add_sums(
    first: Any, following: int, gradients: int, width: int, step: Any, out: int, zero: Any
) -> None:
    """Add the sum of a list of rows, times ``step``, to a row of the model, over some columns.

    Parameters
    ----------
    first, following
        The first row, and the address of the row after each.
    gradients, out
        The addresses of the first of the columns.
    zero
        A tuple of zero vectors, as many as there are in those columns.
    """
    one, row = splat(1), first
    sums = load_each(zero, gradients, np.int64(row) * width)
    row = load_int(following, row)
    while row >= 0:
        sums = multiply_add_each(one, load_each(zero, gradients, np.int64(row) * width), sums)
        row = load_int(following, row)
    store_each(multiply_add_each(step, sums, load_each(zero, out, 0)), out, 0)


@compiled
def move_words(
    matrix: F32,
    gradients: F32,
    curvature: F32,
    words: I32,
    heads: I32,
    following: I32,
    rate: np.float32,
) -> None:
    """Move the model's rows of some words along the sums of their gradients."""
    # The model's rows are padded to whole cache lines, those of the buffer to whole vectors.
    zero, stride, width = splat(0), matrix.shape[1], gradients.shape[1]
    base, model, after = address(gradients), address(matrix), address(following)
    h = address(curvature)
    for n in range(len(words)):
        if n + AHEAD < len(words):
            for k in range(0, width, LINE):
                prefetch(base, np.int64(heads[n + AHEAD]) * width + k)
                prefetch(model, np.int64(words[n + AHEAD]) * stride + k)
        head = np.int64(heads[n])
        total, row = load_float(h, head), load_int(after, head)
        while row >= 0:
            total += load_float(h, row)
            row = load_int(after, row)
        step = splat(limit(rate, total))
        out = model + np.int64(words[n]) * 4 * stride
        k = 0
        while k + 4 * LANES <= width:
            zeros = (zero, zero, zero, zero)
            add_sums(head, after, base + 4 * k, width, step, out + 4 * k, zeros)
            k += 4 * LANES
        if k + 2 * LANES <= width:
            add_sums(head, after, base + 4 * k, width, step, out + 4 * k, (zero, zero))
            k += 2 * LANES
        if k < width:
            add_sums(head, after, base + 4 * k, width, step, out + 4 * k, (zero,))


@compiled
def move(
    problem: Problem,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
) -> None:
    """Move the words of a job. The first jobs have center words, the others outside words."""
    n = step % len(plans.ids)
    jobs = -(-shard.several[step, 0] // WORDS)
    if job < jobs:
        first, last = job * WORDS, min((job + 1) * WORDS, shard.several[step, 0])
        move_words(
            problem.center,
            buffer.center,
            buffer.center_curvature,
            plans.center_words[n, first:last],
            plans.center_heads[n, first:last],
            plans.center_next[n],
            rate,
        )
    else:
        first = (job - jobs) * WORDS
        last = min(first + WORDS, shard.several[step, 1])
        move_words(
            problem.outside,
            buffer.outside,
            buffer.outside_curvature,
            plans.outside_words[n, first:last],
            plans.outside_heads[n, first:last],
            plans.outside_next[n],
            rate,
        )


@compiled
def train(
    problem: Problem,
    sizes: Sizes,
    source: Source,
    key: sampling.Key,
    rates: tuple[float, float],
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    scratch: Scratch,
) -> int:
    """Train on a shard, together with other threads that call this function.

    Parameters
    ----------
    key
        The key of all draws.
    rates
        The learning rate at the start and at the end; it changes linearly.
    scratch
        The memory of this thread; all other arguments are the same for all of them.

    Returns
    -------
    int
        The number of steps.
    """
    jobs, phase = shard.jobs, 0
    number = len(shard.kept)
    job = take(jobs, phase)
    while job < number:
        subsample(problem, source, key, job, shard, scratch)
        finish(jobs, phase)
        job = take(jobs, phase)
    wait(jobs, phase, number)
    phase += 1
    if take(jobs, phase) == 0:
        add_up(shard)
        finish(jobs, phase)
    wait(jobs, phase, 1)
    phase += 1
    steps = -(-shard.starts[-1] // sizes.step)
    for begin in range(0, steps, len(plans.ids)):
        number = min(len(plans.ids), steps - begin)
        job = take(jobs, phase)
        while job < number:
            plan(problem, sizes, key, begin + job, plans, shard, scratch)
            finish(jobs, phase)
            job = take(jobs, phase)
        wait(jobs, phase, number)
        phase += 1
        for step in range(begin, begin + number):
            number = -(-step_centers(sizes, shard, step) // (sizes.strip * CENTERS))
            rate = np.float32(rates[0] + (rates[1] - rates[0]) * step / steps)
            job = take(jobs, phase)
            while job < number:
                compute_strip(problem, sizes, step, job, plans, buffer, shard, rate, scratch)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, number)
            phase += 1
            number = -(-shard.several[step, 0] // WORDS) - (-shard.several[step, 1] // WORDS)
            job = take(jobs, phase)
            while job < number:
                move(problem, step, job, plans, buffer, shard, rate)
                finish(jobs, phase)
                job = take(jobs, phase)
            wait(jobs, phase, number)
            phase += 1
    return int(steps)

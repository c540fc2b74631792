"""Compiled code that computes the loss and the gradients of negative sampling, tile by tile.

A tile is a run of `SHARED` = 64 consecutive center words. They share noise words and are computed
together, by small matrix products (``w2v/README.md``, "Everything is one shape"). What only CBOW
needs is in ``cbow_negative_sampling.py``.

The scores are the dot products of the tile's input vectors with the output vectors of noise words
and of context words (for CBOW, of the center words, which are predicted). In the loss, the weight
of a pair depends on the distance of the two words. Let w be the summed weight of a center word's
pairs, and K the number of noise words per pair. The weight of each noise word is then
-K w / `Sizes.noise`. The minus sign marks it as a noise word.

Arrays of scores have ``row`` elements for each center word: ``band`` for context words, then those
for noise words (`Sizes`). Context words are numbered from `Sizes.reach` words before the tile;
center word i has elements for the context words i to i + ``band`` - 1. Positions are linear in i, j
and k, so blocks of scores have constant strides:

    (center i, context j)  at  i * row + j - i
    (center i, noise k)    at  i * row + band + k
"""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.logistic import logistic
from w2v.engines.compiled.rows import Targets, prefetch_targets, put_row
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    add,
    address,
    high_half,
    load,
    load_each,
    load_float,
    low_half,
    multiply,
    multiply_add,
    multiply_add_each,
    select,
    splat,
    store,
    sum_lanes_of_four,
    unsigned,
)
from w2v.engines.compiled.sparse import MAX_VECTORS
from w2v.engines.compiled.structures import F32, I32, MR, Band, Pairs, Sizes, Tile
from w2v.engines.compiled.windows import find_targets
from w2v.engines.tiles import SHARED

FOUR_COLUMNS = LANES == 16
"""Whether scores are computed for blocks of `MR` center words and four outside words, not two. The
sums of such a block take 16 SIMD registers, which only some processors have to spare."""


class Terms(NamedTuple):
    """Four weighted sums of vectors R[k]: terms of the negative gradients of four vectors x[p].

    For p = 0 to 3, sum p is Σ G[p, k] R[k] over k. G[p, k] is minus the derivative of the loss with
    respect to the score x[p]·R[k], the dot product of an input vector and an output vector.
    """

    # The address of the float32 factors. The factor of R[k] in sum p has the index ``p * down + k *
    # along``.
    G: int

    # The stride, in float32 values, from a factor in one sum to that of the same vector in the next
    # sum.
    down: int

    # The stride, in float32 values, from the factor of one vector to that of the next vector in the
    # same sum.
    along: int

    # The number of vectors R[k]; at least 3 if `rising` or `falling` is true, 6 if both are.
    size: int

    # The address of the vectors R[k], the rows of a C-contiguous float32 matrix.
    R: int

    # Whether sum p begins with R[p] instead of R[0]. The words before are too far away to form
    # pairs with the word whose gradient sum p belongs to.
    rising: bool

    # Whether sum p ends with R[``size`` - 4 + p] instead of R[``size`` - 1]. The words after are
    # too far away to form pairs with the word whose gradient sum p belongs to.
    falling: bool


@inlined
def score_four(a: int, b: int, vectors: int, out: int, down: int) -> None:
    """Compute the scores of `MR` = 4 center words with four context or noise words (dot products).

    Parameters
    ----------
    a, b
        The addresses of two C-contiguous float32 matrices: the input vectors of the center words,
        (4, d), and the output vectors of the context or noise words, (4, d).
    vectors
        The number of SIMD vectors that make up one word vector of d values.
    out, down
        The address for the scores, (4, 4), and the stride of their rows, in float32 values.
    """
    width, zero = vectors * LANES, splat(0)
    sums0 = sums1 = sums2 = sums3 = (zero, zero, zero, zero)
    for k in range(0, width, LANES):
        y = load(b, k), load(b, width + k), load(b, 2 * width + k), load(b, 3 * width + k)
        sums0 = multiply_add_each(load(a, k), y, sums0)
        sums1 = multiply_add_each(load(a, width + k), y, sums1)
        sums2 = multiply_add_each(load(a, 2 * width + k), y, sums2)
        sums3 = multiply_add_each(load(a, 3 * width + k), y, sums3)
    store(sum_lanes_of_four(sums0[0], sums0[1], sums0[2], sums0[3]), out, 0)
    store(sum_lanes_of_four(sums1[0], sums1[1], sums1[2], sums1[3]), out, down)
    store(sum_lanes_of_four(sums2[0], sums2[1], sums2[2], sums2[3]), out, 2 * down)
    store(sum_lanes_of_four(sums3[0], sums3[1], sums3[2], sums3[3]), out, 3 * down)


@inlined
def score_two(a: int, b: int, vectors: int, out: int, down: int) -> None:
    """Compute the scores of `MR` = 4 center words with two context or noise words (dot products).

    Parameters
    ----------
    a, b
        The addresses of two C-contiguous float32 matrices: the input vectors of the center words,
        (4, d), and the output vectors of the context or noise words, (2, d).
    vectors
        The number of SIMD vectors that make up one word vector of d values.
    out, down
        The address for the scores, (4, 2), and the stride of their rows, in float32 values.
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
def score_columns(a: int, b: int, columns: int, vectors: int, out: int, down: int) -> None:
    """Compute the scores of `MR` = 4 center words with context or noise words (dot products).

    Parameters
    ----------
    a, b
        The addresses of two C-contiguous float32 matrices: the input vectors of the center words,
        (4, d), and the output vectors of the context or noise words, (columns, d).
    columns
        The number of output vectors, which is even.
    vectors
        The number of SIMD vectors that make up one word vector of d values.
    out, down
        The address for the scores, (4, columns), and the stride of their rows, in float32 values.
    """
    size, j = 4 * vectors * LANES, ZERO
    while FOUR_COLUMNS and j + 4 <= columns:
        score_four(a, b + j * size, vectors, out + 4 * j, down)
        j += 4
    while j < columns:
        score_two(a, b + j * size, vectors, out + 4 * j, down)
        j += 2


@inlined
def score_edges(a: int, b: int, reach: int, vectors: int, out: int, down: int) -> None:
    """For skip-gram, score the words in the windows of some, but not all, of `MR` = 4 center words.

    The center words p = 0 to 3 are consecutive. A run of words extends from ``reach`` (the window
    size) words before them to ``reach`` words after them. Its words p to ``p + 2 * reach`` are the
    window of center word p, which includes the center word itself, with weight 0 in the loss. The
    first three and the last three words are scored for all windows that they are in.

    Parameters
    ----------
    a, b
        The addresses of the 4 input vectors and of the run's output vectors, C-contiguous, float32.
    vectors
        The number of SIMD vectors that make up one word vector.
    out, down
        The float32 score (dot product) of center word p and word j of the run goes to the address
        ``out + 4 * (p * down + j)``. The scores of words 3 to ``2 * reach`` must be computed
        afterwards: this call may overwrite them, and the element after a center word's last score.
    """
    # Whole SIMD vectors are stored, so other numbers are overwritten, too.
    width, zero = vectors * LANES, splat(0)
    end = b + 4 * (2 * reach + 1) * width
    sums0 = sums1 = sums2 = sums3 = (zero, zero, zero)
    for k in range(0, width, LANES):
        y0, y1, y2 = load(b, k), load(b, width + k), load(b, 2 * width + k)
        y3, y4, y5 = load(end, k), load(end, width + k), load(end, 2 * width + k)
        sums0 = multiply_add_each(load(a, k), (y0, y1, y2), sums0)
        sums1 = multiply_add_each(load(a, width + k), (y1, y2, y3), sums1)
        sums2 = multiply_add_each(load(a, 2 * width + k), (y2, y3, y4), sums2)
        sums3 = multiply_add_each(load(a, 3 * width + k), (y3, y4, y5), sums3)
    # Of the three scores of center word p, the first 3 - p are of words p to 2, and the others end
    # with word 2 reach + p.
    last = 2 * reach - 2
    store(sum_lanes_of_four(sums0[0], sums0[1], sums0[2], zero), out, 0)
    scores1 = sum_lanes_of_four(sums1[0], sums1[1], sums1[2], zero)
    store(scores1, out, down + 1)
    store(scores1, out, down + last + 1)
    scores2 = sum_lanes_of_four(sums2[0], sums2[1], sums2[2], zero)
    store(scores2, out, 2 * down + 2)
    store(scores2, out, 2 * down + last + 2)
    store(sum_lanes_of_four(sums3[0], sums3[1], sums3[2], zero), out, 3 * down + last + 3)


@inlined
def add_term(terms: Terms, p: int, k: int, y: Any, sums: Any) -> Any:
    """Add a word vector times its factor to a sum, for a few adjacent components of the vectors.

    ``y`` has the components of the word vector, and ``sums`` those of the sum so far. Both are
    tuples of SIMD vectors, and so is the result, the new sum. The factor is the one that ``terms``
    has for word vector number ``k`` in sum number ``p``.
    """
    factor = splat(load_float(terms.G, p * terms.down + k * terms.along))
    return multiply_add_each(factor, y, sums)


@inlined
def add_terms(terms: Terms, width: int, column: int, tile: Any) -> Any:
    """Add the four weighted sums of word vectors that ``terms`` describes to four accumulators.

    Only a few adjacent components of the vectors are computed, from number ``column`` on.

    Parameters
    ----------
    width
        The number of float32 values in a word vector.
    tile
        The four accumulators. Each is a tuple of SIMD vectors, which hold the components. The new
        accumulators are returned in the same form.
    """
    sums0, sums1, sums2, sums3 = tile
    first, last = ZERO, terms.size
    if terms.rising:
        y = load_each(sums0, terms.R, column)
        sums0 = add_term(terms, 0, 0, y, sums0)
        y = load_each(sums0, terms.R, column + width)
        sums0, sums1 = add_term(terms, 0, 1, y, sums0), add_term(terms, 1, 1, y, sums1)
        y = load_each(sums0, terms.R, column + 2 * width)
        sums0, sums1 = add_term(terms, 0, 2, y, sums0), add_term(terms, 1, 2, y, sums1)
        sums2 = add_term(terms, 2, 2, y, sums2)
        first += 3
    if terms.falling:
        last -= 3
    for k in range(first, last):
        y = load_each(sums0, terms.R, column + k * width)
        sums0 = add_term(terms, 0, k, y, sums0)
        sums1 = add_term(terms, 1, k, y, sums1)
        sums2 = add_term(terms, 2, k, y, sums2)
        sums3 = add_term(terms, 3, k, y, sums3)
    if terms.falling:
        y = load_each(sums0, terms.R, column + last * width)
        sums1 = add_term(terms, 1, last, y, sums1)
        sums2, sums3 = add_term(terms, 2, last, y, sums2), add_term(terms, 3, last, y, sums3)
        y = load_each(sums0, terms.R, column + (last + 1) * width)
        sums2 = add_term(terms, 2, last + 1, y, sums2)
        sums3 = add_term(terms, 3, last + 1, y, sums3)
        y = load_each(sums0, terms.R, column + (last + 2) * width)
        sums3 = add_term(terms, 3, last + 2, y, sums3)
    return sums0, sums1, sums2, sums3


@inner
def gradient_block(
    terms: Terms, more: Terms, width: int, column: int, sums: int, targets: Targets, zero: Any
) -> None:
    """Compute some components of the negative gradients of `MR` = 4 vectors; store or apply them.

    The vectors are input or output vectors of a tile (64 consecutive center words). The negative
    gradient of vector p is sum p of ``terms``, plus sum p of ``more``, plus row p of ``sums``. Its
    components from ``column`` on are computed: as many SIMD vectors as the tuple ``zero`` has.
    ``targets`` says for each gradient whether it is stored in the gradient buffer or updates the
    model.

    Parameters
    ----------
    terms, more
        Four weighted sums of word vectors each. For input vectors, ``terms`` has the sums over
        context words, and ``more`` those over noise words. For output vectors, ``terms`` has the
        sums over center words, and those of ``more`` are 0.
    sums
        The address of what earlier tiles have contributed to the same gradients: `MR` consecutive
        rows of ``width`` float32 values; 0 if nothing.
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


@inner
def fill_weights(pairs_of: Pairs, sizes: Sizes, lows: I32, highs: I32, weights: F32) -> float:
    """Compute the weight of each score of a tile in the loss of negative sampling.

    A tile is 64 consecutive center words, which share noise words. Returns the summed weight of the
    tile's (center, context) pairs.

    Parameters
    ----------
    pairs_of
        The weights of pairs by distance, and K, the number of noise words per pair.
    lows, highs
        For each center word, the start and the end (excluded) of the range of words that it
        predicts, as offsets from the word `Sizes.reach` positions before it.
    weights
        Output, float32: ``sizes.row`` elements for each center word. The first
        ``2 * sizes.reach + 1`` belong to context words, by offset, and are 0 outside the range. The
        last ``sizes.noise`` belong to noise words: each is -K w / ``sizes.noise``, where w is the
        summed weight of the center word's pairs. The minus sign marks noise words. Elements between
        the two groups are not changed.
    """
    weights_of, sums = pairs_of.weights, pairs_of.sums
    total = np.float64(0)
    for i in range(unsigned(SHARED)):
        start, low, high = i * unsigned(sizes.row), unsigned(lows[i]), unsigned(highs[i])
        for j in range(unsigned(2 * sizes.reach + 1)):
            weights[start + j] = select((j >= low) & (j < high), weights_of[j], np.float32(0))
        pairs = sums[high] - sums[low]
        total += pairs
        start += unsigned(sizes.band)
        share = -pairs * pairs_of.negatives / np.float32(sizes.noise)
        for k in range(unsigned(sizes.noise)):
            weights[start + k] = share
    return total


@inner
def choose_weights(
    pairs_of: Pairs,
    sizes: Sizes,
    documents: I32,
    lows: I32,
    highs: I32,
    tile: Tile,
    own: Band,
) -> tuple[int, float]:
    """Return the address of the weights of a tile's scores, and the summed weight of its pairs.

    These are weights in the loss of negative sampling. A tile is 64 consecutive center words. With
    skip-gram, it is complete if all words in and around it are in one document; with CBOW, if each
    window has a word besides the center word. All complete tiles have the same weights, which are
    computed once per thread and kept in ``own.weights[1]``. The weights of any other tile overwrite
    ``own.weights[0]``.

    Parameters
    ----------
    documents
        For skip-gram, the document numbers of the tile's words and of the `Sizes.reach` words
        before and after them. Not used for CBOW.
    lows, highs
        For CBOW, the start and the end (excluded) of each center word's window, which includes the
        center word. Only the difference matters. Not used for skip-gram.
    tile
        Working memory. If weights are computed, ``tile.lows`` and ``tile.highs`` are overwritten.
    """
    if sizes.windows:
        inside = True
        for i in range(SHARED):
            inside &= highs[i] - lows[i] > 1
    else:
        last = documents[SHARED + 2 * sizes.reach - 1]
        inside = documents[0] >= 0 and documents[0] == last
    weights = own.weights[np.int64(inside)]
    if not inside or own.inside_pairs[0] == 0:
        find_targets(sizes, documents, lows, highs, tile)
        pairs = fill_weights(pairs_of, sizes, tile.lows, tile.highs, weights)
        if inside:
            own.inside_pairs[0] = pairs
        return address(weights), pairs
    return address(weights), own.inside_pairs[0]


@inlined
def add_curvature(H: int, norms: int, norm: float, sums: int, mask: int, vectors: int) -> Any:
    """Add up curvature bounds, which limit step sizes, from the scores of one center word.

    A vector's curvature bound is an upper bound on the second derivative of the loss with respect
    to the vector, in any direction. Let x be the center word's input vector, y_j the output vectors
    that it is scored with, and H_j an upper bound on the second derivative of the loss with respect
    to the score x·y_j. H_j |x|² is added to the bound of y_j. The bound of x, Σ_j H_j |y_j|², is
    returned as a SIMD vector whose lanes the caller must add up.

    Parameters
    ----------
    H, norms, sums
        The addresses of three float32 arrays: H_j, |y_j|², and the bounds of y_j, which are
        updated.
    norm
        |x|².
    mask
        The address of float32 factors 1 or 0 of H_j; 0 leaves a score out.
    vectors
        The number of SIMD vectors of scores.
    """
    factor, total = splat(norm), splat(0)
    for k in range(0, vectors * LANES, LANES):
        values = multiply(load(H, k), load(mask, k))
        total = multiply_add(values, load(norms, k), total)
        store(multiply_add(values, factor, load(sums, k)), sums, k)
    return total


@inlined
def center_curvature(sizes: Sizes, tile: Tile, own: Band, norms: int, i: int, p: int) -> Any:
    """Add up curvature bounds from a center word's scores; return its input vector's bound.

    A vector's curvature bound is an upper bound on the second derivative of the loss with respect
    to the vector, in any direction. Let x be the center word's input vector, y_j the output vectors
    that it is scored with, and H_j an upper bound on the second derivative of the loss with respect
    to the score x·y_j. H_j |x|² is added to row ``p`` of ``own.sums``, in the column of y_j. The
    caller sets ``own.sums`` to 0 before each tile; after it, the sum of a column is the bound of
    its y_j. The lanes of the returned SIMD vector add up to the bound of x, Σ_j H_j |y_j|².

    Parameters
    ----------
    tile, own
        H_j, and the squared lengths of the input vectors and of the noise words' output vectors.
    norms
        The address of the squared lengths of the context words' output vectors (for CBOW, the
        center words').
    i, p
        The center word is number ``i + p`` of its tile (64 consecutive center words). ``i`` is a
        multiple of `MR` = 4, and ``p`` is less than 4. Center words with equal ``p`` share a row.
    """
    sums, lanes = address(own.sums) + 4 * p * own.sums.shape[1], own.noise_norms.size
    H = address(tile.curvature) + 4 * (i + p) * sizes.row
    norm, mask = tile.center_norms[unsigned(i + p)], address(own.mask)
    if sizes.windows:
        # Only one center word has this context word: the sums need not be read.
        own.sums[unsigned(p), unsigned(i + p)] = load_float(H, 0) * norm
        of_contexts = multiply(
            multiply(load(H, 0), load(mask, lanes)), load(norms + 4 * (i + p), 0)
        )
    else:
        of_contexts = add_curvature(
            H,
            norms + 4 * (i + p),
            norm,
            sums + 4 * (i + p),
            mask + 4 * lanes,
            (own.mask.size - lanes) // LANES,
        )
    of_noise = add_curvature(
        H + 4 * sizes.band,
        address(own.noise_norms),
        norm,
        sums + 4 * sizes.contexts,
        mask,
        lanes // LANES,
    )
    return add(of_contexts, of_noise)


@inner
def sum_curvature(sizes: Sizes, tile: Tile, own: Band, norms: int, out: F32) -> None:
    """Bound the curvature of the loss with respect to each vector of a tile, to limit step sizes.

    A tile is 64 consecutive center words. A vector's bound is an upper bound on the largest
    eigenvalue of the Hessian matrix of the tile's loss with respect to the vector. `compute_scores`
    must be called before.

    Parameters
    ----------
    tile
        Working memory with the results of `compute_scores`, and the squared lengths of input
        vectors.
    own
        Working memory with the squared lengths of the noise words' output vectors. ``own.sums``
        gets `MR` = 4 numbers in the column of each output vector, first of the context words, then
        of the noise words. The vector's bound is their sum.
    norms
        The address of the squared lengths of the context words' output vectors (for CBOW, the
        center words').
    out
        Output: the bounds for the input vectors of the center words.
    """
    # Each bound of an output vector has several summands, because reading a sum right after writing
    # it would stall the CPU.
    own.sums[:] = 0
    for i in range(0, SHARED, MR):
        sums = sum_lanes_of_four(
            center_curvature(sizes, tile, own, norms, i, 0),
            center_curvature(sizes, tile, own, norms, i, 1),
            center_curvature(sizes, tile, own, norms, i, 2),
            center_curvature(sizes, tile, own, norms, i, 3),
        )
        store(sums, address(out), i)


@inner
def compute_scores(sizes: Sizes, tile: Tile, own: Band, W: int, R: int) -> float:
    """Compute the scores of a tile for negative sampling, and the derivatives of the loss.

    A tile is 64 consecutive center words, which share noise words. A score is the dot product of a
    center word's input vector and the output vector of a context or noise word. ``tile.scores``
    gets the negative derivative of the loss with respect to each score, and ``tile.curvature`` an
    upper bound on the second derivative. Returns the summed loss. For CBOW, only the noise words'
    scores are computed; `cbow_negative_sampling.score_centers` must have written the others to
    ``tile.scores``.

    Parameters
    ----------
    tile, own
        The working memory with the input vectors, and with the output vectors of the noise words.
    W
        The address of a float32 weight for each score, in the layout of ``tile.scores``. The loss
        of a score is multiplied by the absolute value of the weight. A negative weight marks a
        noise word.
    R
        The address of the output vectors of the context words; not used for CBOW.
    """
    band, row, vectors = sizes.band, sizes.row, sizes.vectors
    C, N, S = address(tile.C), address(own.N), address(tile.scores)
    size = 4 * vectors * LANES  # bytes of a row
    for i in range(0, SHARED, MR):
        if not sizes.windows:
            # The words in the middle are in all four windows, and those at the ends only in some.
            center, context, out = C + i * size, R + i * size, S + 4 * i * row
            score_edges(center, context, sizes.reach, vectors, out, row - 1)
            context, out = context + (MR - 1) * size, out + 4 * (MR - 1)
            score_columns(center, context, band - 2 * (MR - 1), vectors, out, row - 1)
    # In a loop of their own, so that the vectors of all noise words stay in the first cache.
    for i in range(0, SHARED, MR):
        score_columns(C + i * size, N, sizes.noise, vectors, S + 4 * (i * row + band), row)
    loss: float = logistic(S, W, address(tile.curvature), SHARED * row // LANES)
    return loss


@inner
def compute_gradients(sizes: Sizes, tile: Tile, own: Band, R: int, dR: int, follows: bool) -> None:
    """Compute the gradients of a tile's vectors for negative sampling; apply them or store them.

    A tile is 64 consecutive center words. Its vectors are the input vectors of the center words,
    and the output vectors of context words and of noise words. For CBOW, only the gradients of
    noise words are computed, and ``R`` and ``dR`` are not used.

    Parameters
    ----------
    tile
        The working memory with the input vectors and the negative derivatives of the loss with
        respect to the scores. It says for each gradient whether it updates the model or is written
        to the gradient buffer (`rows.Targets`).
    own
        The working memory with the output vectors of the noise words.
    R
        The address of the output vectors of the context words.
    dR, follows
        The address of the context words' rows in the gradient buffer. If ``follows`` is true, the
        first of these rows have the parts of the gradients that earlier tiles have contributed.
        This tile adds its own part.
    """
    # Block by block of components, so that the operands stay in the first-level cache.
    zero, column, left = splat(0), ZERO, sizes.vectors
    for blocks in range(-(-sizes.vectors // MAX_VECTORS), 0, -1):
        size = -(-left // blocks)
        if size == 4:
            four = (zero, zero, zero, zero)
            gradient_columns(sizes, tile, own, R, dR, follows, column, four)
        elif size == 3:
            gradient_columns(sizes, tile, own, R, dR, follows, column, (zero, zero, zero))
        elif size == 2:
            gradient_columns(sizes, tile, own, R, dR, follows, column, (zero, zero))
        else:
            gradient_columns(sizes, tile, own, R, dR, follows, column, (zero,))
        column += size * LANES
        left -= size


@inner
def gradient_columns(
    sizes: Sizes, tile: Tile, own: Band, R: int, dR: int, follows: bool, column: int, zero: Any
) -> None:
    """Compute and write some components of the gradients of a tile's vectors (negative sampling).

    A tile is 64 consecutive center words. Its vectors are the input vectors of the center words,
    and the output vectors of context words and of noise words. For CBOW, only the gradients of
    noise words are computed. Each gradient updates the model or is written to the gradient buffer,
    as ``tile`` says (`rows.Targets`). The parameters not listed here are those of
    `compute_gradients`.

    Parameters
    ----------
    column
        The first component that is computed.
    zero
        A tuple of zero SIMD vectors, as many as the components fill.
    """
    reach, band, row, contexts = sizes.reach, sizes.band, sizes.row, sizes.contexts
    C, N, S = address(tile.C), address(own.N), address(tile.scores)
    out, old, steps = address(tile.out), address(tile.old), address(tile.steps)
    width = sizes.vectors * LANES
    size = 4 * width  # bytes of a row
    far = S + 4 * band
    nothing = Terms(S, 0, 0, 0, C, False, False)
    if not sizes.windows:
        for i in range(0, SHARED, MR):
            of_contexts = Terms(S + 4 * i * row, row - 1, 1, band, R + i * size, True, True)
            of_noise = Terms(far + 4 * i * row, row, 1, sizes.noise, N, False, False)
            targets = Targets(out + 8 * i, old + 8 * i, steps + 4 * i)
            prefetch_targets(tile, i + MR, column, len(zero))
            gradient_block(of_contexts, of_noise, width, column, ZERO, targets, zero)
        for j in range(0, contexts, MR):
            i = max(0, j - 2 * reach)
            end = min(SHARED, j + MR)
            factors = S + 4 * (i * (row - 1) + j)
            # At the end of the tile, fewer than three rows are left if the window is odd.
            rising = j >= 2 * reach and end - i >= MR - 1
            falling = j + MR <= SHARED
            terms = Terms(factors, 1, row - 1, end - i, C + i * size, rising, falling)
            sums = dR + j * size if follows and j < contexts - SHARED else 0
            n = SHARED + j
            targets = Targets(out + 8 * n, old + 8 * n, steps + 4 * n)
            prefetch_targets(tile, n + MR, column, len(zero))
            gradient_block(terms, nothing, width, column, sums, targets, zero)
    for k in range(0, sizes.noise, MR):
        terms = Terms(far + 4 * k, 1, row, SHARED, C, False, False)
        n = SHARED + contexts + k
        targets = Targets(out + 8 * n, old + 8 * n, steps + 4 * n)
        gradient_block(terms, nothing, width, column, ZERO, targets, zero)

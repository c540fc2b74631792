"""Compiled code that computes the loss and the gradients of negative sampling, tile by tile.

A tile is a run of `SHARED` = 64 consecutive center words, which share noise words and are computed
together. `strips.compute_strip` calls the functions below for each tile, for skip-gram and CBOW.
What only CBOW needs is in ``cbow_negative_sampling.py``.

Let C (SHARED x d) be the tile's input vectors. Let R be the output vectors of the words that may be
predicted, from `Sizes.reach` positions before the tile to `Sizes.reach` positions after it,
followed by those of `Sizes.noise` noise words. A tile takes three small matrix products
(``w2v/README.md``, "Everything is one shape"): the scores S = C Rᵀ and, with G = ∂J/∂S for the loss
J, the gradients G R and Gᵀ C. The weight of a pair depends on its distance, and is zero if the two
words are in different documents. The weight of a noise word is -K / `Sizes.noise` times the summed
weight of the center word's pairs, where K is the number of noise words per pair. It is negative to
mark the word as noise.

For context words (those that may be predicted), only the scores near the diagonal of S are needed,
a band matrix. The scores are stored by center word. Of the ``row`` scores of each, the first
``band`` are those of context words, and the others those of noise words (`Sizes`). Their positions
in an array are:

    (center i, context j)  at  i * row + j - i
    (center i, noise k)    at  i * row + band + k

These positions are linear in i, j and k, so a block of S has constant strides. Scores are computed
for `MR` = 4 center words at a time. With skip-gram, their windows together have
``2 * Sizes.reach + 4`` words. The words in the middle are in all four windows, and `score_columns`
computes their scores in blocks. Each of the first three and the last three words is in some of the
four windows only; `score_edges` computes its scores with the center words of these windows.

The products compute blocks of sums that stay in vector registers, and the logistic function works
on whole vectors (see ``simd.py``). LLVM does neither by itself for loops over single numbers.
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
    """The operands of four weighted sums of vectors, each a summand of a vector's gradient.

    The negative gradient of an input vector is a weighted sum of output vectors, and that of an
    output vector a weighted sum of input vectors. The weights are the negative derivatives of the
    loss with respect to the scores. `add_terms` computes four such sums together, numbered p = 0 to
    3. They have the same float32 rows R[k], which are word vectors in memory, and different factors
    G. Sum p is Σ G[p * down + k * along] R[k], over k from 0 to ``size`` - 1.

    Attributes
    ----------
    G, down, along
        The address of the factors, and their strides along p and along k, in float32 values.
    size
        The number of rows R[k].
    R
        The address of the rows R[k], which form a C-contiguous float32 matrix.
    rising
        Whether sum p begins with row R[p] instead of R[0]. The rows before R[p] are skipped: their
        words are too far away to form pairs with the word whose gradient sum p belongs to.
    falling
        Whether sum p ends with row R[``size`` - 4 + p] instead of R[``size`` - 1]. The rows after
        it are skipped, for the same reason. ``size`` is at least 3 if ``rising`` or ``falling`` is
        true, and at least 6 if both are.
    """

    G: int
    down: int
    along: int
    size: int
    R: int
    rising: bool
    falling: bool


@inlined
def score_four(a: int, b: int, vectors: int, out: int, down: int) -> None:
    """Compute the scores of `MR` = 4 center words with four context or noise words.

    A score is the dot product of an input and an output vector. `score_columns` calls this function
    on processors with enough SIMD registers.

    Parameters
    ----------
    a, b
        The addresses of the input and of the output vectors, two C-contiguous float32 matrices.
    vectors
        The number of SIMD vectors that make up one word vector.
    out
        The address to which the four scores of the first center word are written.
    down
        The number of float32 values between the scores of one center word and those of the next.
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
    """Compute the scores of `MR` = 4 center words with two context or noise words.

    A score is the dot product of an input and an output vector. `score_columns` calls this function
    where `score_four`, for four words, needs too many SIMD registers, or only two words are left.

    Parameters
    ----------
    a, b
        The addresses of the input and of the output vectors, two C-contiguous float32 matrices.
    vectors
        The number of SIMD vectors that make up one word vector.
    out
        The address to which the two scores of the first center word are written.
    down
        The number of float32 values between the scores of one center word and those of the next.
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
    """Compute the scores of `MR` = 4 center words with a number of context words or noise words.

    A score is the dot product of an input and an output vector. `compute_scores` calls this
    function for the context words that all four center words predict, and for the noise words.

    Parameters
    ----------
    a, b
        The addresses of the input and of the output vectors, two C-contiguous float32 matrices.
    columns
        The number of output vectors, which is even.
    vectors
        The number of SIMD vectors that make up one word vector.
    out
        The address to which the ``columns`` scores of the first center word are written.
    down
        The number of float32 values between the scores of one center word and those of the next.
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
    """For skip-gram, score the words that some, but not all, of `MR` = 4 center words predict.

    The center words are consecutive, so their windows begin and end at different words. A score is
    the dot product of the input vector of a center word and the output vector of a word.
    `compute_scores` calls this function first, and then `score_columns` for the words that all
    center words predict.

    The center words are numbered p = 0 to `MR` - 1. The words in their windows form a run of
    ``2 * reach + MR`` consecutive words, numbered from 0. Center word p predicts words ``p`` to
    ``p + 2 * reach``. (Word ``p + reach`` is the center word itself; its score has the weight 0.)
    The first `MR` - 1 words of the run and the last `MR` - 1 are its two ends. They are predicted
    by some of the center words only, and their scores with these are computed here.

    Parameters
    ----------
    a, b
        The addresses of two C-contiguous float32 matrices: the input vectors of the center words,
        and the output vectors of the run's words.
    reach
        The largest distance between a center word and a word that it predicts.
    vectors
        The number of SIMD vectors that make up one word vector.
    out
        The address for the score of center word 0 and word 0 of the run. Whole SIMD vectors are
        stored, so up to three numbers next to the scores of each end are overwritten. Therefore the
        caller must compute the scores of the words between the two ends after this call.
    down
        The number of float32 values between the scores of one center word and those of the next.
    """
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
    """Add one term to a weighted sum of word vectors, which is a part of a gradient.

    ``terms`` describes four sums: sum p is Σ G[p, k] R[k], over k, where R[k] is a word vector and
    G[p, k] a factor (`Terms`). This function adds the term G[p, k] R[k], for the given ``p`` and
    ``k``, to sum ``p``, and returns the new sum. It does so for a block of columns: a few adjacent
    components of the vectors. ``y`` has these components of R[k], and ``sums`` those of sum ``p``
    so far. Both are tuples of SIMD vectors, and so is the result.
    """
    factor = splat(load_float(terms.G, p * terms.down + k * terms.along))
    return multiply_add_each(factor, y, sums)


@inlined
def add_terms(terms: Terms, width: int, column: int, tile: Any) -> Any:
    """Add a weighted sum of vectors to each of `MR` = 4 accumulators, one for each of 4 gradients.

    Gradients of input vectors may take two calls: the first adds up the terms of context words, and
    the second adds those of noise words. Only a block of columns, a few adjacent components of each
    gradient, is computed. The accumulators are in SIMD registers; the new ones are returned. The
    callers, such as `gradient_block`, write the gradients to memory.

    Parameters
    ----------
    terms
        The addresses of the word vectors and of their weights.
    width
        The number of float32 values in a word vector.
    column
        The first column of the block.
    tile
        A tuple of the four accumulators, to which the sums are added. Each accumulator is a tuple
        of SIMD vectors that cover the block. The result has the same form.
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

    The four are either input vectors or output vectors of a tile (64 consecutive center words). Let
    the negative gradients be the rows of a matrix. A block is a few adjacent columns of this
    matrix: ``len(zero)`` SIMD vectors of each row, from ``column`` on. Row p, the negative gradient
    of vector p, is sum p of ``terms`` plus sum p of ``more`` plus row p of ``sums``. If vector p
    has no other gradient in the training step, row p times a step size is added to the vector in
    the model. Otherwise, row p is stored in the gradient buffer. ``targets`` says which.

    Parameters
    ----------
    terms, more
        Two sets of `MR` weighted sums of word vectors, numbered from 0 (see `Terms`). For input
        vectors, ``terms`` has the sums over context words, and ``more`` those over noise words. For
        output vectors, ``terms`` has the sums over center words, and the sums of ``more`` are 0.
    width
        The number of float32 values in a row.
    column
        The first column of the block.
    sums
        The address of the part of the four negative gradients that the previous tile has written:
        `MR` consecutive rows of ``width`` values. 0 if there is none. Only output vectors have such
        a part, because a word near the border between two tiles is in windows of both.
    targets
        Where the result for each vector is written, and its step size (`rows.Targets`).
    zero
        A tuple of zero SIMD vectors. Its length is the width of the block in SIMD vectors.
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

    A tile is 64 consecutive center words, which share noise words. Each is scored with the context
    words around it and with the noise words. The weight of a context word depends on its distance
    from the center word; it is 0 if the center word does not predict it. The weight of a noise word
    is -K / `Sizes.noise` times the summed weight of the center word's pairs, where K is the number
    of noise words per pair. The minus sign marks noise words. `compute_scores` later multiplies
    each loss by the absolute value of its weight. Returns the summed weight of the (center,
    context) pairs of the tile.

    Parameters
    ----------
    pairs_of
        The weights of pairs by distance, and K.
    sizes
        The sizes of steps, strips and tiles.
    lows, highs
        For each center word, the start and the end (excluded) of the range of words that its input
        vector predicts (`find_targets`). They are offsets from the word that is `Sizes.reach`
        positions before the center word.
    weights
        Output, float32: a row of ``sizes.row`` elements for each center word, one row after the
        other. In a row, element j is for the context word at offset j, from 0 to twice
        `Sizes.reach`. The last `Sizes.noise` elements are for the noise words. The other elements
        are not changed.
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
    """Find or compute the weights of a tile's scores in the loss of negative sampling.

    A tile is 64 consecutive center words, which share noise words. Each center word has an input
    row, the vector that predicts. A pair is an input row and a word that it predicts. Returns the
    address of the weights and the summed weight of the tile's pairs. `strips.compute_strip` passes
    the address to `compute_scores`.

    Weights depend only on distances in the text and on which pairs are missing. With skip-gram, a
    pair is missing if the two words are in different documents or beyond the end of the text. With
    CBOW, an input row predicts only its center word; the pair is missing if the center word's
    window has no other word. A tile without missing pairs is called complete. All complete tiles
    have the same weights. A thread computes them once and keeps them in ``own.weights[1]``. For any
    other tile, they are computed at each call, in ``own.weights[0]``.

    Parameters
    ----------
    pairs_of
        The weights of pairs by distance, and the number of noise words per pair.
    sizes
        The sizes of steps, strips and tiles.
    documents
        For skip-gram, the document numbers of the tile's words and of the `Sizes.reach` words
        before and after them. Not used for CBOW.
    lows, highs
        For CBOW, the start and the end (excluded) of the window of each center word of the tile.
        The window includes the center word. Only the length ``highs[i] - lows[i]`` matters, so both
        may be counted from any position. Not used for skip-gram.
    tile, own
        The thread's working memory for a tile: ``tile`` gets the range of words that each input row
        predicts, if weights are computed; ``own`` holds the weights.
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

    The curvature bound of a vector is an upper bound on the second derivative of the loss with
    respect to the vector, in any direction; it limits the step size. It is a sum over the scores
    (dot products) that the vector is in: for each, the bound on the second derivative of the loss
    with respect to the score, given in ``H``, times the squared length of the other vector. The
    scores here are those of a center row (the input vector of a center word) with outside rows (the
    output vectors of context words or noise words):

    - The bound for the center row is returned, as a SIMD vector whose lanes the caller must add up.
    - What each score contributes to the bound of its outside row is added to ``sums``.

    Parameters
    ----------
    H
        The address of the bounds on the second derivative of the loss with respect to each score.
    norms
        The address of the squared lengths of the outside rows.
    norm
        The squared length of the center row.
    sums
        The address of the bounds of the outside rows, which are updated.
    mask
        The address of factors 1 or 0, which select some of the scores.
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
    """Bound the curvature of the loss with respect to a center word's input vector.

    The center word is in a tile: 64 consecutive center words, which share noise words. A score is
    the dot product of an input vector and an output vector. The curvature bound of a vector is an
    upper bound on the largest eigenvalue of the Hessian matrix of the tile's loss with respect to
    it. The bounds limit step sizes. Let x be the input vector of the center word, and y_j the
    output vectors that it is scored with. Let H_j be a bound on the second derivative of the loss
    with respect to the score x·y_j.

    - The curvature bound of x is Σ_j H_j |y_j|². It is returned, as a SIMD vector whose lanes the
      caller, `sum_curvature`, must add up.
    - The bound of y_j is a sum over center words. The term of this center word is H_j |x|². It is
      added to row ``p`` of ``own.sums``, which has a column for each output vector of the tile. The
      caller has set all elements of ``own.sums`` to zero before the tile's first center word.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    tile, own
        The thread's working memory, with the numbers H_j of all scores, and the squared lengths of
        the input vectors and of the noise words' output vectors.
    norms
        The address of the squared lengths of the output vectors of the words that the tile may
        predict: for skip-gram those in and around the tile, for CBOW its center words.
    i, p
        The number of the center word in the tile is ``i + p``. ``i`` is a multiple of `MR`, and
        ``p`` is less than `MR`.
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
    """Bound the curvature of the loss with respect to each vector of a tile.

    A tile is 64 consecutive center words, which share noise words. `strips.compute_strip` calls
    this function after `compute_scores`. The bounds limit the step sizes when gradients are
    applied. A bound is an upper bound on the largest eigenvalue of the Hessian matrix of the tile's
    loss with respect to the vector.

    Element i of ``out`` becomes the bound for the input vector of center word i. For each output
    vector, `MR` = 4 summands of its bound are written to one column of ``own.sums``; the caller
    must add them up. The first columns belong to the context words, which are those that the tile
    may predict, and the next ones to the noise words. There are several summands because reading a
    sum right after writing it would stall the CPU.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    tile
        The working memory with the results of `compute_scores`, and the squared lengths of the
        input vectors.
    own
        The working memory with the squared lengths of the output vectors of noise words; ``sums``
        is overwritten.
    norms
        The address of the squared lengths of the output vectors of context words.
    out
        The array for the bounds of the input vectors.
    """
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
    """Compute the scores of a tile for negative sampling, and the derivatives of the loss J.

    A tile is 64 consecutive center words, which share noise words. A score is the dot product of
    the input vector of a center word and the output vector of a word that it may predict, or of a
    noise word. The scores S are written to ``tile.scores``, and then replaced by the negative
    derivatives -∂J/∂S, from which `compute_gradients` later computes gradients. An upper bound on
    the second derivative of the loss with respect to each score is written to ``tile.curvature``.
    Returns J, the sum of the losses of all scores.

    For CBOW, only the scores of the noise words are computed here; before the call,
    `cbow_negative_sampling.score_centers` must have written the others to ``tile.scores``.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    tile
        The working memory that holds the input vectors, and gets the results.
    own
        The working memory that holds the output vectors of the noise words; only read here.
    W
        The address of a float32 weight for each score, in the layout of ``tile.scores``. The loss
        of a score is multiplied by the absolute value of its weight; a negative weight marks a
        noise word.
    R
        The address of the output vectors of the words that the tile may predict; not used for CBOW.
    """
    band, row, vectors = sizes.band, sizes.row, sizes.vectors
    C, N, S = address(tile.C), address(own.N), address(tile.scores)
    size = 4 * vectors * LANES  # bytes of a row
    for i in range(0, SHARED, MR):
        if not sizes.windows:
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

    A tile is 64 consecutive center words, which share noise words. A strip is a sequence of tiles.
    The vectors are the input vectors of center words, and the output vectors of context words
    (those that the tile may predict) and of noise words. For CBOW, only the gradients of noise
    words are computed; `cbow_negative_sampling.write_centers` computes the others. `compute_scores`
    has written -∂J/∂S to ``tile.scores``: the negative derivatives of the loss J with respect to
    the scores S. The negative gradients are products of these and the vectors.

    If a gradient is the only one of its vector in the training step, the gradient times a step size
    is subtracted from the vector in the model. Otherwise, the gradient times -1 is written or added
    to a row of the gradient buffer. `rows.choose_targets` and `strips.choose_band_targets` have
    made these decisions, and stored the addresses in ``tile`` (`rows.Targets`).

    Adjacent tiles of a strip share some context words, because their windows overlap. The gradient
    of such a word is the sum of what these tiles contribute. A tile writes the sum so far to the
    buffer; the next tile reads it there and adds its own part.

    The components of the vectors are divided into blocks (blocks of columns, if the vectors are the
    rows of a matrix). Each block is computed for all vectors of the tile before the next one, so
    that the operands stay in the first-level cache.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    tile
        The working memory that holds the input vectors, the derivatives, and the addresses to which
        gradients are written.
    own
        The working memory that holds the output vectors of the noise words.
    R
        The address of the output vectors of context words. Not used for CBOW.
    dR
        The address in the gradient buffer of the row of the tile's first context word; the rows of
        the others follow. It is only used to read, if ``follows`` is true: the first rows have the
        sums that the previous tile has written for the words that it shares with this tile. Not
        used for CBOW.
    follows
        Whether another tile of the strip comes before this one.
    """
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

    A tile is 64 consecutive center words, which share noise words. Its vectors are the input
    vectors of the center words, and the output vectors of context words (those that the tile may
    predict) and of noise words. For CBOW, only the gradients of noise words are computed here.
    `compute_gradients` calls this function for one block of components after the other. (If the
    gradients are the rows of a matrix, a block is a few adjacent columns.) If a gradient is the
    only one of its vector in the training step, the gradient times a step size is subtracted from
    the vector in the model. Otherwise, the gradient times -1 is written or added to a row of the
    gradient buffer.

    Adjacent tiles of a strip (a sequence of tiles) share some context words, because their windows
    overlap. The gradient of such a word is the sum of what these tiles contribute. A tile writes
    the sum so far to the buffer; the next tile reads it there and adds its own part.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    tile
        The working memory that holds the input vectors, the negative derivatives of the loss with
        respect to the scores, and the addresses to which gradients are written.
    own
        The working memory that holds the output vectors of the noise words.
    R
        The address of the output vectors of context words. Not used for CBOW.
    dR
        The address in the gradient buffer of the row of the tile's first context word; the rows of
        the others follow. It is only used to read, if ``follows`` is true: the first rows have the
        sums that the previous tile has written for the words that it shares with this tile. Not
        used for CBOW.
    follows
        Whether another tile of the strip comes before this one.
    column
        The first column of the block.
    zero
        A tuple of zero SIMD vectors. Its length is the width of the block in SIMD vectors.
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

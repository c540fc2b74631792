"""Compiled code for context windows: which words each center word predicts or is predicted from.

Words are predicted from an input vector. With skip-gram, it is the vector of the center word, from
which the words around it are predicted; `find_targets` finds these words.

With CBOW, the input vector is the sum or mean of the vectors of the words around the center word,
which is predicted from it. `locate_words` finds the addresses of these vectors, and `read_windows`
computes the input vectors. `share_gradients` and `write_shares` compute the gradient of each word
from the gradients of the input vectors that its vector is a part of. Both an input vector and the
gradient of a word are a sum over adjacent rows of a list: vectors of words, or gradients of input
vectors (`Ranges`). `write_sums` computes them. It makes each sum from the one before by adding and
subtracting a few rows, because all windows of a strip, a part of the text, have the same size.
"""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.rows import Targets, put_row
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    address,
    load_address,
    load_each,
    load_float,
    load_int,
    multiply_add_each,
    prefetch,
    prefetch_target,
    select,
    splat,
    unsigned,
)
from w2v.engines.compiled.sparse import MAX_SUMS
from w2v.engines.compiled.structures import F32, I32, I64, LINE, Sizes, Tile, Windows

AHEAD = 6
"""A row is prefetched this many rows before it is read or updated."""


class Ranges(NamedTuple):
    """Ranges of a list of rows, for CBOW; `write_sums` computes the sum of the rows of each range.

    There are two uses:

    - The rows are the vectors of the words of the text, and a range is the window of a center word.
      The sum, times the weight of the window, is the center word's input vector.
    - The rows are the gradients of the input vectors of center words, and a range has the center
      words whose windows contain a given word. The sum is the gradient of this word.

    A word is not in its own window, but the ranges include it. So one row is left out of each sum:
    in the first use, the vector of the center word; in the second, the gradient of the input vector
    of the given word's window. If this word is not a center word, a row of zeros is left out.

    Attributes
    ----------
    rows
        The address of an int64 array with the address of each row of the list.
    factors
        The address of a float32 array: the factor by which each row is multiplied.
    firsts, lasts
        The addresses of two int32 arrays: for each sum, the first row of its range, and the one
        after the last. Neither decreases from one sum to the next.
    start
        A number that is subtracted from the elements of `firsts` and `lasts`.
    left_out, left_out_factors
        The addresses of two arrays like those of `rows` and `factors`. Their element k is the row
        that is left out of sum number k.
    """

    rows: int
    factors: int
    firsts: int
    lasts: int
    start: int
    left_out: int
    left_out_factors: int


@inner
def find_targets(sizes: Sizes, documents: I32, lows: I32, highs: I32, tile: Tile) -> None:
    """Find, for each center word of a tile, the range of words that its input vector predicts.

    A tile is a number of consecutive center words that are computed together. The ranges show which
    pairs of words count in the loss; the callers, for negative sampling and the hierarchical
    softmax, then compute the weights of these pairs.

    With skip-gram, an input vector predicts the words of the same document that are up to
    `Sizes.reach` positions away from the center word. (The range includes the center word; its
    weight in the loss is 0.) With CBOW, an input vector predicts the center word only, and nothing
    if the window has no other word.

    The start and the end (excluded) of each range are written to ``tile.lows`` and ``tile.highs``.
    They are offsets: offset `Sizes.reach` is the center word itself, and offset 0 the word
    `Sizes.reach` positions before it. For a reach of 5 in the middle of a document, the range is 0
    to 11. For CBOW, whose reach is 0, it is 0 to 1, or 0 to 0 if nothing is predicted.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    documents
        The document numbers of the words, beginning `Sizes.reach` positions before the tile.
    lows, highs
        For CBOW, the input windows: the start and the end (excluded) of each center word's window,
        which includes the center word. Only the length ``highs[i] - lows[i]`` is used: if it is 1,
        the window has no other word. So it does not matter from which position they are counted.
        Not used for skip-gram.
    tile
        The thread's working memory for the tile.
    """
    reach, count = sizes.reach, sizes.tile + 2 * sizes.reach
    first = end = 0  # the range of words in the center word's document
    for i in range(sizes.tile):
        low = high = 0
        document = documents[reach + i]
        if sizes.windows:
            high = int(highs[i] - lows[i] > 1)
        elif document >= 0:
            while documents[first] != document:
                first += 1
            while end < count and (end <= reach + i or documents[end] == document):
                end += 1
            low, high = max(first - i, 0), min(end - i, 2 * reach + 1)
        tile.lows[i], tile.highs[i] = low, high


@inner
def locate_words(matrix: F32, ids: I32, zeros: int, rows: I64) -> None:
    """For CBOW, find the address of the vector of each word of a part of the text.

    The addresses are stored in ``rows``, in the order of the text. For input vectors,
    `read_windows` later adds up the vectors of each window by these addresses. With negative
    sampling, this function is also called with the output matrix, to locate the output vectors of
    center words and of noise words.

    Parameters
    ----------
    matrix
        The input or output vectors, one in each row.
    ids
        The row of each word in ``matrix``; -1 for no word.
    zeros
        The address of a row of zeros. This address is stored where the id is -1.
    rows
        Output: element i is the address of the vector of word i.
    """
    base, size = address(matrix), np.int64(4 * matrix.shape[1])
    for place in range(unsigned(len(ids))):
        word = np.int64(ids[place])
        rows[place] = select(word >= 0, base + word * size, zeros)


@inlined
def add_multiple(rows: int, factors: int, i: Any, sign: np.float32, column: int, sums: Any) -> Any:
    """Add a multiple of a row of a list to sums; return the new sums.

    The multiple is ``sign`` times the row's factor. Only a block of adjacent columns is computed,
    from number ``column`` on; ``sums`` has these columns, as a tuple of SIMD vectors. ``rows`` and
    ``factors`` are attributes of `Ranges`, and ``i`` is the number of the row.
    """
    factor = splat(sign * load_float(factors, i))
    return multiply_add_each(factor, load_each(sums, load_address(rows, i), column), sums)


@inlined
def move_range(
    ranges: Ranges, k: int, begin: Any, end: Any, column: int, sums: Any, zero: Any
) -> Any:
    """For CBOW, compute the sum over range number ``k`` of rows from that over the previous range.

    The rows are word vectors, or gradients of input vectors, in the order of the text. A range is
    a sequence of consecutive rows, such as the vectors of the words in one window (`Ranges`). Each
    row is multiplied by its factor. The rows that are new in the range are added to the previous
    sum, and those that are not in it any more are subtracted. This is faster than adding up all
    rows of the range, because successive ranges have most rows in common. Rounding errors remain
    in the sum, even those from a large row that is not in the range any more. If the two ranges
    have no row in common, the sum starts again from zero, and so do the errors.

    Parameters
    ----------
    ranges
        The rows and their ranges. A range may include one row that does not belong to the sum, such
        as the vector of the center word. This function adds it; `sum_block` later subtracts it.
    begin, end
        The first row of the previous range, and the one after the last; both 0 before range 0.
    column
        The first of the columns that are summed.
    sums
        The sum over the previous range, a tuple of SIMD vectors.
    zero
        A tuple of as many zero vectors.

    Returns
    -------
    The sum over the range, its first row, and the one after its last.
    """
    first = np.int64(load_int(ranges.firsts, k)) - ranges.start
    last = np.int64(load_int(ranges.lasts, k)) - ranges.start
    if first >= end:  # the ranges have no row in common, so no rounding error remains
        sums, begin, end = zero, first, first
    while end < last:
        sums = add_multiple(ranges.rows, ranges.factors, end, np.float32(1), column, sums)
        end += 1
    while begin < first:
        sums = add_multiple(ranges.rows, ranges.factors, begin, np.float32(-1), column, sums)
        begin += 1
    return sums, begin, end


@inlined
def sum_block(
    width: int,
    ranges: Ranges,
    count: int,
    ahead: I64,
    far: bool,
    tile: Tile,
    column: int,
    zero: Any,
) -> None:
    targets = Targets(address(tile.out), address(tile.old), address(tile.steps))
    sums, begin, end = zero, ZERO, ZERO
    for k in range(count):
        if column == 0:  # prefetching a few rows at a time does not delay the sums
            if far and k + AHEAD < count:
                for i in range(0, width, LINE):
                    prefetch_target(tile.out[unsigned(k + AHEAD)], i)
            for j in range(k, len(ahead), count):
                for i in range(0, width, LINE):
                    prefetch(ahead[unsigned(j)], i)
        sums, begin, end = move_range(ranges, k, begin, end, column, sums, zero)
        rows, factors = ranges.left_out, ranges.left_out_factors
        put_row(targets, k, column, add_multiple(rows, factors, k, np.float32(-1), column, sums))


@inner
def write_sums(sizes: Sizes, ranges: Ranges, count: int, ahead: I64, far: bool, tile: Tile) -> None:
    """Compute sums over ranges of rows for CBOW; write old row + factor * sum to a new row.

    The sums have two uses (`Ranges`). `read_windows` sums the vectors of the words in each window,
    to get input vectors. `write_shares` sums the gradients of the input vectors of all windows that
    contain a word, to get the gradient of the word.

    Parameters
    ----------
    sizes
        The sizes of vectors.
    ranges, count
        The rows and their ranges, and the number of sums.
    ahead
        The addresses of rows that are needed later. They are prefetched.
    far
        Whether the new rows may be far from the CPU's nearest caches, so that it is worth
        prefetching them.
    tile
        The working memory that has, for each sum, the factor and the addresses of the old and of
        the new row (`rows.Targets`).
    """
    z, width, column, left = splat(0), sizes.vectors * LANES, ZERO, sizes.vectors
    for blocks in range(-(-sizes.vectors // MAX_SUMS), 0, -1):
        size = -(-left // blocks)
        if size == 8:
            eight = (z, z, z, z, z, z, z, z)
            sum_block(width, ranges, count, ahead, far, tile, column, eight)
        elif size == 7:
            seven = (z, z, z, z, z, z, z)
            sum_block(width, ranges, count, ahead, far, tile, column, seven)
        elif size == 6:
            sum_block(width, ranges, count, ahead, far, tile, column, (z, z, z, z, z, z))
        elif size == 5:
            sum_block(width, ranges, count, ahead, far, tile, column, (z, z, z, z, z))
        elif size == 4:
            sum_block(width, ranges, count, ahead, far, tile, column, (z, z, z, z))
        elif size == 3:
            sum_block(width, ranges, count, ahead, far, tile, column, (z, z, z))
        elif size == 2:
            sum_block(width, ranges, count, ahead, far, tile, column, (z, z))
        else:
            sum_block(width, ranges, count, ahead, far, tile, column, (z,))
        column += size * LANES
        left -= size


@inner
def read_windows(
    sizes: Sizes,
    lows: I32,
    highs: I32,
    weights: F32,
    start: int,
    first: int,
    last: int,
    out: int,
    tile: Tile,
    own: Windows,
) -> None:
    """For CBOW, compute the input vectors of some center words of a strip, a part of the text.

    An input vector is the sum or mean of the vectors of the other words in the center word's
    window; zero if there are none. Scores of these vectors with output vectors, or tree nodes, are
    computed later.

    Parameters
    ----------
    sizes
        The sizes of steps, strips and tiles.
    lows, highs
        The start and the end (excluded) of the window of each center word of the strip, as indices
        among the words of the training step (``Plans.ids``). The center word is between them, but
        its own vector is not a part of the input vector.
    weights
        For each center word, the weight that each other word of its window has in the input vector.
    start
        The index, among the words of the training step, of the first word whose vector the strip
        may need: the word m words before its first center word, if m is the window size.
    first, last
        The strip's center words ``first`` to ``last - 1`` are computed.
    out
        The address of the first result; the others follow.
    tile
        Working memory; the arrays ``out``, ``old`` and ``steps`` are overwritten.
    own
        The working memory with the address of each word's vector, in ``own.rows`` (`locate_words`).
        This function sets ``own.factors``, the factors of single vectors in a sum, to 1, because
        ``weights`` multiply the whole sums. It prefetches vectors that are needed later in the
        strip, and the output vectors whose addresses are in ``own.outside``.
    """
    size, zeros = 4 * sizes.vectors * LANES, address(tile.zeros)
    for i in range(unsigned(last - first)):
        tile.out[i], tile.old[i] = out + np.int64(i) * size, zeros
        tile.steps[i] = weights[unsigned(first) + i]
    own.factors[:] = 1
    rows, factors = address(own.rows), address(own.factors)
    center, skipped = first + sizes.window, 4 * np.int64(first)
    ranges = Ranges(
        rows=rows,
        factors=factors,
        firsts=address(lows) + skipped,
        lasts=address(highs) + skipped,
        start=start,
        left_out=rows + 8 * center,
        left_out_factors=factors + 4 * center,
    )
    ahead = own.addresses[first + 2 * sizes.window + AHEAD :]
    write_sums(sizes, ranges, last - first, ahead, sizes.sorted, tile)


@inner
def share_gradients(
    mean: bool,
    exact: bool,
    sizes: Sizes,
    lows: I32,
    highs: I32,
    weights: F32,
    start: int,
    of_windows: F32,
    gradients: int,
    zeros: int,
    windows: Windows,
    curvature: F32,
) -> None:
    """For CBOW, find the windows that contain each word, and bound the curvature of the loss.

    Each center word of a strip, a part of the text, has a window. The window's input vector is the
    sum or mean of the vectors of the other words in it. Let g be the negative gradient of the loss
    with respect to this vector, which has been computed before. The negative gradient of a word is
    the sum, over all windows that contain the word, of g times a factor, the window's share.

    These sums are computed later, by `write_shares`. For this purpose, the present function stores
    in ``windows``: for each window, its share and the address of g; and for each word, the range of
    the windows that contain the word. (The range includes the word's own window, which
    `write_shares` leaves out.) The function also bounds the curvature (second derivative) of the
    loss with respect to each word's vector, which limits the vector's step size.

    Parameters
    ----------
    mean
        Whether the words of a window are averaged instead of summed.
    exact
        For a mean: if true, the share of a window is the weight of its words in the mean (the exact
        gradient); if false, it is 1 (as in word2vec's code). For a sum, the share is 1.
    sizes
        The sizes of steps, strips and tiles.
    lows, highs
        The start and the end (excluded) of the window of each center word of the strip, as indices
        among the words of the training step (``Plans.ids``). The center word is between them, but
        its own vector is not a part of the input vector.
    weights
        For each center word, the weight that each other word of its window has in the input vector.
    start
        The index, among the words of the training step, of the first word whose vector the strip
        may need: the word m words before its first center word, if m is the window size.
    of_windows
        For each window, a bound on the curvature of the loss with respect to its input vector. The
        array is not changed.
    gradients
        The address of the negative gradients g of the input vectors, one for each center word.
    zeros
        The address of a row of zeros. It is stored, in place of the address of g, for the m words
        before the strip's center words and for the m words after them.
    windows
        The thread's working memory for the windows of the strip.
    curvature
        Output: for each word that the strip needs, a bound on the curvature with respect to its
        vector. It is the sum, over all windows that contain the word, of the window's share times
        the window's bound. If vectors are summed, not averaged, each term is also multiplied by the
        number of summed words.
    """
    m, centers, size = sizes.window, len(lows), 4 * sizes.vectors * LANES
    rows, factors, bounds = windows.rows, windows.factors, windows.bounds
    rows[:], factors[:], bounds[0] = zeros, 0, 0
    bound = np.float64(0)
    for i in range(unsigned(centers)):
        words = np.float32(highs[i] - lows[i] - 1)
        share = weights[i] if exact else np.float32(1)
        rows[unsigned(m) + i], factors[unsigned(m) + i] = gradients + np.int64(i) * size, share
        # The sum of a window's weights is 1 for a mean and its size for a sum.
        bound += share * of_windows[i] * (np.float32(1) if mean else words)
        bounds[i + unsigned(1)] = bound
    first = last = ZERO
    for place in range(centers + 2 * m):
        while first < centers and highs[unsigned(first)] - start <= place:
            first += 1
        while last < centers and lows[unsigned(last)] - start <= place:
            last += 1
        k, i = unsigned(place), place - m
        windows.firsts[k], windows.lasts[k] = first, last
        bound = bounds[unsigned(last)] - bounds[unsigned(first)]
        if 0 <= i < centers:
            bound -= bounds[unsigned(i + 1)] - bounds[unsigned(i)]
        curvature[k] = max(bound, np.float64(0))  # a rounding error may be negative


@inner
def write_shares(sizes: Sizes, centers: int, tile: Tile, windows: Windows) -> None:
    """For CBOW, compute the gradients of the words of a strip from the gradients of its windows.

    A strip is a part of the text: ``centers`` center words and, for a window size of m, the m words
    before and the m words after them. The gradient of a window is that of its input row, the sum or
    mean of the vectors of the words around the center word. The gradient of a word is the sum, over
    all windows that contain it, of the gradient of the window times a factor, the window's share.
    `share_gradients` must have found these windows and their shares before; here, the sums are
    computed. Each is written to the gradient buffer, or updates the model directly. The function
    `choose_targets` of the module ``rows.py`` has decided which, and stored the addresses in
    ``tile``.

    Parameters
    ----------
    sizes
        The sizes of vectors and windows.
    centers
        The number of center words of the strip.
    tile
        The working memory with the addresses to which the results are written.
    windows
        The working memory with the windows' gradients and shares, and the windows of each word.
    """
    m, rows, factors = sizes.window, address(windows.rows), address(windows.factors)
    # Word number m + i is center word i.
    ranges = Ranges(
        rows=rows + 8 * m,
        factors=factors + 4 * m,
        firsts=address(windows.firsts),
        lasts=address(windows.lasts),
        start=ZERO,
        left_out=rows,
        left_out_factors=factors,
    )
    write_sums(sizes, ranges, centers + 2 * m, windows.addresses[:0], True, tile)

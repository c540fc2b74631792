"""Compiled code for context windows: which words each center word predicts or is predicted from.

With skip-gram, the vector of the center word predicts the words around it; `find_targets` finds
their range. With CBOW, the sum or mean of the vectors of the words around the center word, called
the input vector, predicts the center word. `read_windows` computes the input vectors;
`share_gradients` and `write_shares` compute the gradients of words from those of the input vectors.
Input vectors and gradients of words are sums over ranges of adjacent rows (`Ranges`). `write_sums`
computes each sum from the one before, because successive ranges have most rows in common.
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
    """For CBOW, ranges of rows whose sums `write_sums` computes; one row is left out of each sum.

    There are two uses:

    - The input vector of a center word is a sum of vectors of the words in its window. The center
      word is in the range, and its vector is left out.
    - The gradient of a word is a sum of gradients of the input vectors of windows that contain the
      word. The word's own window is in the range, and the gradient of its input vector is left out.
    """

    # The address of an int64 array, which has the address of each row.
    rows: int
    # The address of a float32 array: the factor by which each row is multiplied.
    factors: int
    # The address of an int32 array: for each sum, the first row of its range. The elements do not
    # decrease from one sum to the next.
    firsts: int
    # The address of an int32 array: for each sum, the row after the last one of its range. The
    # elements do not decrease from one sum to the next.
    lasts: int
    # A number that is subtracted from the elements of `firsts` and `lasts` to get indices of rows.
    start: int
    # The address of an int64 array: for each sum, the address of the row that is left out of it.
    # This is a row of zeros if there is nothing to leave out.
    left_out: int
    # The address of a float32 array: for each sum, the factor of the row that is left out of it.
    left_out_factors: int


@inner
def find_targets(sizes: Sizes, documents: I32, lows: I32, highs: I32, tile: Tile) -> None:
    """Find, for each center word of a tile, the range of words that its input vector predicts.

    A tile has consecutive center words. With skip-gram, the range has the words of the same
    document up to m = `Sizes.reach` positions away, and the center word, with weight 0 in the loss.
    With CBOW, m is 0, and the range is the center word, or empty if its window has no other word.
    ``lows`` and ``highs`` bound each CBOW window (end excluded), which includes its center word.

    ``tile.lows`` and ``tile.highs`` are set to the start and the end (excluded) of each range, as
    offsets from the word m positions before the center word. ``documents`` has the document numbers
    of the words from m positions before the tile on; -1 for no word.
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
    """For CBOW, store the address of each word's vector in ``rows``, in the order of ``ids``.

    ``ids`` has the row of each word in ``matrix``, which has the input or output vectors. For an id
    of -1 (no word), ``zeros`` is stored, the address of a row of zeros.
    """
    base, size = address(matrix), np.int64(4 * matrix.shape[1])
    for place in range(unsigned(len(ids))):
        word = np.int64(ids[place])
        rows[place] = select(word >= 0, base + word * size, zeros)


@inlined
def add_multiple(rows: int, factors: int, i: Any, sign: np.float32, column: int, sums: Any) -> Any:
    """Add a row, multiplied by its factor and ``sign``, to a sum of rows; return the new sum.

    ``rows`` is the address of an int64 array with the addresses of float32 rows, and ``factors``
    that of a float32 array with their factors. Row number ``i`` is added, in a block of adjacent
    columns from ``column`` on. ``sums`` has the sum in this block, as a tuple of SIMD vectors.
    """
    factor = splat(sign * load_float(factors, i))
    return multiply_add_each(factor, load_each(sums, load_address(rows, i), column), sums)


@inlined
def move_range(
    ranges: Ranges, k: int, begin: Any, end: Any, column: int, sums: Any, zero: Any
) -> Any:
    """For CBOW, compute the sum over range ``k`` of rows from the sum over the previous range.

    Each row is multiplied by its factor (``ranges.factors``) before it is added or subtracted. Rows
    that are new in range ``k`` are added; rows that only the previous range has are subtracted. If
    the ranges have no row in common, the sum starts again from zero, and rounding errors disappear.
    The row that is to be left out (`Ranges.left_out`) is still included.

    The previous range has the rows ``begin`` to ``end - 1``; for ``k`` = 0, ``begin`` and ``end``
    are 0. ``sums`` has some columns of the previous sum, from ``column`` on, as a tuple of SIMD
    vectors; ``zero`` has as many zero vectors. Returns the new ``sums``, ``begin`` and ``end``.
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
    """Add up many ranges of rows for CBOW, and write each sum: new row = old row + factor * sum.

    The rows of a range are the vectors of the words in a window, or the gradients of the windows
    that contain a word (`Ranges`). For each range, ``tile`` has the addresses of the new and of the
    old row, and the factor (``out``, ``old`` and ``steps``).

    Parameters
    ----------
    ranges, count
        The rows and their ranges, and the number of sums.
    ahead
        The addresses of rows that are needed later. They are prefetched.
    far
        Whether to prefetch the new rows, too, because they may be far from the CPU's nearest
        caches.
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
    """For CBOW, compute the input vectors of center words ``first`` to ``last - 1`` of a strip.

    A strip is a number of consecutive center words. An input vector is the sum or mean of the
    vectors of the other words in the center word's window; zero if there are none. `locate_words`
    must have stored the addresses of the word vectors in ``own.rows``. ``own.factors`` is set to 1,
    and ``tile.out``, ``tile.old`` and ``tile.steps`` are overwritten.

    Parameters
    ----------
    lows, highs
        The start and the end (excluded) of each center word's window, as indices in ``Plans.ids``,
        the words of the training step. The window includes the center word.
    weights
        For each center word, the weight that each other word of its window has in the input vector.
    start
        The index in ``Plans.ids`` of the first word of ``own.rows``.
    out
        The address to which the first input vector is written; the others follow.
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

    The negative gradient of a word is the sum of s g over all windows that contain it, except the
    window around the word itself. g is the negative gradient of the window's input vector (the sum
    or, if ``mean`` is true, the mean of the vectors around the center word), and s a factor, the
    window's share. ``windows`` gets the addresses of g, the shares, and, for each word, the range
    of all windows that contain it; `write_shares` leaves the window around the word out of the sum.

    Parameters
    ----------
    exact
        For a mean: whether s is the window's element of ``weights`` (the exact gradient) or 1 (as
        in word2vec's code). For a sum, s is 1.
    lows, highs, weights
        The start and the end (excluded) of each window of the strip (some consecutive center
        words), and the weight of its words in the input vector.
    start
        Is subtracted from ``lows`` and ``highs`` to get indices in ``curvature``.
    of_windows
        For each window, a bound on the second derivative of the loss with respect to the input
        vector.
    gradients, zeros
        The address of the first g (the others follow), and that of a row of zeros. The zeros
        serve as g for windows around words outside the strip; other strips have these windows.
    curvature
        Output: for each word, a bound on the second derivative of the loss with respect to its
        vector. Element 0 is the word ``sizes.window`` positions before the strip.
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

    A strip is ``centers`` consecutive center words; gradients are also computed for the m words
    before and after them (m is the window size). The negative gradient of a word is the sum, over
    the windows of other words that contain it, of the window's share (a factor) times the negative
    gradient of the window's input vector (the sum or mean of the vectors around the center word).
    `share_gradients` must have stored these windows and shares in ``windows``. Each sum is written
    to the gradient buffer or updates the model, as `rows.choose_targets` has stored in ``tile``.
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

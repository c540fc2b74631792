"""Compiled code for context windows: which words each center word predicts or is predicted from.

An input vector is what predicts. With skip-gram, it is the vector of the center word and predicts
the words around it; `find_targets` finds these words. With CBOW, it is the sum or mean of the
vectors of the words around the center word and predicts that word. `read_windows` computes it,
after `locate_words`. `share_gradients` and `write_shares` compute the gradients of words from those
of input vectors.
"""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    add_ints,
    address,
    less_ints,
    load,
    load_address,
    load_each,
    load_float,
    load_ints,
    multiply_add,
    multiply_add_each,
    prefetch,
    prefetch_target,
    select,
    splat,
    splat_int,
    store,
    store_each,
    subtract_ints,
)
from w2v.engines.compiled.sparse import MAX_SUMS
from w2v.engines.compiled.structures import F32, I32, I64, LINE, Sizes, Tile, Windows

AHEAD = 6
"""A row is prefetched this many rows before it is read or updated."""


class Target(NamedTuple):
    """Where the gradient of a word of CBOW is stored, and what it is added to.

    `write_shares` computes the gradient, a sum of rows. The row at the address ``out`` is set to
    the row at the address ``old`` plus ``step`` times this sum. This updates the model, or writes
    or adds to a row of the gradient buffer (`rows.Targets`). ``step`` is a SIMD vector with equal
    lanes.
    """

    out: int
    old: int
    step: Any


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
    for place in range(len(ids)):
        rows[place] = base + ids[place] * size if ids[place] >= 0 else zeros


@inlined
def add_block(
    rows: int, low: int, high: int, weight: Any, column: int, out: int, zero: Any
) -> None:
    sums, one = zero, splat(1)
    for place in range(low, high):
        sums = multiply_add_each(one, load_each(zero, load_address(rows, place), column), sums)
    store_each(multiply_add_each(weight, sums, zero), out, column)


@inlined
def add_rows(vectors: int, rows: int, low: int, high: int, weight: np.float32, out: int) -> None:
    """Compute the sum or mean of the vectors of a CBOW window: their sum times ``weight``.

    `read_windows` calls this function for each window. The result is ``weight`` times the sum of
    the vectors at the addresses ``rows[low]`` to ``rows[high - 1]``.

    Parameters
    ----------
    vectors
        The width of a word vector: the number of SIMD vectors that make it up.
    rows
        The address of an int64 array of addresses, one for each vector.
    low, high
        The first element of this array that is used, and the one after the last.
    weight
        The factor: 1 for the sum, and 1 / the number of vectors, or of their rows, for the mean
        (`plans.window_weight`).
    out
        The address to which the result is written.
    """
    z, by, size, column, left = splat(0), splat(weight), 0, ZERO, vectors
    for blocks in range(-(-vectors // MAX_SUMS), 0, -1):
        size = -(-left // blocks)
        if size == 8:
            add_block(rows, low, high, by, column, out, (z, z, z, z, z, z, z, z))
        elif size == 7:
            add_block(rows, low, high, by, column, out, (z, z, z, z, z, z, z))
        elif size == 6:
            add_block(rows, low, high, by, column, out, (z, z, z, z, z, z))
        elif size == 5:
            add_block(rows, low, high, by, column, out, (z, z, z, z, z))
        elif size == 4:
            add_block(rows, low, high, by, column, out, (z, z, z, z))
        elif size == 3:
            add_block(rows, low, high, by, column, out, (z, z, z))
        elif size == 2:
            add_block(rows, low, high, by, column, out, (z, z))
        else:
            add_block(rows, low, high, by, column, out, (z,))
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
    zeros: int,
    own: Windows,
    outside: I64,
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
    zeros
        The address of a row of zeros, which takes the place of the center word's vector in sums.
    own
        The working memory, whose ``rows`` have the address of each word's vector (`locate_words`).
    outside
        The addresses of rows that are needed next, if any, such as output vectors. They are
        prefetched.
    """
    width, rows = sizes.vectors * LANES, address(own.rows)
    for i in range(first, last):
        # Prefetching a few rows at a time does not keep the sums waiting.
        ahead = own.rows[min(i + 2 * sizes.window + AHEAD, len(own.rows) - 1)]
        for k in range(0, width, LINE):
            prefetch(ahead, k)
        for j in range(i - first, len(outside), last - first):
            for k in range(0, width, LINE):
                prefetch(outside[j], k)
        low, high = int(lows[i] - start), int(highs[i] - start)
        # The sum is over the whole window, with zeros in place of the center word.
        center = own.rows[i + sizes.window]
        own.rows[i + sizes.window] = zeros
        add_rows(sizes.vectors, rows, low, high, weights[i], out + 4 * (i - first) * width)
        own.rows[i + sizes.window] = center


@inner
def share_gradients(
    mean: bool,
    exact: bool,
    sizes: Sizes,
    lows: I32,
    highs: I32,
    weights: F32,
    start: int,
    windows: Windows,
    of_windows: F32,
    curvature: F32,
) -> None:
    """For CBOW, compute the shares of words in the gradients of windows, and curvature bounds.

    Each center word of a strip, a part of the text, has a window. The window's input vector is the
    sum or mean of the vectors of the other words in it. Let g be the gradient of the loss with
    respect to this vector, which has been computed before. The gradient of a word is the sum, over
    all windows, of its share in the window times g. The share is zero for the center word and for
    words outside the window. This function stores the shares in ``windows.shares``; `write_shares`
    later computes the gradients. It also bounds the curvature (second derivative) of the loss with
    respect to each word's vector, which limits the vector's step size.

    Parameters
    ----------
    mean
        Whether the words of a window are averaged instead of summed.
    exact
        For a mean: if true, a word's share in a window is its weight in the mean (the exact
        gradient); if false, it is 1 (as in word2vec's code).
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
    windows
        The thread's working memory for the windows of the strip.
    of_windows
        For each window, a bound on the curvature of the loss with respect to its input vector. The
        array is not changed.
    curvature
        Output: for each word that the strip needs, a bound on the curvature with respect to its
        vector. It is the sum, over all windows, of the word's share times the window's bound. If
        vectors are summed, not averaged, each term is also multiplied by the number of summed
        words.
    """
    m, centers, stride = sizes.window, len(lows), windows.shares.shape[1]
    factors, bounds = address(windows.weights), address(windows.bounds)
    for i in range(centers):
        words = np.float32(highs[i] - lows[i] - 1)
        windows.weights[i] = weights[i] if exact else np.float32(1)
        # The sum of a window's weights is 1 for a mean and its size for a sum.
        windows.bounds[2 * m + i] = of_windows[i] * (np.float32(1) if mean else words)
    windows.bounds[2 * m + centers : 4 * m + centers] = 0
    zero, shares = splat(0), address(windows.shares)
    for i in range(0, centers, LANES):
        # The windows as offsets from the word m before the center word.
        places = add_ints(load_ints(address(windows.lanes), 0), splat_int(np.int32(i + start)))
        low = subtract_ints(load_ints(address(lows), i), places)
        high = subtract_ints(load_ints(address(highs), i), places)
        weight = load(factors, i)
        for k in range(2 * m + 1):
            if k != m:  # the center word is not a part of its window
                offset = splat_int(np.int32(k))
                inside = select(less_ints(offset, high), weight, zero)
                share = select(less_ints(offset, low), zero, inside)
                store(share, shares, k * stride + 2 * m + i)
    count = centers + 2 * m
    for n in range(0, count, LANES):
        place, total = min(n, count - LANES), zero  # the last vectors may overlap
        for k in range(2 * m, -1, -1):
            i = 2 * m + place - k
            total = multiply_add(load(shares, k * stride + i), load(bounds, i), total)
        store(total, address(curvature), place)


@inlined
def share_block(
    shares: int,
    down: int,
    first: int,
    last: int,
    gradients: int,
    width: int,
    target: Target,
    zero: Any,
) -> None:
    sums = zero
    for i in range(first, last):
        factor = splat(load_float(shares, i * down))
        sums = multiply_add_each(factor, load_each(zero, gradients, i * width), sums)
    sums = multiply_add_each(target.step, sums, load_each(zero, target.old, 0))
    store_each(sums, target.out, 0)


@inner
def write_shares(sizes: Sizes, centers: int, rows: int, tile: Tile, windows: Windows) -> None:
    """For CBOW, compute the gradients of the words of a strip from the gradients of its windows.

    A strip is a part of the text: ``centers`` center words and, for a window size of m, the m words
    before and the m words after them. The gradient of a window is that of its input row, the sum or
    mean of the vectors of the words around the center word. The gradient of a word is the sum, over
    all windows, of a factor times the gradient of the window. `share_gradients` must have computed
    these factors before; here, the sums are computed. Each is written to the gradient buffer, or
    updates the model directly. The function `choose_targets` of the module ``rows.py`` has decided
    which, and stored the addresses in ``tile``.

    Parameters
    ----------
    sizes
        The sizes of vectors and windows.
    rows
        The address of the negative gradients of the windows, one for each center word.
    tile
        The working memory with the addresses to which the results are written.
    windows
        The working memory with the factors, in ``windows.shares``.
    """
    m, width, stride = sizes.window, sizes.vectors * LANES, windows.shares.shape[1]
    down = 1 - stride
    for place in range(centers + 2 * m):
        if place + AHEAD < centers + 2 * m:
            for k in range(0, width, LINE):
                prefetch_target(tile.out[place + AHEAD], k)
        first, last = max(0, place - 2 * m), min(place + 1, centers)
        shares, gradients = address(windows.shares) + 4 * (place * stride + 2 * m), rows
        target = Target(tile.out[place], tile.old[place], splat(tile.steps[place]))
        z, size, left = splat(0), 0, sizes.vectors
        for blocks in range(-(-sizes.vectors // MAX_SUMS), 0, -1):
            size = -(-left // blocks)
            if size == 8:
                zeros = (z, z, z, z, z, z, z, z)
                share_block(shares, down, first, last, gradients, width, target, zeros)
            elif size == 7:
                seven = (z, z, z, z, z, z, z)
                share_block(shares, down, first, last, gradients, width, target, seven)
            elif size == 6:
                six = (z, z, z, z, z, z)
                share_block(shares, down, first, last, gradients, width, target, six)
            elif size == 5:
                five = (z, z, z, z, z)
                share_block(shares, down, first, last, gradients, width, target, five)
            elif size == 4:
                share_block(shares, down, first, last, gradients, width, target, (z, z, z, z))
            elif size == 3:
                share_block(shares, down, first, last, gradients, width, target, (z, z, z))
            elif size == 2:
                share_block(shares, down, first, last, gradients, width, target, (z, z))
            else:
                share_block(shares, down, first, last, gradients, width, target, (z,))
            done = 4 * size * LANES
            gradients += done
            target = Target(target.out + done, target.old + done, target.step)
            left -= size

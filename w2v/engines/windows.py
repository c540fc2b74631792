"""Compiled code for windows: the words that each center word predicts or is predicted from.

With skip-gram, an input row is the vector of the center word and predicts the words around it. With
CBOW, an input row is a sum of the vectors of the words around the center word and predicts that
word. The sums of a strip of the text then form a sparse matrix: its rows are the center words, its
columns the words from m before the strip to m after it, m being the window size.
"""

import numpy as np

from w2v.engines.memory import F32, I32, Sizes, Tile, Windows
from w2v.engines.simd import LANES, address, compiled, inlined
from w2v.engines.sparse import List, Rows, arrange_by_column, combine, lengths_squared


@compiled
def find_targets(sizes: Sizes, documents: I32, lows: I32, highs: I32, tile: Tile) -> None:
    """Find the range of words that each center word of a tile predicts.

    The range is written to ``tile.lows`` and ``tile.highs``, as offsets from the word that is
    `Sizes.reach` positions before the center word.

    Parameters
    ----------
    documents
        The document numbers, never falling, of the words from `Sizes.reach` before the tile on.
    lows, highs
        For CBOW, the windows of the tile's center words in `Plans`. A center word with an empty
        window is not predicted.
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


@compiled
def list_windows(
    mean: bool, sizes: Sizes, lows: I32, highs: I32, first: int, windows: Windows
) -> None:
    """Fill in the sparse matrix of the words, and their weights, in each window of a strip (CBOW).

    Parameters
    ----------
    mean
        Whether the words of a window are averaged instead of summed.
    lows, highs
        The windows of the strip's center words in `Plans`.
    first
        The position of the strip's first word, which is m words before its first center word.
    windows
        The working memory, which is filled in.
    """
    entries = windows.entries
    count = 0
    for i in range(len(lows)):
        low, high, center = lows[i] - first, highs[i] - first, i + sizes.window
        weight = window_weight(mean, high - low - 1)
        for place in range(low, high):
            # The center word is written as well, but overwritten by the next word.
            entries.columns[count], entries.factors[count] = place, weight
            count += place != center
        entries.starts[i + 1] = count


@inlined
def window_weight(mean: bool, words: int) -> np.float32:
    """Return the weight of each word in a window: 1 / ``words`` for a mean, 1 for a sum."""
    return np.float32(1) / np.float32(max(words, 1)) if mean else np.float32(1)


@compiled
def read_windows(sizes: Sizes, first: int, tile: Tile, windows: Windows) -> None:
    """Compute the input rows of a tile from the vectors of the words in its windows (CBOW).

    ``first`` is the index in the strip of the tile's first center word.
    """
    entries, vectors = windows.entries, sizes.vectors
    width, zeros = vectors * LANES, address(tile.zeros)
    words = Rows(address(windows.T), width)
    listed = List(address(entries.columns), address(entries.factors))
    for i in range(sizes.tile):
        start, end = np.int64(entries.starts[first + i]), np.int64(entries.starts[first + i + 1])
        out = address(tile.C) + 4 * i * width
        combine(vectors, listed, start, end, words, out, zeros, np.float32(1))
    rows = Rows(address(tile.C), width)
    lengths_squared(rows, sizes.tile, vectors, address(tile.center_norms))


@compiled
def share_gradients(
    mean: bool, exact: bool, centers: int, words: int, windows: Windows, curvature: F32
) -> None:
    """Compute the share of each word of a strip in the gradients of the windows (CBOW).

    The shares are stored as a sparse matrix by word, which `write_shares` reads.

    Parameters
    ----------
    mean
        Whether the words of a window are averaged instead of summed.
    exact
        Whether the gradient of a mean is divided by the number of words.
    centers, words
        The number of center words, and of all words, of the strip.
    curvature
        Filled with the summed curvature of each word.
    """
    entries = windows.entries
    arrange_by_column(entries, centers, words)
    begin = 0
    for place in range(words):
        total = np.float32(0)
        for e in range(begin, entries.ends[place]):
            i = entries.rows[e]
            size = entries.starts[i + 1] - entries.starts[i]
            # The sum of a window's weights is 1 for a mean and its size for a sum.
            share = window_weight(mean and exact, size)
            whole = np.float32(1) if mean else np.float32(size)
            entries.column_factors[e] = share
            total += windows.curvature[i] * whole * share
        curvature[place] = total
        begin = entries.ends[place]


@compiled
def write_shares(sizes: Sizes, words: int, tile: Tile, windows: Windows) -> None:
    """Compute the gradient of each word of a strip from its shares, and write it to its target."""
    entries, width = windows.entries, sizes.vectors * LANES
    listed = List(address(entries.rows), address(entries.column_factors))
    rows = Rows(address(windows.gradients), width)
    begin = np.int64(0)
    for place in range(words):
        end = np.int64(entries.ends[place])
        out, old, step = tile.out[place], tile.old[place], tile.steps[place]
        combine(sizes.vectors, listed, begin, end, rows, out, old, step)
        begin = end

"""Compiled code for windows: which words a center predicts, or is predicted from.

With skip-gram an input row is a word's own, and predicts the words around it. With CBOW it is a sum
of the words around it, and predicts the word itself: then the sums of a strip are a sparse matrix,
whose rows are the centers and whose columns are the words from m before the strip to m after it.
"""

import numpy as np

from w2v.engines.memory import F32, I32, Sizes, Tile, Windows
from w2v.engines.simd import LANES, address, compiled, inlined
from w2v.engines.sparse import List, Rows, arrange_by_column, combine, lengths_squared


@compiled
def find_targets(sizes: Sizes, documents: I32, lows: I32, highs: I32, tile: Tile) -> None:
    """Find the words that each center of a tile predicts: they are consecutive.

    The first and the one after the last are written to ``lows`` and ``highs`` of the tile, counted
    from the word that is `Sizes.reach` before the center.

    Parameters
    ----------
    documents
        The documents of the words from `Sizes.reach` before the tile on. They never fall.
    lows, highs
        With windows, those of the tile's centers in `Plans`. An empty window predicts nothing.
    """
    reach, count = sizes.reach, sizes.tile + 2 * sizes.reach
    first = end = 0  # the words of the center's document
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
    """Write down the words that the centers of a strip are sums of, and their weights.

    Parameters
    ----------
    lows, highs
        Those of the strip's centers in `Plans`.
    first
        The place of the strip's first word, m before its first center.
    """
    entries = windows.entries
    count = 0
    for i in range(len(lows)):
        low, high, center = lows[i] - first, highs[i] - first, i + sizes.window
        weight = window_weight(mean, high - low - 1)
        for place in range(low, high):
            # The center is written, too, and the next one overwrites it.
            entries.columns[count], entries.factors[count] = place, weight
            count += place != center
        entries.starts[i + 1] = count


@inlined
def window_weight(mean: bool, words: int) -> np.float32:
    """Return what each word of a window is multiplied by, for a mean or for a sum."""
    return np.float32(1) / np.float32(max(words, 1)) if mean else np.float32(1)


@compiled
def read_windows(sizes: Sizes, first: int, tile: Tile, windows: Windows) -> None:
    """Compute the input rows of a tile, whose first center is number ``first`` of the strip."""
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
    """Give each word of a strip its shares of the gradients by the centers.

    They are written down as a sparse matrix, by word, for `write_shares`.

    Parameters
    ----------
    centers, words
        The number of the strip's centers, and of its words.
    curvature
        Filled with that of each word.
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
    """Write the sum of the shares of each word of a strip to its target."""
    entries, width = windows.entries, sizes.vectors * LANES
    listed = List(address(entries.rows), address(entries.column_factors))
    rows = Rows(address(windows.gradients), width)
    begin = np.int64(0)
    for place in range(words):
        end = np.int64(entries.ends[place])
        out, old, step = tile.out[place], tile.old[place], tile.steps[place]
        combine(sizes.vectors, listed, begin, end, rows, out, old, step)
        begin = end

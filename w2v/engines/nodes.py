"""The compiled tile of the hierarchical softmax: scores of inner nodes, as a sparse matrix.

The output rows of a tile are the inner nodes on the paths of all words that its centers predict. A
center is scored only with those on the paths of its own words: with a window of 5, about 90 of 600.
So the scores S are a sparse matrix, with a row for each center and a column for each node. A node
where some of these paths turn to the branch of code 0 and others to that of code 1 has two entries.
"""

import numpy as np

from w2v.engines.logistic import logistic
from w2v.engines.memory import F32, I32, Nodes, Paths, Sizes, Tile
from w2v.engines.simd import LANES, address, compiled
from w2v.engines.sparse import List, Rows, arrange_by_column, combine, score_row
from w2v.engines.windows import find_targets


@compiled
def list_keys(paths: Paths, sizes: Sizes, words: I32, nodes: I32, own: Nodes) -> None:
    """Write down, for each word of a tile and each node on its path, a number: its key.

    That is twice the node's column, plus the code of the branch that the path takes there.

    Parameters
    ----------
    words
        The words from `Sizes.reach` before the tile to as many after it; -1 for none.
    nodes
        The tile's nodes.
    """
    columns = own.columns
    for column in range(len(nodes)):
        if nodes[column] >= 0:
            columns[nodes[column]] = column
    for place in range(sizes.tile + 2 * sizes.reach):
        word = words[place]
        if word >= 0:
            start = paths.starts[word]
            for k in range(paths.starts[word + 1] - start):
                key = 2 * columns[paths.nodes[start + k]] + paths.codes[start + k]
                own.keys[place * sizes.depth + k] = key


@compiled
def list_entries(
    starts: I32, weights: F32, sizes: Sizes, words: I32, tile: Tile, own: Nodes
) -> float:
    """Write down the entries of a tile with their weights, and return the summed weight of pairs.

    The weight of an entry is that of all words of its center whose paths take its branch at its
    node. It is negative for the branch of code 1.

    Parameters
    ----------
    starts
        See `w2v.engines.memory.Paths`.
    weights
        See `w2v.engines.memory.Pairs`.
    words
        See `list_keys`.
    """
    entries, sums, keys = own.entries, own.key_sums, own.keys
    count = 0
    pairs = np.float64(0)
    for i in range(sizes.tile):
        first = count
        for j in range(tile.lows[i], tile.highs[i]):
            weight = weights[j]
            if weight > 0:
                pairs += weight
                begin = (i + j) * sizes.depth
                word = words[i + j]
                for k in range(begin, begin + starts[word + 1] - starts[word]):
                    key = keys[k]
                    # Every key is written, and the next one overwrites it unless it is new.
                    entries.columns[count] = key
                    count += sums[key] == 0
                    sums[key] += weight
        for e in range(first, count):
            key = entries.columns[e]
            sign = np.float32(1 - 2 * (key & 1))
            entries.columns[e], entries.factors[e] = key >> 1, sign * sums[key]
            sums[key] = 0
        entries.starts[i + 1] = count
    return pairs


@compiled
def score_nodes(
    weights: F32,
    paths: Paths,
    sizes: Sizes,
    words: I32,
    documents: I32,
    lows: I32,
    highs: I32,
    nodes: I32,
    tile: Tile,
    own: Nodes,
    of_centers: F32,
    of_nodes: F32,
) -> tuple[float, float]:
    """Compute a tile's -∂J/∂S, and its curvatures; return its summed weight of pairs and its loss.

    Parameters
    ----------
    weights, words, nodes
        See `list_entries` and `list_keys`.
    documents, lows, highs
        See `w2v.engines.windows.find_targets`.
    of_centers, of_nodes
        Filled with the curvatures of the centers and of the nodes.
    """
    entries, vectors = own.entries, sizes.vectors
    find_targets(sizes, documents, lows, highs, tile)
    list_keys(paths, sizes, words, nodes, own)
    pairs = list_entries(paths.starts, weights, sizes, words, tile, own)
    rows = Rows(address(tile.R), vectors * LANES)
    scores, places = address(tile.scores), address(entries.columns)
    for i in range(sizes.tile):
        first, last = np.int64(entries.starts[i]), np.int64(entries.starts[i + 1])
        center = address(tile.C) + 4 * i * vectors * LANES
        score_row(vectors, center, rows, places, first, last, scores)
    count = np.int64(entries.starts[sizes.tile])
    whole = -(-count // LANES)
    for e in range(count, whole * LANES):
        tile.scores[e] = entries.factors[e] = 0
    loss = logistic(scores, address(entries.factors), address(tile.curvature), whole)
    of_nodes[:] = 0
    for i in range(sizes.tile):
        total, norm = np.float32(0), tile.center_norms[i]
        for e in range(entries.starts[i], entries.starts[i + 1]):
            column = entries.columns[e]
            total += tile.curvature[e] * tile.norms[column]
            of_nodes[column] += tile.curvature[e] * norm
        of_centers[i] = total
    return pairs, loss


@compiled
def write_node_gradients(sizes: Sizes, nodes: int, tile: Tile, own: Nodes) -> None:
    """Write the gradients of a tile to their targets: its centers, then its ``nodes`` nodes."""
    entries, vectors = own.entries, sizes.vectors
    width = vectors * LANES
    out, old, steps = tile.out, tile.old, tile.steps
    listed = List(address(entries.columns), address(tile.scores))
    rows = Rows(address(tile.R), width)
    for i in range(sizes.tile):
        first, last = np.int64(entries.starts[i]), np.int64(entries.starts[i + 1])
        combine(vectors, listed, first, last, rows, out[i], old[i], steps[i])
    arrange_by_column(entries, sizes.tile, nodes)
    for e in range(entries.starts[sizes.tile]):
        entries.column_factors[e] = tile.scores[entries.order[e]]
    listed = List(address(entries.rows), address(entries.column_factors))
    rows = Rows(address(tile.C), width)
    first = np.int64(0)
    for n in range(nodes):
        last, i = np.int64(entries.ends[n]), sizes.tile + n
        combine(vectors, listed, first, last, rows, out[i], old[i], steps[i])
        first = last

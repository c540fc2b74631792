"""The compiled tile of the hierarchical softmax: the scores of tree nodes as a sparse matrix.

A tile is a group of consecutive center words that are computed together. Its output rows are the
inner nodes on the tree paths of all words that these center words predict. A center word is scored
only with the nodes on the paths of its own words; with a window size of 5, these are about 90 of
500. The scores S are therefore a sparse matrix, with a row for each center word and a column for
each node. A node has two elements in a row if some of the paths take its branch of code 0 and
others its branch of code 1.
"""

import numpy as np

from w2v.engines.logistic import logistic
from w2v.engines.memory import F32, I32, Nodes, Paths, Sizes, Tile
from w2v.engines.simd import LANES, address, compiled
from w2v.engines.sparse import List, Rows, arrange_by_column, combine, score_row
from w2v.engines.windows import find_targets


@compiled
def list_keys(paths: Paths, sizes: Sizes, words: I32, nodes: I32, own: Nodes) -> None:
    """Compute the keys of each word of a tile: 2 * column + code, for each node on its tree path.

    The column is the index of the node among the tile's nodes; the code, 0 or 1, is that of the
    branch that the path takes.

    Parameters
    ----------
    words
        The words from `Sizes.reach` positions before the tile to as many after it; -1 for none.
    nodes
        The nodes of the tile.
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
    """Fill in the sparse matrix of the weights of a tile's scores.

    Returns the summed weight of the pairs.

    The weight of a center word and a key is the summed weight of the words that the center word
    predicts and whose paths have the key. It is negative for the branch of code 1.

    Parameters
    ----------
    starts
        The starts of the tree paths (`w2v.engines.memory.Paths`).
    weights
        The weights of pairs by distance.
    words
        The words from `Sizes.reach` positions before the tile to as many after it; -1 for none.
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
                    # Each key is written, and overwritten by the next one unless it is new.
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
    """Compute the scores of a tile and replace them by -∂J/∂S.

    Parameters
    ----------
    weights
        The weights of pairs by distance.
    words
        The words from `Sizes.reach` positions before the tile to as many after it; -1 for none.
    documents
        The documents of these words.
    lows, highs
        For CBOW, the windows of the tile's center words in the plan.
    nodes
        The nodes of the tile.
    of_centers, of_nodes
        Filled with the summed curvatures of the center rows and of the nodes.

    Returns
    -------
    The summed weight of the tile's pairs, and its loss.
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
    """Compute the gradients of a tile's center rows and nodes and write them to their targets."""
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

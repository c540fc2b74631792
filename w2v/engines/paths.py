"""The compiled hierarchical softmax of CBOW: each center word is scored with the nodes on its path.

A center word of CBOW predicts one word, itself. Its scores are the dot products of its input row
with the inner nodes on the word's tree path, from the root on. A node on the path of a center word
is called an *entry*. The entries of a step are numbered in the order of the text; there are about
eleven for each center word.

The nodes near the root are on most of the paths. The `Sizes.hot` nodes nearest to the root are
called *hot*. Each tile has a gradient row in the buffer for each hot node, to which it adds its
entries. Any other node has few entries, and the gradient of an entry is a multiple of an input row.
To save memory, only the factor is stored, and the input rows of the step; `move_nodes` adds up the
products. Huffman's algorithm makes the root last and each node before its parent, so that hot nodes
have the last numbers, and a path begins with its hot nodes.
"""

from typing import Any, NamedTuple

import numpy as np

from w2v.engines.logistic import logistic
from w2v.engines.memory import F32, I32, LINE, Buffer, Path, Plans, Problem, Sizes, Tile
from w2v.engines.rows import limit, prefetch_rows
from w2v.engines.simd import (
    LANES,
    address,
    inlined,
    inner,
    load,
    load_each,
    load_float,
    load_int,
    multiply_add,
    multiply_add_each,
    prefetch,
    splat,
    store,
    store_each,
    subtract,
    sum_lanes,
)
from w2v.engines.sparse import MAX_SUMS, List, Rows, combine, score_and_square_row, spread

CENTERS_AHEAD = 2
"""The nodes of a center word are prefetched this many center words before it."""

NODES_AHEAD = 2
"""A node is prefetched this many nodes before it is moved."""


@inner
def score_paths(
    matrix: F32,
    sizes: Sizes,
    keys: I32,
    starts: I32,
    tile: Tile,
    own: Path,
    of_centers: F32,
) -> tuple[float, float]:
    """Compute the scores S of a tile's center words with tree nodes, and replace them by -∂J/∂S.

    A center word is scored with the nodes on its path. J is the loss.

    Parameters
    ----------
    matrix
        The vectors of the nodes.
    keys, starts
        The nodes on the paths of the center words of the step, and where the nodes of each of the
        tile's center words begin (``keys`` and ``key_starts`` of `Plans`).
    of_centers
        Output: the summed curvature of the loss along each center row.

    Returns
    -------
    The number of the tile's pairs, and its loss.
    """
    vectors, begin = sizes.vectors, starts[0]
    count = starts[sizes.tile] - begin
    whole = -(-count // LANES)
    for e in range(count):
        key = keys[begin + e]
        own.nodes[e], own.factors[e], own.negatives[e] = key >> 1, 1, key & 1
    # The last scores are computed for several nodes, and in whole vectors.
    for e in range(count, whole * LANES):
        own.nodes[e] = own.factors[e] = own.negatives[e] = 0
    rows, places = Rows(address(matrix), matrix.shape[1]), address(own.nodes)
    scores, squares = address(tile.scores), address(own.squares)
    pairs = np.float64(0)
    for i in range(sizes.tile):
        if i + CENTERS_AHEAD < sizes.tile:
            first, last = starts[i + CENTERS_AHEAD] - begin, starts[i + CENTERS_AHEAD + 1] - begin
            prefetch_rows(matrix, own.nodes[first:last], vectors * LANES)
        first, last = starts[i] - begin, starts[i + 1] - begin
        center = address(tile.C) + 4 * i * vectors * LANES
        score_and_square_row(
            vectors, center, rows, places, np.int64(first), np.int64(last), scores, squares
        )
        pairs += last > first
    for e in range(count, whole * LANES):
        tile.scores[e] = 0
    # The loss of code 1 is log(1 + exp(s)) = log(1 + exp(-s)) + s.
    total, negatives = splat(0), address(own.negatives)
    for k in range(0, whole * LANES, LANES):
        total = multiply_add(load(negatives, k), load(scores, k), total)
    loss = logistic(scores, address(own.factors), address(tile.curvature), whole)
    for k in range(0, whole * LANES, LANES):
        store(subtract(load(scores, k), load(negatives, k)), scores, k)
    for i in range(sizes.tile):
        summed = np.float32(0)
        for e in range(starts[i] - begin, starts[i + 1] - begin):
            summed += tile.curvature[e] * own.squares[e]
        of_centers[i] = summed
    return pairs, loss + sum_lanes(total)


@inner
def write_path_gradients(
    matrix: F32,
    sizes: Sizes,
    starts: I32,
    first: int,
    slot: int,
    tile: Tile,
    own: Path,
    buffer: Buffer,
) -> None:
    """Compute the gradients of a tile's center rows and of the tree nodes nearest to the root.

    Gradients of center rows are written to their targets. The gradients of other nodes are
    multiples of center rows; only the factors are stored, in ``buffer``.

    Parameters
    ----------
    matrix
        The vectors of the nodes.
    starts
        Where the nodes on the path of each of the tile's center words begin.
    first
        The position of the tile's first center word in the step.
    slot
        The buffer row of the first of the nodes nearest to the root.
    """
    vectors, width, begin = sizes.vectors, sizes.vectors * LANES, starts[0]
    coldest = len(matrix) - sizes.hot
    listed = List(address(own.nodes), address(tile.scores))
    rows = Rows(address(matrix), matrix.shape[1])
    buffer.outside[slot : slot + sizes.hot] = 0
    curvature = buffer.outside_curvature[slot : slot + sizes.hot]
    curvature[:] = 0
    # Rows are found by the number of the node.
    sums = Rows(address(buffer.outside) + 4 * (slot - coldest) * width, width)
    for i in range(sizes.tile):
        start, end = np.int64(starts[i] - begin), np.int64(starts[i + 1] - begin)
        center, norm = address(tile.C) + 4 * i * width, tile.center_norms[i]
        combine(vectors, listed, start, end, rows, tile.out[i], tile.old[i], tile.steps[i])
        e = start
        while e < end and own.nodes[e] >= coldest:
            curvature[own.nodes[e] - coldest] += tile.curvature[e] * norm
            e += 1
        spread(vectors, listed, start, e, center, sums)
        for k in range(e, end):
            buffer.path_gradients[begin + k] = tile.scores[k]
            buffer.path_curvature[begin + k] = tile.curvature[k] * norm
        out = address(buffer.path_inputs) + 4 * (first + i) * width
        for k in range(0, width, LANES):
            store(load(center, k), out, k)


class Listed(NamedTuple):
    """The entries of a tree node in a training step, as a linked list.

    An entry is a center word whose path contains the node. It adds a multiple of the center word's
    input row to the node's gradient.

    Attributes
    ----------
    head
        The node's first entry.
    following, owners, factors
        The addresses of arrays with, for each entry, the node's next entry, the position of the
        center word in the step, and the factor of its input row.
    inputs, width
        The address of some columns of the first input row of the step, and the number of float32
        values in a row.
    """

    head: Any
    following: int
    owners: int
    factors: int
    inputs: int
    width: int


@inlined
def add_entries(listed: Listed, step: Any, out: int, zero: Any) -> None:
    """Update a block of columns of a tree node's vector by the gradients of the node's entries.

    Parameters
    ----------
    listed
        The entries.
    step
        The factor of the summed gradient.
    out
        The address of the block of columns in the node's row of the model.
    zero
        A tuple of zero vectors, as many as the block has.
    """
    sums, e, factors, inputs = zero, listed.head, listed.factors, listed.inputs
    while e >= 0:
        row = np.int64(load_int(listed.owners, e)) * listed.width
        sums = multiply_add_each(splat(load_float(factors, e)), load_each(zero, inputs, row), sums)
        e = load_int(listed.following, e)
    store_each(multiply_add_each(step, sums, load_each(zero, out, 0)), out, 0)


@inner
def move_nodes(
    problem: Problem,
    sizes: Sizes,
    n: int,
    first: int,
    last: int,
    plans: Plans,
    buffer: Buffer,
    rate: np.float32,
) -> None:
    """Update the vectors of some of a step's tree nodes, except for those nearest to the root.

    Parameters
    ----------
    n
        The number of the step in ``plans``.
    first, last
        The nodes with the indices ``first`` to ``last - 1`` in the step's list of nodes are
        updated.
    rate
        The learning rate.
    """
    width, model = sizes.vectors * LANES, address(problem.outside)
    stride = np.int64(4 * problem.outside.shape[1])
    nodes, heads = plans.outside_words[n], plans.outside_heads[n]
    after, owners = address(plans.outside_next[n]), address(plans.owners[n])
    gradients, curvature = address(buffer.path_gradients), address(buffer.path_curvature)
    z = splat(0)
    for k in range(first, last):
        if k + NODES_AHEAD < last:
            ahead = k + NODES_AHEAD
            row = np.int64(load_int(owners, heads[ahead])) * width
            for j in range(0, width, LINE):
                prefetch(model + nodes[ahead] * stride, j)
                prefetch(address(buffer.path_inputs), row + j)
        total, e = np.float32(0), heads[k]
        while e >= 0:
            total += load_float(curvature, e)
            e = load_int(after, e)
        step = splat(limit(rate, total))
        out, inputs, head = model + nodes[k] * stride, address(buffer.path_inputs), heads[k]
        size, left = 0, sizes.vectors
        for blocks in range(-(-sizes.vectors // MAX_SUMS), 0, -1):
            size = -(-left // blocks)
            listed = Listed(head, after, owners, gradients, inputs, width)
            if size == 8:
                add_entries(listed, step, out, (z, z, z, z, z, z, z, z))
            elif size == 7:
                add_entries(listed, step, out, (z, z, z, z, z, z, z))
            elif size == 6:
                add_entries(listed, step, out, (z, z, z, z, z, z))
            elif size == 5:
                add_entries(listed, step, out, (z, z, z, z, z))
            elif size == 4:
                add_entries(listed, step, out, (z, z, z, z))
            elif size == 3:
                add_entries(listed, step, out, (z, z, z))
            elif size == 2:
                add_entries(listed, step, out, (z, z))
            else:
                add_entries(listed, step, out, (z,))
            inputs, out = inputs + 4 * size * LANES, out + 4 * size * LANES
            left -= size


@inner
def move_hot_nodes(
    problem: Problem,
    sizes: Sizes,
    tiles: int,
    first: int,
    last: int,
    buffer: Buffer,
    rate: np.float32,
) -> None:
    """Update the tree nodes nearest to the root by the sums of their gradients in a step.

    These nodes are called hot. They have a gradient row for each tile.

    Parameters
    ----------
    tiles
        The number of tiles of the step.
    first, last
        The hot nodes with the numbers ``first`` to ``last - 1`` are updated.
    rate
        The learning rate.
    """
    width, matrix = sizes.vectors * LANES, problem.outside
    coldest = len(matrix) - sizes.hot
    for k in range(first, last):
        total = np.float32(0)
        for tile in range(tiles):
            total += buffer.outside_curvature[tile * sizes.hot + k]
        step = splat(limit(rate, total))
        out = address(matrix) + 4 * np.int64(coldest + k) * matrix.shape[1]
        row = address(buffer.outside) + 4 * np.int64(k) * width
        for column in range(0, width, LANES):
            summed = splat(0)
            for tile in range(tiles):
                gradient = load(row, np.int64(tile * sizes.hot) * width + column)
                summed = multiply_add(splat(1), gradient, summed)
            store(multiply_add(step, summed, load(out, column)), out, column)

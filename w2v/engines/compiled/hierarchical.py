"""Scores and gradients of the hierarchical softmax, whose scores form a sparse matrix.

The hierarchical softmax predicts a word by one choice between two branches at each inner node on
the word's path in the Huffman tree. A score is the dot product of a node's vector and an input
vector, which predicts: with skip-gram the center word's vector, which predicts the words around it;
with CBOW the sum or mean of the vectors around the center word, which predicts the center word.

A tile is a number of center words that are computed together. Each needs only the nodes on the
paths of the words that it predicts: for skip-gram with a window size of 5, about 80 of the tile's
500 nodes. The matrix of scores is therefore sparse. It has one row for each *group* of four center
words. The elements of the row are the nodes that any of the four needs, each with four scores.

The four need nearly the same nodes. With skip-gram, they are consecutive in the text. With CBOW,
center words are sorted by their leaves in the tree (`tree_nodes.list_paths`).
"""

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.logistic import logistic
from w2v.engines.compiled.rows import ALONE, Targets, limit, prefetch_rows
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    add,
    address,
    load,
    load_four,
    multiply,
    multiply_add,
    select,
    splat,
    splat_four,
    store,
    subtract,
    sum_lanes,
    unsigned,
)
from w2v.engines.compiled.sparse import (
    List,
    Rows,
    combine_four,
    score_four_rows,
    spread_four,
)
from w2v.engines.compiled.structures import F32, I32, MR, Nodes, Sizes, Tile
from w2v.engines.compiled.windows import find_targets


@inner
def weigh_group(weights: F32, sizes: Sizes, first: int, tile: Tile, own: Nodes) -> float:
    """For skip-gram, compute the weights of the pairs that `MR` = 4 consecutive center words form.

    A center word forms a pair with each word in its window (``tile.lows``, ``tile.highs``). The
    weights, by which the losses of pairs are multiplied, are written to ``own.lanes``, and their
    sum is returned. ``own.lanes`` has a column for each center word, and a row for each word of the
    text from ``sizes.reach`` positions before the first center word to ``sizes.reach`` after the
    last. An element is 0 if the two words form no pair.

    ``weights`` has the weight of a pair for each offset of the predicted word from the center word,
    from -``sizes.reach`` to ``sizes.reach``. ``first`` is the index in the tile of the first center
    word.
    """
    total = np.float64(0)
    for place in range(unsigned(2 * sizes.reach + MR)):
        for lane in range(unsigned(MR)):
            j, i = np.int64(place) - np.int64(lane), unsigned(first) + lane
            is_pair = (j >= tile.lows[i]) & (j < tile.highs[i])
            weight = weights[unsigned(j)] if is_pair else np.float32(0)
            own.lanes[place, lane] = weight
            total += weight
    return total


@inner
def list_groups(
    keys: I32, starts: I32, weights: F32, sizes: Sizes, tile: Tile, own: Nodes
) -> float:
    """For skip-gram, list the tree nodes with which each group of center words is scored.

    A tile is a sequence of groups of `MR` = 4 consecutive center words. ``own.entries`` gets the
    nodes of each group: those on the Huffman paths of the words that the group predicts.
    ``own.starts`` gets the index at which each group begins. For each node and center word,
    ``own.factors`` gets the summed weight of the predicted words whose paths have the node, and
    ``own.negatives`` that of the words whose paths take branch 1 there.

    ``keys`` and ``starts`` have the paths of the words in and around the tile (see
    `structures.Plans`). ``weights`` has the weight of a pair (center word, predicted word) for each
    offset of the predicted word. Before the call, `find_targets` must have filled ``tile``, and
    ``own.marks`` must be 0 for the tile's nodes. Returns the summed weight of the tile's pairs.
    """
    entries, marks = own.entries, own.marks
    sums, lanes = address(own.sums), address(own.lanes)
    zero, count = splat_four(np.float32(0)), ZERO
    pairs = np.float64(0)
    for group in range(sizes.tile // MR):
        first = count
        pairs += weigh_group(weights, sizes, group * MR, tile, own)
        for place in range(2 * sizes.reach + MR):
            weight = own.lanes[place]
            if (weight[0] + weight[1]) + (weight[2] + weight[3]) > 0:
                by = load_four(lanes, MR * place)
                i = group * MR + place
                for k in range(starts[i], starts[i + 1]):
                    # Each node is written, and overwritten by the next one unless it is new.
                    key = np.int64(keys[unsigned(k)])
                    column = unsigned(key >> 1)
                    entries[unsigned(count)] = column
                    count += marks[column] <= group
                    marks[column] = group + 1
                    store(add(load_four(sums, MR * key), by), sums, MR * key)
        factors, negatives = address(own.factors), address(own.negatives)
        for e in range(first, count):
            row = 2 * MR * np.int64(entries[unsigned(e)])
            negative = load_four(sums, row + MR)
            store(add(load_four(sums, row), negative), factors, MR * e)
            store(negative, negatives, MR * e)
            store(zero, sums, row)
            store(zero, sums, row + MR)
        own.starts[group + 1] = count
    entries[count] = 0  # a pair of nodes is scored at a time
    return pairs


@inner
def unpack_groups(keys: I32, starts: I32, sizes: Sizes, own: Nodes) -> None:
    """For CBOW, decode the tree nodes with which each group of center words in a tile is scored.

    A tile is a sequence of groups of `MR` = 4 center words. ``keys`` has, group after group, an
    integer for each node on the Huffman paths of the group's words (`tree_nodes.list_levels` has
    the formula). Group g begins at ``keys[starts[g]]``.

    ``own.entries`` gets the index of each of these nodes among the distinct nodes of the tile, and
    ``own.starts`` the index in ``own.entries`` at which each group begins. For each node and word
    of a group, ``own.factors`` gets 1 if the word's path has the node, else 0; ``own.negatives``
    gets 1 if the path takes branch 1 there, else 0.
    """
    bits, factors, negatives = address(own.bits), address(own.factors), address(own.negatives)
    begin, groups = starts[0], sizes.tile // MR
    count, every = starts[groups] - begin, 2**MR - 1
    for group in range(groups + 1):
        own.starts[group] = starts[group] - begin
    for e in range(count):
        key = keys[unsigned(begin + e)]
        own.entries[unsigned(e)] = key >> 2 * MR
        store(load_four(bits, MR * np.int64(key & every)), factors, MR * e)
        store(load_four(bits, MR * np.int64(key >> MR & every)), negatives, MR * e)
    own.entries[count] = 0  # a pair of nodes is scored at a time


@inlined
def prefetch_part(matrix: F32, ids: I32, group: int, sizes: Sizes) -> None:
    """Load a part of the vectors that the next tile will need into the processor's cache.

    A tile is a sequence of groups of `MR` = 4 center words. This function is called for each group
    of the present tile, just before the products of the group are computed. If all vectors were
    prefetched before the first products, the products would have to wait.

    The vectors are the rows ``ids`` of ``matrix``. They are divided into as many equal parts as a
    tile has groups. The part with the number ``group`` is loaded.
    """
    groups = sizes.tile // MR
    first, last = len(ids) * group // groups, len(ids) * (group + 1) // groups
    prefetch_rows(matrix, ids[first:last], sizes.vectors * LANES)


@inner
def score_nodes(
    weights: F32,
    sizes: Sizes,
    keys: I32,
    starts: I32,
    documents: I32,
    tile: Tile,
    own: Nodes,
    of_centers: F32,
    of_nodes: F32,
    inputs: F32,
    ahead: I32,
) -> tuple[float, float]:
    """Compute a tile's hierarchical softmax loss, and its derivatives with respect to the scores.

    A tile is a number of center words, each with an input row (the vector that predicts words). A
    score is the dot product of an input row and a tree node's vector. Before the call, ``tile``
    must have these vectors and their squared lengths. ``tile.scores`` gets the negative
    derivatives, and ``own`` the scored nodes and the weights of the scores. ``of_centers`` and
    ``of_nodes`` get upper bounds on the second derivatives of the loss with respect to input rows
    and nodes' vectors, which limit step sizes.

    Parameters
    ----------
    weights, documents
        For skip-gram: the weight of a pair for each offset of the predicted word from the center
        word, and the document numbers of the words in and around the tile.
    keys, starts
        Encoded tree nodes (`structures.Plans`), and the index at which each word or group begins:
        for skip-gram, the nodes on the path of each word in and around the tile; for CBOW, those on
        the paths of each group of `MR` = 4 center words.
    inputs, ahead
        A matrix, and the indices of its rows to prefetch.

    Returns
    -------
    The summed weight of the tile's pairs (0 for CBOW, where the caller counts them), and its loss.
    """
    vectors, size = sizes.vectors, 4 * sizes.vectors * LANES
    pairs: float = np.float64(0)
    if sizes.sorted:
        unpack_groups(keys, starts, sizes, own)
    else:
        find_targets(sizes, documents, documents, documents, tile)
        own.marks[: len(of_nodes)] = 0
        pairs = list_groups(keys, starts, weights, sizes, tile, own)
    rows, places = Rows(address(tile.R), vectors * LANES), address(own.entries)
    scores, negatives = address(tile.scores), address(own.negatives)
    for group in range(sizes.tile // MR):
        first, last = np.int64(own.starts[group]), np.int64(own.starts[group + 1])
        center = address(tile.C) + group * MR * size
        prefetch_part(inputs, ahead, group, sizes)
        score_four_rows(vectors, center, rows, places, first, last, scores)
    count = MR * np.int64(own.starts[sizes.tile // MR])
    whole = -(-count // LANES)
    for e in range(count, whole * LANES):
        tile.scores[e] = own.factors[e] = own.negatives[e] = 0
    # Let a be the summed weight of the pairs of a score s whose paths take branch 0, and b that of
    # the others. The loss is (a + b) log(1 + exp(-s)) + b s, so one logarithm serves both branches.
    total = splat(0)
    for k in range(0, whole * LANES, LANES):
        total = multiply_add(load(negatives, k), load(scores, k), total)
    loss = logistic(scores, address(own.factors), address(tile.curvature), whole)
    for k in range(0, whole * LANES, LANES):
        store(subtract(load(scores, k), load(negatives, k)), scores, k)
    add_curvatures(sizes, tile, own, of_centers, of_nodes)
    return pairs, loss + sum_lanes(total)


@inner
def add_curvatures(sizes: Sizes, tile: Tile, own: Nodes, of_centers: F32, of_nodes: F32) -> None:
    """Bound the curvature of the loss with respect to a tile's input rows and node vectors.

    A score is the dot product of an input row (the vector that predicts words) and a node vector.
    The bound for a vector is a sum over its scores. Each summand is a bound on the second
    derivative with respect to the score (``tile.curvature``), times the squared length of the other
    vector (``tile.norms`` for nodes, ``tile.center_norms`` for input rows). The results are written
    to ``of_centers`` and ``of_nodes``, and limit step sizes.

    ``own`` has the list of the nodes with which each group of `MR` = 4 center words is scored.
    """
    curvature, sums = address(tile.curvature), address(own.curvature)
    own.curvature[: len(of_nodes)] = 0
    for group in range(sizes.tile // MR):
        total, norms = splat_four(np.float32(0)), load_four(address(tile.center_norms), group * MR)
        for e in range(own.starts[group], own.starts[group + 1]):
            column, values = np.int64(own.entries[unsigned(e)]), load_four(curvature, MR * e)
            total = multiply_add(values, splat_four(tile.norms[unsigned(column)]), total)
            place = MR * column
            store(multiply_add(values, norms, load_four(sums, place)), sums, place)
        store(total, address(of_centers), group * MR)
    parts = own.curvature
    for k in range(unsigned(len(of_nodes))):
        of_nodes[k] = (parts[k, 0] + parts[k, 1]) + (parts[k, 2] + parts[k, 3])


@inner
def choose_node_targets(
    matrix: F32,
    ids: I32,
    places: I32,
    curvature: F32,
    rate: np.float32,
    gradients: int,
    begin: int,
    width: int,
    tile: Tile,
    own: Nodes,
) -> None:
    """For CBOW, decide whether each node of a tile is updated at once or at the end of the step.

    A tile is a number of center words that are scored together. For each tree node, ``own.out``
    gets the address to which the node's negative gradient must be added. If no other tile of the
    training step has the node, this is the address of its vector in the model. Otherwise, it is
    that of a row of the gradient buffer. The tiles of a job (tiles that one thread computes in
    sequence) share one row for the node. For the job's first tile with the node, the row is set to
    zero.

    The negative gradient is a sum of input vectors, each times a factor. ``own.factors`` gets the
    factors: the negative derivatives of the loss with respect to the scores (``tile.scores``),
    times the step size (`limit`) if the node is updated at once.

    Parameters
    ----------
    matrix, ids
        The vectors of all nodes, and the nodes of the tile; -1 where there is none.
    places
        For each row of the buffer, the row to which its gradient is added; `ALONE` if no other tile
        has the node.
    curvature
        For each row of the buffer, an upper bound on the second derivative of the loss. It is added
        to the bound of the row to which the gradient is added.
    gradients, begin, width
        The address of the buffer, the index of its row for the tile's first node, and the number of
        float32 values in a row.
    """
    model, stride, zero = address(matrix), np.int64(4 * matrix.shape[1]), splat(0)
    for j in range(len(ids)):
        row = np.int64(begin + j)
        listed = np.int64(places[unsigned(row)])  # -1 for no node: no list of a group has it
        alone, bound, i = listed == ALONE, curvature[unsigned(row)], unsigned(j)
        own.steps[i] = select(alone, limit(rate, bound), np.float32(1))
        place = gradients + 4 * listed * width
        own.out[i] = select(alone, model + ids[i] * stride, place)
        if listed == row:
            for k in range(0, width, LANES):
                store(zero, place, k)
        elif listed >= 0:
            curvature[unsigned(listed)] += bound
    scores, factors = address(tile.scores), address(own.factors)
    for e in range(own.starts[len(own.starts) - 1]):
        step_of_node = splat_four(own.steps[unsigned(own.entries[unsigned(e)])])
        store(multiply(load_four(scores, MR * e), step_of_node), factors, MR * e)


@inner
def write_node_gradients(
    sizes: Sizes, tile: Tile, own: Nodes, factors: int, nodes: F32, ahead: I32
) -> None:
    """Compute the gradients of the input rows and tree nodes of a tile (hierarchical softmax).

    A tile is a number of center words, each with an input row (the vector that predicts words).
    ``own`` has the nodes with which each group of `MR` = 4 center words is scored. A score is the
    dot product of an input row and a node vector; ``tile.scores`` has the negative derivatives of
    the loss with respect to the scores. The negative gradient of an input row goes to its target in
    ``tile`` (`rows.Targets`). For each node, the sum of the input rows scored with it, each times
    the factor for the score, is added to the row at the node's address in ``own.out``.

    Parameters
    ----------
    factors
        The address of the factors. For skip-gram, they are ``tile.scores``, so the sum is the
        node's negative gradient. For CBOW, they are a copy of ``tile.scores``, multiplied by the
        node's step size if the node is updated in the model (`choose_node_targets`).
    nodes, ahead
        The matrix of all node vectors, and the indices of its rows to prefetch.
    """
    vectors, size = sizes.vectors, 4 * sizes.vectors * LANES
    listed = List(address(own.entries), address(tile.scores))
    of_nodes = List(address(own.entries), factors)
    rows, sums = Rows(address(tile.R), vectors * LANES), address(own.out)
    out, old, steps = address(tile.out), address(tile.old), address(tile.steps)
    for group in range(sizes.tile // MR):
        first, last = np.int64(own.starts[group]), np.int64(own.starts[group + 1])
        i = group * MR
        prefetch_part(nodes, ahead, group, sizes)
        center = address(tile.C) + i * size
        targets = Targets(out + 8 * i, old + 8 * i, steps + 4 * i)
        combine_four(vectors, listed, first, last, rows, targets)
        spread_four(vectors, of_nodes, first, last, center, sums)

"""Scores and gradients of the hierarchical softmax, whose scores form a sparse matrix.

The hierarchical softmax predicts a word by choices between two branches: one choice at each inner
node on the word's path in the Huffman tree. Each node has a vector. Each center word has an input
row, the vector that predicts words. With skip-gram, this is the center word's own vector, and
predicts the words around it. With CBOW, it is the sum or mean of the vectors around the center
word, and predicts the center word. A score is the dot product of an input row and the vector of a
node on the path of a word that this row predicts.

A tile is a number of center words that are computed together. Its nodes are those on the paths of
all words that its center words predict. Each single center word needs only some of these nodes; for
skip-gram with a window size of 5, about 80 of 500. The matrix of the scores of center words and
nodes is therefore sparse.

Four center words are computed together as a *group*, and the matrix has one row for each group.
The elements of a row are the nodes on the paths of all words that the four center words predict,
each with four scores.

With skip-gram, the center words of a tile are consecutive in the text, so four of them predict
nearly the same words. With CBOW, which predicts only the center word itself, the center words of a
training step are sorted by their leaves in the tree. Words with similar paths are then in one
group, and most nodes are in one tile only (`tree_nodes.list_paths`).

A center word and a node have one score s. It serves all pairs of the center word and a predicted
word whose path has the node. Let a be the summed weight of those pairs whose path takes the node's
branch of code 0, and b that of the others. The loss a log(1 + exp(-s)) + b log(1 + exp(s)) equals
(a + b) log(1 + exp(-s)) + b s, so each score needs one logarithm.
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
    """Compute the weights of the pairs that four center words form with the words around them.

    This is for skip-gram. A center word forms a pair with each word in its window, which it
    predicts. The loss of a pair is multiplied by its weight. `list_groups` calls this function for
    each group (`MR` = 4 consecutive center words) of a tile, which is a sequence of groups.

    The weights are stored in ``own.lanes``. It has a column for each center word of the group, and
    a row for each word, in the order of the text, from ``sizes.reach`` positions before the first
    center word to ``sizes.reach`` positions after the last. An element is 0 if the center word does
    not predict the word. Returns the sum of all elements.

    Parameters
    ----------
    weights
        The weight of a pair by the offset of the predicted word from the center word in the text,
        from -``sizes.reach`` to ``sizes.reach`` (`structures.Pairs`).
    sizes
        The sizes of training steps and of their parts.
    first
        The index in the tile of the first center word of the group.
    tile
        The working memory that has the range of words that each center word predicts.
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

    A center word predicts each word in its window by the inner nodes on that word's path in the
    Huffman tree. A group is `MR` = 4 consecutive center words, and a tile is a sequence of groups.
    The words of a group share one list of nodes. `score_nodes` calls this function before it
    computes the scores of a tile. The results are stored in ``own`` (`Nodes`):

    - ``entries``: the nodes of all groups, one group after the other, as indices among the nodes of
      the tile.
    - ``starts``: the index in ``entries`` at which each group begins.
    - ``factors``: for each of these nodes and each center word of the group, the summed weight of
      the words that it predicts and whose paths have the node.
    - ``negatives``: the part of each sum that is from paths with the node's branch of code 1.

    Returns the sum of the weights of all pairs of the tile.

    Parameters
    ----------
    keys, starts
        The paths of the words in and around the tile (``keys`` and ``key_starts`` of
        `structures.Plans`).
    weights
        The weight of a pair by the offset of the predicted word from the center word in the text
        (`structures.Pairs`).
    sizes
        The sizes of training steps and of their parts.
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
    """For CBOW, list the tree nodes with which each group of center words is scored.

    A center word is predicted by the inner nodes on its own path in the Huffman tree. A group is
    `MR` = 4 center words with similar paths, and a tile is a sequence of groups. The lists were
    prepared by `tree_nodes.list_paths`, with one integer (a key) for each node of each group.
    `score_nodes` calls this function to decode them before it computes the scores of a tile.

    The results are stored in ``own`` (`Nodes`):

    - ``starts``: group g has the elements ``starts[g]`` to ``starts[g + 1] - 1`` of ``entries``.
    - ``entries``: each element is a node, as an index among the nodes of the tile.
    - ``factors``: `MR` numbers for each element of ``entries``, one for each center word of the
      group. The number is 1 if the path of this word has the node, else 0.
    - ``negatives``: in the same layout, 1 if the path takes branch 1 at the node, else 0.

    Parameters
    ----------
    keys, starts
        The keys (`tree_nodes.list_levels` has the formula), and the index in ``keys`` at which each
        group of the tile begins.
    sizes
        The sizes of training steps and of their parts.
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
    """Compute the loss of a tile for the hierarchical softmax, and its derivatives by the scores.

    A tile is a number of center words. Each has an input row, which predicts words: with skip-gram
    the center word's vector, with CBOW the sum or mean of the vectors around it. A score is the dot
    product of an input row and the vector of an inner node on a predicted word's tree path.

    `strips.score_node_tile` calls this function. Before the call, the input rows of this tile are
    in ``tile.C``, and the vectors of its nodes in ``tile.R``. The scores S are first written to
    ``tile.scores``. They are then replaced by -∂J/∂S, the negative derivatives of the loss J.
    `write_node_gradients` later computes the gradients of input rows and nodes from these.

    Parameters
    ----------
    weights
        The weight of a pair by the offset of the predicted word from the center word in the text
        (`structures.Pairs`). Not used for CBOW.
    sizes
        The sizes of training steps and of their parts.
    keys, starts
        For skip-gram: the tree paths of the words in and around the tile. For CBOW: the nodes of
        each group of `MR` = 4 center words of the tile. ``starts`` has the index in ``keys`` at
        which each path, or group, begins (``key_starts`` of `structures.Plans`).
    documents
        For skip-gram, the document numbers of the words in and around the tile. Not used for CBOW.
    own
        Working memory: lists of the nodes with which each group of center words is scored, and the
        weights of the scores. They are made here, and used again for the gradients.
    of_centers, of_nodes
        Output: for each input row, and for each node, an upper bound on the curvature (second
        derivative) of the loss with respect to this vector, in any direction. It limits the step
        size.
    inputs, ahead
        Only for prefetching into the cache. For CBOW: the matrix ``Buffer.inputs``, with the input
        rows of all tiles, and the numbers of its rows that the thread needs for the next tile, if
        any. For skip-gram, ``ahead`` is empty, and nothing is prefetched here.

    Returns
    -------
    The summed weight of the tile's pairs, and its loss. For CBOW, the weight is returned as 0: each
    predicted center word is one pair of weight 1, and `compute_sorted` counts them.
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
    """Bound the curvature of the loss with respect to a tile's input rows and nodes' vectors.

    The curvature is the second derivative of the loss. An upper bound on it limits the size of the
    step by which a vector is updated. `score_nodes` calls this function when it has computed the
    scores.

    A tile is a number of center words, each with an input row, the vector that predicts words. A
    score is the dot product of an input row and a node's vector. The tile is divided into groups of
    `MR` = 4 center words; the words of a group are scored with the same nodes.

    Parameters
    ----------
    sizes
        Numbers of words, such as that of a tile.
    tile
        The working memory that holds the squared lengths of the input rows and of the nodes'
        vectors, and a bound on the second derivative of the loss with respect to each score.
    own
        The working memory that holds the list of the nodes of each group (`list_groups`,
        `unpack_groups`).
    of_centers, of_nodes
        Output: the bound for each input row, and for each node of the tile. What the arrays have
        contained is overwritten.
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

    A tile is a number of center words, each with an input row: the sum or mean of the vectors of
    its context words. The negative gradient of a node is a sum of input rows. Each is multiplied by
    a factor, the negative derivative of the loss with respect to the score of the input row and the
    node. `score_nodes` has computed these derivatives, in ``tile.scores``. This function stores an
    address for each node in ``own.out``, and the factors in ``own.factors``. `write_node_gradients`
    then computes the sum and adds it at the address. There are two cases:

    - If no other tile of the training step has the node, it is updated at once. The address is that
      of the node's vector in the model. The factors are multiplied by a step size, the smaller of
      ``rate`` and 2 divided by the node's ``curvature`` (`limit`).
    - Otherwise, the gradients from all tiles that have the node are added up, and the node is
      updated at the end of the step. A job is a sequence of tiles that one thread computes. Those
      of its tiles that have the node share one row of the gradient buffer, the row of the first
      such tile. The address is that of this row. If the tile is the first, the function sets the
      row to zero. The factors are not multiplied by a step size.

    Parameters
    ----------
    matrix
        The vectors of all nodes.
    ids
        The nodes of the tile; -1 where there is none.
    places
        For each row of the gradient buffer, the row to which its gradient is added; `ALONE` if no
        other tile of the step has the node (``Lists.places``).
    curvature
        For each row of the gradient buffer, an upper bound on the curvature (second derivative) of
        the loss with respect to the node's vector, in any direction. If the gradient of a row will
        be added to an earlier row, this function adds its bound to that of the earlier row.
    rate
        The learning rate.
    gradients
        The address of the gradient buffer.
    begin
        The number of the buffer's row that belongs to the first node of the tile.
    width
        The number of float32 values in a row.
    tile, own
        The working memory with the results of `score_nodes`.
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

    A tile is a number of center words. Each has an input row, the vector that predicts words.
    `score_nodes` has computed the derivatives of the loss with respect to the scores, which are the
    dot products of input rows and nodes' vectors. From these derivatives, this function computes
    the gradients. `strips.write_node_tile` calls it for each tile.

    The negative gradient of each input row is written to its target (`rows.Targets`). That of each
    node is added to a row of the gradient buffer, and multiplied by a step size later. Only for
    CBOW, if no other tile of the training step has the node, ``factors`` include the step size, and
    the node's vector in the model is updated here.

    Parameters
    ----------
    sizes
        The sizes of vectors and tiles.
    tile
        The working memory that holds the input rows, the nodes' vectors, the negative derivatives
        of the loss with respect to the scores (``tile.scores``), and the targets of the input rows.
    own
        The working memory that holds a list of nodes for each group of `MR` = 4 center words. The
        list is the union of the nodes that the four need, those on the paths of all words that they
        predict. All four are scored with it, and a score that does not count has the weight 0.
        ``own.out`` has, for each node, the address of the row of the buffer or of the model to
        which its negative gradient is added.
    factors
        The address of the numbers by which input rows are multiplied for the negative gradients of
        nodes. For skip-gram, these are ``tile.scores``. For CBOW, they are the same derivatives,
        times a step size if the node's vector is updated here (`choose_node_targets`).
    nodes
        The matrix of the vectors of all nodes in the model. It only serves to prefetch the rows
        ``ahead``.
    ahead
        The nodes whose vectors the thread needs for the next tile, as rows of ``nodes``; none, if
        nothing is to be prefetched.
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

"""Compiled code that finds the tree nodes with which center words are scored.

This is for the hierarchical softmax: a word is predicted by the inner nodes on its path in the
Huffman tree. A tile is a group of center words that are computed together. Many of their paths have
the same nodes, so the nodes of a tile are listed once. This is done before a training step
(``plans.py``), because the lists do not depend on the model.
"""

from typing import Any

import numpy as np

from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.lists import list_rows
from w2v.engines.compiled.simd import (
    LANES,
    ZERO,
    add_ints,
    address,
    common_bits,
    less_ints,
    load_ints,
    multiply_ints,
    prefetch,
    select,
    shift_right,
    splat_int,
    store,
    unsigned,
)
from w2v.engines.compiled.structures import (
    I32,
    I64,
    LINE,
    MR,
    RADIX_BITS,
    SORTED_TILES,
    Lists,
    Paths,
    Planning,
    Sizes,
)

PATHS_AHEAD = 12
"""The Huffman tree path of a word is loaded into the cache this many words before it is read."""


@inlined
def pad_rows(nodes: I32, row: int) -> int:
    """Pad a tile's list of tree nodes with -1 to a multiple of `MR` = 4.

    A tile is a number of center words that share a list of nodes. The nodes' vectors are later read
    four at a time. ``nodes`` has the lists of all tiles so far, one after the other; this tile's is
    the last. ``row`` is their total length. Returns their total length with the padding.
    """
    while row % MR:
        nodes[row] = -1
        row += 1
    return row


@inlined
def prefetch_paths(paths: Paths, sizes: Sizes, ids: I32, order: I32) -> None:
    """Load the beginnings of the tree paths of `MR` = 4 center words into the processor's cache.

    `list_paths` calls this some words before it reads the paths, so that it need not wait for
    memory. The first `MR` elements of ``order`` are the positions of the four words among the
    center words of the step; -1 stands for no word. ``ids`` has the words of the text, beginning
    ``sizes.window`` words before the first center word of the step.
    """
    for place in order[:MR]:
        if place >= 0:
            start = np.int64(paths.starts[ids[sizes.window + place]])
            prefetch(address(paths.branches), start)
            prefetch(address(paths.branches), start + LINE)


@inner
def list_nodes(
    paths: Paths,
    sizes: Sizes,
    centers: int,
    ids: I32,
    nodes: I32,
    starts: I32,
    keys: I32,
    key_starts: I32,
    seen: I32,
    heads: I32,
    lists: Lists,
) -> int:
    """For skip-gram with the hierarchical softmax, list the tree nodes that a training step needs.

    A tile is a number of consecutive center words. Its nodes are the inner nodes on the Huffman
    paths of all words in it and up to ``sizes.window`` words before and after it. A node of several
    tiles gets one list (`Lists`) of its rows in the gradient buffer, one row for each tile. Returns
    the number of lists.

    Parameters
    ----------
    paths, centers, ids
        The Huffman paths of all words of the vocabulary, the number of center words of the step,
        and the words of the step, from ``sizes.window`` words before its first center word on.
    nodes, starts
        Output: the nodes of each tile, padded with -1 to a multiple of 4, tile after tile; and the
        index of each tile's first node. ``nodes[i]`` is the node of row i of the gradient buffer.
    keys, key_starts
        Output: the path of each word that a tile may predict, and its start in ``keys``. An element
        of ``keys`` is 2 * a node's index in the tile + the code (0 or 1) of the path's next branch.
    seen, heads
        Working memory, with an element for each tree node; -1 before and after the call.
    """
    reach, skipped = sizes.reach, sizes.window - sizes.reach
    tiles, branches = -(-centers // sizes.tile), paths.branches
    row = count = ZERO
    for tile in range(tiles):
        begin = starts[tile] = row
        place = tile * sizes.tile + skipped
        for j in range(sizes.contexts):
            key_starts[tile * sizes.contexts + j] = count
            ahead = place + j + PATHS_AHEAD
            if ahead < len(ids) and ids[ahead] >= 0:
                prefetch(address(branches), np.int64(paths.starts[ids[ahead]]))
                prefetch(address(branches), np.int64(paths.starts[ids[ahead]]) + LINE)
            word = ids[place + j] if j < sizes.tile + 2 * reach else -1
            if word >= 0:
                for k in range(paths.starts[word], paths.starts[word + 1]):
                    branch = np.int64(branches[unsigned(k)])
                    node, code = unsigned(branch >> 1), branch & 1
                    # A node that is new gets the next row; another one has its row in `seen`.
                    known = np.int64(seen[node])
                    is_new: Any = known < begin
                    this = select(is_new, row, known)
                    nodes[unsigned(row)] = node
                    seen[node] = this
                    row += is_new
                    keys[unsigned(count)] = 2 * (this - begin) + code
                    count += 1
        row = pad_rows(nodes, row)
    starts[tiles], key_starts[tiles * sizes.contexts] = row, count
    for node in nodes[:row]:
        if node >= 0:
            seen[node] = -1
    return list_rows(nodes[:row], starts, tiles, 1, heads, lists)


@inner
def sort_centers(
    leaves: I32,
    sizes: Sizes,
    centers: int,
    ids: I32,
    lows: I32,
    highs: I32,
    order: I32,
    scratch: Planning,
) -> None:
    """Sort the center words of a step by their leaves in the Huffman tree (CBOW).

    Words with near leaves have similar paths. So if the sorted words are divided into tiles, which
    are scored together, a tile has few different tree nodes. Center word i is
    ``ids[sizes.window + i]``, and its window ``ids[lows[i]:highs[i]]``. If the window has no word
    but the center word, the center word is left out. The numbers i of the others are written to
    ``order``, sorted by leaf and then by i; the remaining elements are set to -1. ``leaves`` has
    the leaf position of each word of the vocabulary.
    """
    now, then, digits = scratch.leaves[0], scratch.leaves[1], scratch.digits
    count, shift, most = ZERO, np.int64(32), np.int64(len(digits) - 1)
    for i in range(centers):
        # Each word is written, and overwritten by the next one if it is left out.
        word, k = unsigned(ids[unsigned(sizes.window + i)]), unsigned(i)
        now[unsigned(count)] = np.int64(leaves[word]) << 32 | i
        count += highs[k] - lows[k] > 1
    while (len(leaves) - 1) >> (shift - 32) > 0:
        digits[:] = 0
        for k in range(count):
            digits[unsigned(now[unsigned(k)] >> shift & most)] += 1
        place = 0
        for digit in range(len(digits)):
            size = digits[digit]
            digits[digit] = place
            place += size
        for k in range(count):
            leaf = now[unsigned(k)]
            digit = unsigned(leaf >> shift & most)
            then[unsigned(digits[digit])] = leaf
            digits[digit] += 1
        now, then = then, now
        shift += RADIX_BITS
    for k in range(count):
        order[unsigned(k)] = now[unsigned(k)] & 0xFFFFFFFF
    order[count:] = -1


@inlined
def list_levels(
    branches: int,
    scratch: Planning,
    lane: int,
    filled: int,
    first: int,
    last: int,
    keys: int,
) -> None:
    """For CBOW with the hierarchical softmax, encode new tree nodes of a group of center words.

    A group is ``filled`` center words, numbered from 0, which are scored with the inner nodes on
    their Huffman paths; ``filled`` is `MR` = 4, or less at the end of a training step. The nodes at
    levels ``first`` to ``last - 1`` of the path of center word ``lane`` (the root has level 0) must
    not be on the paths of earlier words of the group. Each node is encoded as an int32, the sum of

    - 256 times its index among the nodes of the tile (a sequence of groups);
    - 2 ** n for each center word n whose path has the node;
    - 16 * 2 ** n for each center word n whose path takes the node's branch of code 1.

    ``branches`` is the address of ``Paths.branches``. ``scratch.lanes`` must describe the paths
    (`compare_paths`), and ``scratch.columns`` must have, for each level of path ``lane``, the
    node's index in the tile. The results are written to the address ``keys``; elements after them
    may be overwritten.
    """
    one, codes = splat_int(np.int32(1)), splat_int(np.int32(1 << MR))
    shift, zero = splat_int(np.int32(1 << 2 * MR)), splat_int(np.int32(0))
    levels, columns, lanes = address(scratch.levels), address(scratch.columns), scratch.lanes
    for k in range(first, last, LANES):
        key, shared = multiply_ints(load_ints(columns, k), shift), last
        for other in range(lane, filled):
            if other > lane:
                # Word `other` has the node of level k on its path if all words from `lane` + 1 to
                # `other` share more than k nodes with the word before.
                shared = min(shared, lanes[unsigned(other), 1])
            code = common_bits(load_ints(branches, lanes[unsigned(other), 0] + k), one)
            bits = add_ints(multiply_ints(code, codes), one)
            bits = multiply_ints(bits, splat_int(np.int32(1 << other)))
            has_node = less_ints(load_ints(levels, k), splat_int(np.int32(shared)))
            key = add_ints(key, select(has_node, bits, zero))
        store(key, keys, k - first)


@inlined
def compare_paths(
    paths: Paths, sizes: Sizes, ids: I32, order: I32, group: int, before: int, lanes: I64
) -> int:
    """Find the tree path of each center word of a group, and what it shares with the one before.

    This is for CBOW with the hierarchical softmax. Center words are sorted by their leaves in the
    Huffman tree. A group is `MR` = 4 successive ones, or fewer where ``order`` ends. Returns the
    number of center words in the group.

    Parameters
    ----------
    ids, order
        The words of the step: center word i is ``ids[sizes.window + i]``. ``order`` has the numbers
        i of the sorted center words, then -1.
    before
        The vocabulary id of the center word before the group; -1 for the first group of a tile.
    lanes : int64 (MR, 3)
        Output, for each center word: the index in ``Paths.branches`` at which its path begins; the
        number of nodes shared with the path of the word before (0 for the first of a tile); and the
        number of nodes. On entry, the previous group's rows, unless ``before`` is -1.
    """
    branches, start, length = paths.branches, lanes[MR - 1, 0], lanes[MR - 1, 2]
    for lane in range(MR):
        place = order[group * MR + lane]
        if place < 0:
            return lane
        word, shared = ids[sizes.window + place], length
        if word != before:
            last, most = start, length
            start = np.int64(paths.starts[word])
            length = np.int64(paths.starts[word + 1]) - start
            shared = min(length, most) if before >= 0 else ZERO
            # A node has one path from the root, so the nodes above it are shared, too.
            while shared > 0:
                ours, theirs = unsigned(start + shared - 1), unsigned(last + shared - 1)
                if branches[ours] ^ branches[theirs] <= 1:
                    break
                shared -= 1
            before = word
        i = unsigned(lane)
        lanes[i, 0], lanes[i, 1], lanes[i, 2] = start, shared, length
    return MR


@inner
def list_paths(
    paths: Paths,
    sizes: Sizes,
    centers: int,
    ids: I32,
    order: I32,
    nodes: I32,
    starts: I32,
    keys: I32,
    key_starts: I32,
    heads: I32,
    lists: Lists,
    scratch: Planning,
) -> int:
    """For CBOW with the hierarchical softmax, list the tree nodes that a training step needs.

    A tile is a number of center words, successive in ``order``. Its nodes are the inner nodes on
    the Huffman paths of these words. The gradient buffer has a row for each node of each tile, but
    a job (`SORTED_TILES` successive tiles, which one thread computes) adds up a node's gradients in
    the node's first row in the job. A node of several tiles, even of the same job, gets a list
    (`Lists`) of these first rows, one for each job. Returns the number of lists.

    Parameters
    ----------
    ids, order
        The words of the step: center word i is ``ids[sizes.window + i]``. ``order`` has the numbers
        i of the center words, sorted by leaf, then -1.
    nodes, starts
        Output: the nodes of each tile, padded with -1 to a multiple of 4, tile after tile; and the
        index of each tile's first node. ``nodes[i]`` is the node of row i of the gradient buffer.
    keys, key_starts
        Output: the nodes of each group of `MR` = 4 center words, as encoded by `list_levels`, and
        the index in ``keys`` at which each group begins.
    heads
        Working memory, with an element for each tree node; -1 before and after the call.
    """
    tiles, groups, branches = -(-centers // sizes.tile), sizes.tile // MR, address(paths.branches)
    levels, columns, lanes = address(scratch.levels), address(scratch.columns), scratch.lanes
    row, count, one = ZERO, ZERO, splat_int(np.int32(1))
    for tile in range(tiles):
        begin = starts[tile] = row
        before = -1
        for group in range(tile * groups, (tile + 1) * groups):
            key_starts[group] = count
            prefetch_paths(paths, sizes, ids, order[group * MR + PATHS_AHEAD :])
            filled = compare_paths(paths, sizes, ids, order, group, before, lanes)
            for lane in range(filled):
                # Words whose paths have the same node are consecutive. So the nodes that are not on
                # the path of the word before are new.
                start, shared, length = lanes[lane, 0], lanes[lane, 1], lanes[lane, 2]
                column = splat_int(np.int32(row - begin - shared))
                for k in range(shared, length, LANES):
                    node = shift_right(load_ints(branches, start + k), one)
                    store(node, address(nodes), row + k - shared)
                    store(add_ints(load_ints(levels, k), column), columns, k)
                row += length - shared
                top = shared if lane else ZERO
                out = address(keys) + 4 * count
                list_levels(branches, scratch, lane, filled, top, length, out)
                count += length - top
            if filled == MR:
                before = int(ids[sizes.window + order[group * MR + MR - 1]])
        row = pad_rows(nodes, row)
    starts[tiles], key_starts[tiles * groups] = row, count
    return list_rows(nodes[:row], starts, tiles, SORTED_TILES, heads, lists)

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

    `plan` calls this function to prepare a step. A tile is a number of consecutive center words
    that are computed together. They predict words in the tile and up to ``sizes.reach`` words
    before and after it, each by the inner nodes on its path in the Huffman tree. The nodes of the
    tile are those on the paths of all these words. Each is listed once.

    A node gets one gradient from each tile that has it, in a row of the gradient buffer. If a node
    has several rows, they form a list, because they are added up at the end of the step. A node
    with one row has no list. Returns the number of lists.

    Parameters
    ----------
    paths, sizes
        The path of each word, and the sizes of steps and tiles.
    centers
        The number of center words of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    nodes, starts
        Output: the nodes of each tile, and the index at which each tile begins (``nodes`` and
        ``node_starts`` of `Plans`). Row r of the gradient buffer belongs to ``nodes[r]``.
    keys, key_starts
        Output: the path of each word that a tile may predict, and the index at which each path
        begins (``keys`` and ``key_starts`` of `Plans`). An element of ``keys`` is 2 * the node's
        index among the nodes of the tile + the code, 0 or 1, of the branch that the path takes.
    seen, heads
        Working memory (`Planning`), with an element for each tree node, -1 before and after the
        call: the index in ``nodes`` at which the node was last listed, and the last row of its list
        so far.
    lists
        Output: the lists of the nodes with several rows.
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

    This is for the hierarchical softmax, which predicts a word by the nodes on the path to its
    leaf. `plan` calls this function to prepare a training step. `list_paths` then divides the
    sorted words into tiles, which are computed together. Words with near leaves have similar paths,
    so a tile has few different nodes.

    Parameters
    ----------
    leaves
        For each word of the vocabulary, the position of its leaf.
    sizes
        The sizes of steps and tiles.
    centers
        The number of center words of the step.
    ids
        The words of the step, beginning ``sizes.window`` words before the first center word. Center
        word i is ``ids[sizes.window + i]``.
    lows, highs
        The start and the end (excluded) of each center word's window, which includes the center
        word, as indices in ``ids``. A center word whose window has no other word is left out,
        because it is not predicted.
    order
        Output: the number i of each center word that is not left out. The numbers are sorted by
        leaf, and those with the same leaf by i. The remaining elements are -1.
    scratch
        Working memory.
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
    """For nodes of a tree path, encode which center words of a group have them on their paths.

    This is for CBOW with the hierarchical softmax, which predicts a center word by the nodes on its
    path in the Huffman tree. A group is `MR` = 4 center words that are computed together; they have
    the numbers 0 to 3. A tile is a sequence of groups. Each distinct node of a group gets one
    number, called a key, which says which of the four paths have it, and which branch each of them
    takes there. `list_paths` calls this function for each center word of the group, in order; the
    words are sorted by their paths. A call writes the keys of those nodes of center word ``lane``
    that are on no earlier center word's path; the others have their keys already.
    `hierarchical.unpack_groups` decodes the keys when the scores are computed.

    The new nodes are those at the levels ``first`` to ``last`` - 1 of the path. The root has level
    0, and ``last`` is the length of the path. (Paths that part do not meet again, so all nodes from
    level ``first`` on are new.) Keys are written in the order of the levels. The key of a node is
    the sum of

    - 256 times the index of the node among the nodes of the tile;
    - 2 ** n for each center word n of the group whose path has the node;
    - 16 * 2 ** n for each center word n of the group whose path takes the node's branch of code 1.

    Parameters
    ----------
    branches
        The address of ``Paths.branches``, an int32 array with the paths of all words of the
        vocabulary, one after the other. A path has an element for each of its nodes, from the root
        on: 2 * node + the code, 0 or 1, of the branch that the path takes.
    scratch
        Working memory, only read. For each center word of the group, the array ``lanes`` has the
        index in ``Paths.branches`` at which the word's path begins, and the number of nodes that
        this path shares with the path of the center word before. A later center word n has the new
        node of level k on its path if each of the center words ``lane`` + 1 to n shares more than k
        nodes with the center word before it. The array ``columns`` belongs to the path of center
        word ``lane``. For each level, it has the index of the path's node among the nodes of the
        tile.
    lane, filled
        The number of the center word in the group, and how many center words the group has.
    keys
        The address to which the keys are written, as int32. Whole SIMD vectors are written, which
        may overwrite elements after the last key.
    """
    one, codes = splat_int(np.int32(1)), splat_int(np.int32(1 << MR))
    shift, zero = splat_int(np.int32(1 << 2 * MR)), splat_int(np.int32(0))
    levels, columns, lanes = address(scratch.levels), address(scratch.columns), scratch.lanes
    for k in range(first, last, LANES):
        key, shared = multiply_ints(load_ints(columns, k), shift), last
        for other in range(lane, filled):
            if other > lane:
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

    This is for CBOW with the hierarchical softmax. The center words of a training step are sorted
    by their leaves in the Huffman tree, and divided into groups of `MR` = 4. Successive words
    therefore have similar paths, which begin with the same nodes. `list_paths` calls this function
    for each group of a tile (a sequence of groups), so that it can list shared nodes only once.

    Each center word has a row of ``lanes``, in which three numbers are stored:

    - the index in ``Paths.branches`` at which the word's path begins;
    - the number of nodes that this path shares with the path of the center word before it in
      ``order`` (0 for the first center word of a tile);
    - the number of nodes of the path.

    Parameters
    ----------
    paths, sizes
        The path of each word, and the sizes of steps and tiles.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    order
        The numbers of the center words in the step, sorted by leaf (`sort_centers`). The remaining
        elements are -1.
    group
        The number of the group, which has `MR` center words, or fewer where ``order`` ends.
    before
        The vocabulary id of the last center word of the previous group; -1 for the first group of a
        tile.
    lanes : int64 (MR, 3)
        Output: the array ``lanes`` of `Planning`. On entry, unless ``before`` is -1, it must have
        the rows of the previous group: the start and the length of the path of the word ``before``
        are read from the last of them.

    Returns
    -------
    The number of center words of the group.
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

    `plan` calls this function to prepare a step. A tile is a number of center words that are
    computed together; they are consecutive in ``order``. A center word is predicted by the inner
    nodes on its path in the Huffman tree. The nodes of the tile are those on the paths of all its
    words. Each is listed once: a word adds to the list only those nodes of its path that are not on
    the path of the word before it. This is enough, because all words whose paths have the same node
    are consecutive in ``order``.

    A node gets one gradient from each tile that has it, and the gradient buffer has a row for each
    node of each tile. A job, which one thread computes, is up to `SORTED_TILES` consecutive tiles.
    All gradients of a node in a job are added to one row, that of the first tile of the job that
    has the node. Such rows of a node, one from each job that has it, are added up at the end of the
    step, so they form a list (`list_rows`). If several tiles have a node, but are all in one
    job, its list has one row. A node that only one tile of the step has gets no list, because its
    gradient updates the model at once. Returns the number of lists.

    Parameters
    ----------
    paths, sizes
        The path of each word, and the sizes of steps and tiles.
    centers
        The number of center words of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    order
        The numbers of the center words in the step, sorted by leaf (`sort_centers`). The remaining
        elements are -1.
    nodes, starts
        Output: the nodes of each tile, and the index at which each tile begins (``nodes`` and
        ``node_starts`` of `Plans`). Row r of the gradient buffer belongs to ``nodes[r]``.
    keys, key_starts
        Output: for each group of `MR` = 4 center words, the nodes on their paths (`list_levels`),
        and the index at which each group begins (``keys`` and ``key_starts`` of `Plans`).
    heads
        Working memory: for each tree node, the last row of its list so far; -1 before and after the
        call.
    lists
        Output: the lists of the nodes that several tiles have.
    scratch
        Working memory.
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

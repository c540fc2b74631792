"""Compiled code that runs before the gradients are computed: sub-sampling and the plans of steps.

A plan has everything about a training step that does not depend on the model: its words, its random
numbers, and lists of the rows of the gradient buffer that belong to each word.
"""

from typing import Any

import numpy as np

from w2v import sampling
from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.rows import ALONE
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
)
from w2v.engines.compiled.structures import (
    BLOCK,
    F32,
    I32,
    I64,
    LINE,
    MR,
    RADIX_BITS,
    U32,
    Lists,
    Parts,
    Paths,
    Planning,
    Plans,
    Problem,
    Shard,
    Sizes,
    Source,
)
from w2v.engines.step import NOISE_WORDS, SUBSAMPLING, WINDOW_SIZES
from w2v.engines.tiles import NOISE
from w2v.sampling import SPACING

PATHS_AHEAD = 12
"""The Huffman tree path of a word is prefetched this many words before the word is processed."""

threefry = inlined(sampling.threefry)


@inner
def fill_bits(key: sampling.Key, purpose: int, first: int, bits: U32, more: U32) -> None:
    """Fill two arrays with random bits, which are a function of a key, a purpose and a counter.

    The purpose is a number that says what the bits are for, such as `SUBSAMPLING`; other purposes
    have other bits. There are 64 bits for each counter. Those for the counter ``first`` + i are
    stored as two numbers, in ``bits[i]`` and ``more[i]``. They equal the two results of
    `w2v.sampling.draw`. If ``more`` is longer than ``bits``, its last elements are not changed.
    """
    stream = np.uint32(purpose)
    for i in range(len(bits)):
        bits[i], more[i] = threefry(key.first, key.second, np.uint32(first + i), stream)


@inner
def subsample(
    problem: Problem, source: Source, key: sampling.Key, block: int, shard: Shard, scratch: Planning
) -> None:
    """Sub-sample block number ``block`` of a shard, which is a part of the text.

    A block is `BLOCK` consecutive tokens, or fewer at the end. The words that are kept, and the
    numbers of words before and after sub-sampling, are stored in ``shard``.
    """
    position, end = block * BLOCK, min((block + 1) * BLOCK, source.ends[-1])
    fill_bits(key, SUBSAMPLING, position, scratch.bits[: end - position], scratch.more_bits)
    bits, keep = scratch.bits, problem.keep
    first = place = position
    words = 0
    document = np.searchsorted(source.ends, position, "right")
    while position < end:
        while source.ends[document] <= position:
            document += 1
        start = source.starts[document]
        for t in range(position, min(end, source.ends[document])):
            word = source.ids[source.tokens[start + t]]
            # Each word is written, and overwritten by the next one unless it is kept. A branch on a
            # random number would often be mispredicted.
            shard.ids[place] = word
            shard.documents[place] = document
            if word >= 0:
                words += 1
                place += bits[t - first] <= keep[word]
        position = min(end, source.ends[document])
    shard.words[block] = words
    shard.kept[block] = place - first


@inner
def add_up(shard: Shard) -> None:
    """Fill in ``shard.starts``: how many words are kept before each block of tokens, and in all."""
    for block in range(len(shard.kept)):
        shard.starts[block + 1] = shard.starts[block] + shard.kept[block]


@inner
def copy_kept(shard: Shard, first: int, ids: I32, documents: I32) -> None:
    """Copy consecutive words of the sub-sampled text, from word ``first`` on, to ``ids``.

    The numbers of their documents are copied to ``documents``, which is equally long. Positions
    before the start or beyond the end of the text are filled with -1.
    """
    starts, end = shard.starts, min(first + len(ids), shard.starts[-1])
    n = max(first, 0)
    ids[: n - first] = documents[: n - first] = -1
    block = np.searchsorted(starts, n, "right") - 1
    while n < end:
        place = block * BLOCK - starts[block]
        stop = min(end, starts[block + 1])
        for k in range(n, stop):
            ids[k - first] = shard.ids[place + k]
            documents[k - first] = shard.documents[place + k]
        n = stop
        block += 1
    ids[n - first :] = documents[n - first :] = -1


@inlined
def lists_of(lists: Lists, n: int) -> Lists:
    """Return the lists of one step: row ``n`` of each array."""
    return Lists(lists.words[n], lists.heads[n], lists.next[n], lists.places[n])


@inlined
def add_row(
    word: int, row: int, begin: int, joins: bool, count: int, heads: I32, lists: Lists
) -> int:
    """Add a row of the gradient buffer to the rows of its word; return the new number of lists.

    Parameters
    ----------
    word, row
        The word, and the number of the row.
    begin
        The number of the first row in the same half of the training step.
    joins
        Whether the row's gradient is added to the last row of the word's list, if this is in the
        same half. Otherwise the row becomes the last one of the list.
    count
        The number of words that have a list.
    heads
        The last row of each word's list, or -1 if there is none; updated.
    lists
        The lists; updated. The element of ``lists.next`` for the first row of a word is `ALONE`
        until another row is added.
    """
    head = heads[word]
    known, same = head >= 0, head >= begin
    # Selected without branches, which would often be mispredicted.
    last, place = head if known else row, head if same and joins else row
    after = -1 if same and joins else row if same else ~row
    lists.words[count], lists.heads[count] = word, row  # overwritten by the next list unless new
    lists.next[row] = -1 if known else ALONE
    lists.next[last] = after if known else ALONE
    lists.places[row] = heads[word] = place
    return int(count + (not known))


@inner
def keep_lists(count: int, every: bool, heads: I32, lists: Lists) -> int:
    """Remove the lists of words that have a single row of gradients; return how many lists remain.

    Parameters
    ----------
    count
        The number of lists.
    every
        Whether the lists of words with a single row are kept as well. Then no row has the place
        `ALONE`.
    heads
        The last row of each word's list; reset to -1.
    lists
        The lists; those that remain are moved to the front.
    """
    several = 0
    for n in range(count):
        word, row = lists.words[n], lists.heads[n]
        heads[word] = -1
        # Each list is written, and overwritten by the next one unless it is kept.
        lists.words[several], lists.heads[several] = word, row
        after = lists.next[row]
        single = after == ALONE
        lists.next[row] = -1 if single else after
        lists.places[row] = ALONE if single and not every else row
        several += every or not single
    return several


@inner
def draw_noise(problem: Problem, key: sampling.Key, first: int, noise: I32) -> None:
    """Draw a noise word for each element of ``noise``.

    Element k is a function of ``key`` and of the counter ``first`` + k. It is the noise word that
    `w2v.sampling.NoiseDistribution.words` returns for the random integer of this counter, from
    `w2v.sampling.draw_evenly`. A tile is a number of center words that share `NOISE` noise words.
    The counters of these noise words are a group for `draw_evenly`, which spreads the random
    integers of a group evenly. ``first`` is a multiple of `NOISE`.
    """
    last, start = problem.last, problem.start
    size = np.uint64(len(start))
    bits, _ = threefry(key.first, key.second, np.uint32(0), np.uint32(NOISE_WORDS))
    for k in range(len(noise)):
        group, place = np.uint32((first + k) // NOISE), np.uint32((first + k) % NOISE)
        moved = np.uint32(np.uint32(group * SPACING) // np.uint32(NOISE))
        number = np.uint32(bits + moved + place * np.uint32(2**32 // NOISE))
        word = start[(np.uint64(number) * size) >> np.uint64(32)]
        while last[word] < number:
            word += 1
        noise[k] = word


@inner
def draw_windows(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    first: int,
    ids: I32,
    documents: I32,
    lows: I32,
    highs: I32,
    weights: F32,
    scratch: Planning,
) -> None:
    """Find the window of each center word of a step, for CBOW.

    If window sizes are random, that of center word k is a function of ``key`` and ``first`` + k.

    Parameters
    ----------
    first
        The position of the step's first center word in the sub-sampled shard (part of the text).
    ids, documents
        The step's words and their document numbers, from ``sizes.window`` words before its first
        center word on; -1 where there is no word. Windows do not extend across documents.
    lows, highs
        Output: element k is the start or the end (excluded) of the window of center word k, as an
        index in ``documents``. The window includes the center word. The last step may have fewer
        center words than these arrays have elements; the remaining windows are then empty.
    weights
        Output: element k is the weight of each word vector in the sum or mean over that window
        (`window_weight`).
    scratch
        Working memory for random bits, whose earlier contents do not matter.
    """
    m = sizes.window
    size = np.uint64(m)
    for done in range(0, len(lows), BLOCK):
        bits = scratch.bits[: len(lows) - done]
        if problem.draws_windows:
            fill_bits(key, WINDOW_SIZES, first + done, bits, scratch.more_bits)
        for k in range(len(bits)):
            center = m + done + k
            low = high = center
            document = documents[center]
            if document >= 0:
                farthest: Any = np.int64(m)
                if problem.draws_windows:
                    farthest = 1 + np.int64((np.uint64(bits[k]) * size) >> np.uint64(32))
                low, high = center - farthest, center + farthest + 1
                while documents[low] != document:
                    low += 1
                while documents[high - 1] != document:
                    high -= 1
            lows[done + k], highs[done + k] = low, high
            weights[done + k] = window_weight(problem, ids, low, high, center)


@inlined
def window_weight(problem: Problem, ids: I32, low: int, high: int, center: int) -> np.float32:
    """Return the weight of each word vector in the sum or mean over a window of CBOW.

    It is 1 for a sum, and 1 / n for a mean of n words. For the mean of all rows of the words and of
    their n-grams, it is 1 / the number of these rows. The window has the elements ``low`` to
    ``high - 1`` of ``ids``, without the center word, element ``center``.
    """
    count = high - low - 1
    if problem.by_rows:
        starts, count = problem.parts.starts, ZERO
        for place in range(low, high):
            if place != center:
                count += starts[ids[place] + 1] - starts[ids[place]]
    return np.float32(1) / np.float32(max(count, 1)) if problem.mean else np.float32(1)


@inlined
def strips_of_half(strips: int) -> int:
    """Return how many of a step's strips, the parts of its text, belong to its first half."""
    return -(-strips // 2)


@inner
def list_inputs(sizes: Sizes, centers: int, half: int, ids: I32, heads: I32, lists: Lists) -> int:
    """List the rows in the gradient buffer for each input word of a step; return how many lists.

    A step consists of strips, which are parts of its text. Each occurrence of an input word in a
    strip has a row. Rows are listed in the order in which their gradients are computed.

    Parameters
    ----------
    centers, half
        The number of center words of the step, and of strips in its first half.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    heads
        Working memory: a number for each word of the vocabulary; -1 before and after the call.
    lists
        Output: the lists of the words with several rows (with subwords, of all words).
    """
    lists.places[:] = -1  # also for rows without a word
    skipped, extra = (0, 2 * sizes.window) if sizes.windows else (sizes.window, 0)
    count, length = ZERO, sizes.strip * sizes.tile
    for strip in range(-(-centers // length)):
        place, row = strip * length + skipped, strip * sizes.input_slots
        begin = (half if strip >= half else ZERO) * sizes.input_slots
        for j in range(min(length, centers - strip * length) + extra):
            word = ids[place + j]
            if word >= 0:
                count = add_row(word, row + j, begin, sizes.halves, count, heads, lists)
    return keep_lists(count, sizes.parts, heads, lists)


@inner
def list_band(
    sizes: Sizes, centers: int, half: int, ids: I32, noise: I32, heads: I32, lists: Lists
) -> int:
    """List the rows in the gradient buffer for each output word of a step; return how many lists.

    This is for negative sampling. A step consists of strips, which are parts of its text. The
    output words of a strip are the words that its center words may predict, and the noise words
    drawn for it. Each occurrence of an output word in a strip has a row. Rows are listed in the
    order in which their gradients are computed: for each tile of a strip, those of its words, and
    then those of its noise words.

    Parameters
    ----------
    centers, half
        The number of center words of the step, and of strips in its first half.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    noise
        The noise words of the step, strip by strip.
    heads
        Working memory: a number for each word of the vocabulary; -1 before and after the call.
    lists
        Output: the lists of the words with several rows.
    """
    lists.places[:] = -1
    count, skipped = ZERO, sizes.window - sizes.reach
    tiles = -(-centers // sizes.tile)
    for tile in range(tiles):
        strip, number = tile // sizes.strip, tile % sizes.strip
        row = strip * sizes.slots + number * sizes.tile
        begin = (half if strip >= half else ZERO) * sizes.slots
        # The words after the tile belong to the next tile of the strip, if there is one.
        ends = number + 1 == sizes.strip or tile + 1 == tiles
        for j in range(sizes.tile + 2 * sizes.reach * ends):
            word = ids[tile * sizes.tile + skipped + j]
            if word >= 0:
                count = add_row(word, row + j, begin, sizes.halves, count, heads, lists)
        row = (strip + 1) * sizes.slots - (sizes.strip - number) * NOISE
        for k in range(NOISE):
            count = add_row(
                noise[tile * NOISE + k], row + k, begin, sizes.halves, count, heads, lists
            )
    return keep_lists(count, False, heads, lists)


@inlined
def pad_rows(nodes: I32, row: int) -> int:
    """Fill ``nodes`` with -1 from index ``row`` on, up to a multiple of `MR`; return the multiple.

    The multiple is the least one that is not below ``row``. The element at the multiple is not
    filled.
    """
    while row % MR:
        nodes[row] = -1
        row += 1
    return row


@inner
def list_rows(nodes: I32, heads: I32, lists: Lists) -> int:
    """List the rows in the gradient buffer for each tree node; return how many lists.

    The list of a node is in the order of the buffer.

    Parameters
    ----------
    nodes
        The tree node of each row; -1 for a row without a node.
    heads
        Working memory: a number for each node; -1 before and after the call.
    lists
        Output: the lists of the nodes with several rows.
    """
    lists.places[: len(nodes)] = -1
    count = ZERO
    for row in range(len(nodes)):
        if nodes[row] >= 0:
            count = add_row(nodes[row], row, ZERO, False, count, heads, lists)
    return keep_lists(count, False, heads, lists)


@inlined
def prefetch_paths(paths: Paths, sizes: Sizes, ids: I32, order: I32) -> None:
    """Load the beginnings of the tree paths of `MR` center words into the processor's cache.

    The first `MR` elements of ``order`` are the positions of these words among the center words of
    the step; -1 stands for no word. ``ids`` has the words of the text, beginning ``sizes.window``
    words before the first center word of the step.
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
    """List the tree nodes with which each tile of a training step is scored, for skip-gram.

    A tile is a number of consecutive center words. Its nodes are those on the tree paths of the
    words in the tile and of the ``sizes.reach`` words before and after it. The gradient buffer has
    a row for each node of each tile. The rows of the same node form a list. Returns the number of
    lists.

    Parameters
    ----------
    centers
        The number of center words of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    nodes, starts, keys, key_starts
        Output: the arrays ``nodes``, ``node_starts``, ``keys`` and ``key_starts`` of `Plans`. Row r
        of the gradient buffer belongs to ``nodes[r]``.
    seen, heads
        Working memory with a number for each tree node, -1 before and after the call.
    lists
        Output: the lists of the nodes with several rows.
    """
    reach, skipped = sizes.reach, sizes.window - sizes.reach
    tiles, branches = -(-centers // sizes.tile), paths.branches
    row = count = 0
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
                    node, code = branches[k] >> 1, branches[k] & 1
                    # A node that is new gets the next row; another one has its row in `seen`.
                    known = seen[node]
                    is_new = known < begin
                    this = row if is_new else known
                    nodes[row] = node
                    seen[node] = this
                    row += is_new
                    keys[count] = 2 * (this - begin) + code
                    count += 1
        row = pad_rows(nodes, row)
    starts[tiles], key_starts[tiles * sizes.contexts] = row, count
    for node in nodes[:row]:
        if node >= 0:
            seen[node] = -1
    return list_rows(nodes[:row], heads, lists)


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

    Parameters
    ----------
    leaves
        For each word of the vocabulary, the position of its leaf.
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
    """
    now, then, digits = scratch.leaves[0], scratch.leaves[1], scratch.digits
    count, shift, most = ZERO, np.int64(32), np.int64(len(digits) - 1)
    for i in range(centers):
        if highs[i] - lows[i] > 1:
            now[count] = np.int64(leaves[ids[sizes.window + i]]) << 32 | i
            count += 1
    while (len(leaves) - 1) >> (shift - 32) > 0:
        digits[:] = 0
        for k in range(count):
            digits[now[k] >> shift & most] += 1
        place = 0
        for digit in range(len(digits)):
            size = digits[digit]
            digits[digit] = place
            place += size
        for k in range(count):
            digit = now[k] >> shift & most
            then[digits[digit]] = now[k]
            digits[digit] += 1
        now, then = then, now
        shift += RADIX_BITS
    for k in range(count):
        order[k] = now[k] & 0xFFFFFFFF
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
    """Write a key for each node of a center word's path, from level ``first`` to ``last`` - 1.

    The keys are written in the order of the levels; the root has level 0. A tile is a sequence of
    groups of `MR` center words; those of a group are numbered from 0. The nodes for which keys are
    written must not be on the path of an earlier center word of the group, whose number is below
    ``lane``. The key of a node says which center words of the group have the node on their paths.
    It is the sum of

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
        For each center word of the group, the array ``lanes`` has the index in ``Paths.branches``
        at which its path begins, and the number of nodes that it shares with the path of the center
        word before it. The array ``columns`` has, for the node at each level of the path of center
        word ``lane``, its index among the nodes of the tile.
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
                shared = min(shared, lanes[other, 1])
            code = common_bits(load_ints(branches, lanes[other, 0] + k), one)
            bits = add_ints(multiply_ints(code, codes), one)
            bits = multiply_ints(bits, splat_int(np.int32(1 << other)))
            has_node = less_ints(load_ints(levels, k), splat_int(np.int32(shared)))
            key = add_ints(key, select(has_node, bits, zero))
        store(key, keys, k - first)


@inlined
def compare_paths(
    paths: Paths, sizes: Sizes, ids: I32, order: I32, group: int, before: int, lanes: I64
) -> int:
    """Find the tree path of each center word of a group.

    For each center word, also find how many nodes its path shares with that of the center word
    before it in ``order``; 0 for the first center word of a tile, which is a sequence of groups.

    Parameters
    ----------
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
    lanes
        Output: the array ``lanes`` of `Planning`, with a row for each center word. It is also read:
        unless ``before`` is -1, it must still have the result for the previous group.

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
            while shared > 0 and (branches[start + shared - 1] ^ branches[last + shared - 1]) > 1:
                shared -= 1
            before = word
        lanes[lane, 0], lanes[lane, 1], lanes[lane, 2] = start, shared, length
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
    """List the tree nodes with which each tile of a training step is scored, for CBOW.

    A tile is a number of center words that are consecutive in ``order``. Its nodes are those on the
    tree paths of these words, each listed once. For each word, the nodes are listed that are not on
    the path of the word before it in the tile. No node is then listed twice, because all words
    whose paths have the node are consecutive in ``order``.

    The gradient buffer has a row for each node of each tile. The rows of the same node form a list.
    Returns the number of lists.

    Parameters
    ----------
    centers
        The number of center words of the step.
    ids
        The words of the step, from ``sizes.window`` words before its first center word on.
    order
        The numbers of the center words in the step, sorted by leaf (`sort_centers`). The remaining
        elements are -1.
    nodes, starts, keys, key_starts
        Output: the arrays ``nodes``, ``node_starts``, ``keys`` and ``key_starts`` of `Plans`. Row r
        of the gradient buffer belongs to ``nodes[r]``.
    heads
        Working memory with a number for each tree node, -1 before and after the call.
    lists
        Output: the lists of the nodes with several rows.
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
                shared, length = lanes[lane, 1], lanes[lane, 2]
                column = splat_int(np.int32(row - begin - shared))
                for k in range(shared, length, LANES):
                    node = shift_right(load_ints(branches, lanes[lane, 0] + k), one)
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
    return list_rows(nodes[:row], heads, lists)


@inner
def list_parts(
    parts: Parts,
    ids: I32,
    words: I32,
    count: int,
    numbers: I32,
    rows: I32,
    ends: I32,
    members: I32,
    shares: F32,
    scratch: Planning,
) -> int:
    """For subwords, list the rows of the input matrix that make up the vectors of a step's words.

    The vector of a word is a weighted sum of rows. Returns the number of distinct rows.

    Parameters
    ----------
    parts
        The summands of each word.
    ids
        The words of the step, in the order of the text.
    words, count
        The distinct words, and their number.
    numbers, rows, ends, members, shares
        The arrays ``numbers``, ``part_rows``, ``part_ends``, ``part_words`` and ``part_shares`` of
        `Plans`, which are filled in.
    """
    heads, known, places = scratch.heads, scratch.parts, scratch.part_places
    for n in range(count):
        heads[words[n]] = n
    for place in range(len(ids)):
        numbers[place] = heads[ids[place]] if ids[place] >= 0 else -1
    for n in range(count):
        heads[words[n]] = -1
    found = entry = 0
    for n in range(count):
        for k in range(parts.starts[words[n]], parts.starts[words[n] + 1]):
            row = parts.rows[k]
            place = known[row]
            if place < 0:
                place = known[row] = found
                rows[found], ends[found + 1] = row, 0
                found += 1
            ends[place + 1] += 1
            places[entry] = place
            entry += 1
    ends[0] = 0
    for place in range(found):
        known[rows[place]] = -1
        ends[place + 1] += ends[place]
    # `ends` has the starts of rows, and is advanced to their ends while elements are stored.
    entry = 0
    for n in range(count):
        for k in range(parts.starts[words[n]], parts.starts[words[n] + 1]):
            place = places[entry]
            members[ends[place]], shares[ends[place]] = n, parts.shares[k]
            ends[place] += 1
            entry += 1
    return found


@inner
def plan(
    problem: Problem,
    sizes: Sizes,
    key: sampling.Key,
    step: int,
    plans: Plans,
    shard: Shard,
    scratch: Planning,
) -> None:
    """Prepare a training step: find its words, its random numbers and where its gradients are kept.

    The result is stored in ``plans``. It does not depend on the model's vectors. In the gradient
    buffer, a word or tree node has one row or several. If it has several, it has a list (`Lists`);
    with subwords, an input word has a list even if it has only one row. In ``shard.several``, this
    function stores how many elements of these arrays of ``plans`` are in use:

    - ``center.words``: the input words that have a list.
    - ``outside.words``: the output words, or tree nodes, that have a list.
    - ``part_rows``, with subwords only: the rows of the input matrix that are added up to the
      vectors of the step's words.
    """
    n, heads = step % len(plans.ids), scratch.heads
    ids, noise, nodes = plans.ids[n], plans.noise[n], plans.nodes[n]
    documents, centers = plans.documents[n], step_centers(sizes, shard, step)
    first = step * sizes.step
    copy_kept(shard, first - sizes.window, ids, documents)
    if sizes.windows:
        lows, highs, weights = plans.lows[n], plans.highs[n], plans.weights[n]
        draw_windows(problem, sizes, key, first, ids, documents, lows, highs, weights, scratch)
    inputs, outputs = lists_of(plans.center, n), lists_of(plans.outside, n)
    half = strips_of_half(step_strips(sizes, shard, step))
    count = list_inputs(sizes, centers, half, ids, heads, inputs)
    shard.several[step, 0] = count
    if sizes.parts:
        shard.several[step, 2] = list_parts(
            problem.parts,
            ids,
            inputs.words,
            count,
            plans.numbers[n],
            plans.part_rows[n],
            plans.part_ends[n],
            plans.part_words[n],
            plans.part_shares[n],
            scratch,
        )
    if sizes.sorted:
        order = plans.order[n]
        leaves, lows, highs = problem.paths.leaves, plans.lows[n], plans.highs[n]
        sort_centers(leaves, sizes, centers, ids, lows, highs, order, scratch)
        shard.several[step, 1] = list_paths(
            problem.paths,
            sizes,
            centers,
            ids,
            order,
            nodes,
            plans.node_starts[n],
            plans.keys[n],
            plans.key_starts[n],
            heads,
            outputs,
            scratch,
        )
    elif sizes.nodes:
        shard.several[step, 1] = list_nodes(
            problem.paths,
            sizes,
            centers,
            ids,
            nodes,
            plans.node_starts[n],
            plans.keys[n],
            plans.key_starts[n],
            scratch.seen,
            heads,
            outputs,
        )
    else:
        draw_noise(problem, key, step * len(noise), noise)
        shard.several[step, 1] = list_band(sizes, centers, half, ids, noise, heads, outputs)


@inlined
def step_centers(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of center words of a step: `Sizes.step`, or fewer for the last step."""
    return int(min(sizes.step, shard.starts[-1] - step * sizes.step))


@inlined
def step_strips(sizes: Sizes, shard: Shard, step: int) -> int:
    """Return the number of strips of a step, which are parts of its text."""
    return int(-(-step_centers(sizes, shard, step) // (sizes.strip * sizes.tile)))

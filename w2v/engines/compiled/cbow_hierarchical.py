"""The gradients of a training step of CBOW with the hierarchical softmax.

The input row of a center word is the sum or mean of the vectors of its context words. It predicts
the center word, by the inner nodes on the word's path in the Huffman tree.

The center words of a step are divided in two ways: in the order of the text into strips, because
context words are next to each other; and in the order of their paths into tiles, because words with
similar paths have many nodes in common. The gradients are computed in three phases:

1. `read_strip` computes the input rows of a strip.
2. `compute_sorted` computes the gradients of the input rows and nodes of some tiles.
3. `share_sorted` computes the gradients of a strip's context words from those of its input rows.
"""

import numpy as np

from w2v.engines.compiled.functions import inner
from w2v.engines.compiled.plans import step_tiles
from w2v.engines.compiled.rows import gather_rows, prefetch_rows
from w2v.engines.compiled.simd import LANES, ZERO, address, unsigned
from w2v.engines.compiled.strips import (
    prefetch_first_window,
    score_node_tile,
    share_strip,
    strip_centers,
    write_node_tile,
)
from w2v.engines.compiled.structures import (
    SORTED_TILES,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
)
from w2v.engines.compiled.windows import locate_words, read_windows


@inner
def read_strip(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    scratch: Scratch,
) -> None:
    """Sum up, or average, the context words' vectors of each center word in a strip of the text.

    This is the first of three phases of a training step (one update of the model) of CBOW with the
    hierarchical softmax. The result for a center word is its input row, written to
    ``buffer.inputs``. The row's element of ``buffer.input_curvature`` (a bound on the second
    derivative of the loss) is set to 0; `compute_sorted` replaces this 0 if the center word has
    context words. ``step`` is the number of the step in the shard (part of the text), ``strip``
    that of the strip (some consecutive center words) in the step.
    """
    n, windows, zeros = step % len(plans.ids), scratch.windows, address(scratch.tile.zeros)
    centers = strip_centers(sizes, shard, step, strip)
    start, count = strip * sizes.strip * sizes.tile, centers + 2 * sizes.window
    matrix, ids = problem.center, plans.ids[n, start : start + count]
    if sizes.parts:
        matrix, ids = buffer.words, plans.numbers[n, start : start + count]
    width = sizes.vectors * LANES
    prefetch_first_window(sizes, matrix, ids)
    locate_words(matrix, ids, zeros, windows.rows)
    lows, highs, weights = plans.lows[n, start:], plans.highs[n, start:], plans.weights[n, start:]
    out = address(buffer.inputs) + 4 * start * width
    read_windows(sizes, lows, highs, weights, start, ZERO, centers, out, scratch.tile, windows)
    # Center words without context are in no tile.
    buffer.input_curvature[start : start + centers] = 0


@inner
def compute_sorted(
    problem: Problem,
    sizes: Sizes,
    step: int,
    job: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """For CBOW with the hierarchical softmax, compute the gradients of input rows and tree nodes.

    This is the second of three phases of a training step (one update of the model). In the first,
    `read_strip` has written input rows (the sum or mean of the vectors of a center word's context)
    to ``buffer.inputs``. The negative gradient of each input row replaces the row. A bound on the
    second derivative of the loss goes to ``buffer.input_curvature``. The gradients of nodes go to
    the gradient buffer or the model. The number of predicted words and their summed loss go to
    ``shard.tallies``.

    ``step`` is the number of the step in the shard (part of the text), and ``job`` that of the job
    in the step: up to `SORTED_TILES` consecutive tiles (center words with similar tree paths).
    """
    n, tile, size = step % len(plans.ids), scratch.tile, 4 * sizes.vectors * LANES
    first = job * SORTED_TILES
    last = min(first + SORTED_TILES, step_tiles(sizes, shard, step))
    curvature, pairs, loss = scratch.windows.curvature[: sizes.tile], np.float64(0), np.float64(0)
    inputs = plans.order[n, first * sizes.tile : last * sizes.tile]
    starts, nodes = plans.node_starts[n], plans.nodes[n]
    prefetch_rows(buffer.inputs, inputs[: sizes.tile], sizes.vectors * LANES)
    prefetch_rows(problem.outside, nodes[starts[first] : starts[first + 1]], sizes.vectors * LANES)
    for number in range(first, last):
        k, after = (number - first) * sizes.tile, (number + 1 - first) * sizes.tile
        order, ahead = inputs[k:after], inputs[after : after + sizes.tile]
        gather_rows(buffer.inputs, order, tile.C, tile.center_norms)
        _, tile_loss = score_node_tile(
            problem, sizes, n, number, order, plans, buffer, curvature, scratch, ahead
        )
        loss += tile_loss
        for i in range(unsigned(sizes.tile)):
            place = np.int64(order[i])
            tile.old[i], tile.steps[i] = address(tile.zeros), 1
            tile.out[i] = address(buffer.inputs) + place * size
            if place >= 0:
                buffer.input_curvature[unsigned(place)] = curvature[i]
                pairs += 1
            else:  # where no center word is, zeros remain
                tile.out[i] = address(tile.C) + np.int64(i) * size
        ahead = nodes[starts[number + 1] : starts[min(number + 2, last)]]
        write_node_tile(problem, sizes, n, number, plans, buffer, rate, scratch, ahead)
    row = step * (sizes.step // sizes.tile) + first
    shard.tallies[row, 0], shard.tallies[row, 1] = pairs, loss


@inner
def share_sorted(
    problem: Problem,
    sizes: Sizes,
    step: int,
    strip: int,
    plans: Plans,
    buffer: Buffer,
    shard: Shard,
    rate: np.float32,
    scratch: Scratch,
) -> None:
    """For CBOW, pass the gradient of each window of a strip on to the window's context words.

    This is the last of three phases of a training step (one update of the model) with the
    hierarchical softmax. ``buffer.inputs`` has the negative gradients of the windows' input rows
    (the sum or mean of the vectors of the context words). The negative gradient of a context word
    is a weighted sum of these, over the strip's windows that contain the word, and goes to
    ``buffer.center``. Exception: without subwords, a gradient that is the only one of its word in
    the step updates the model directly. ``step`` is the number of the step in the shard (part of
    the text), ``strip`` that of the strip (some consecutive center words) in the step.
    """
    n, centers = step % len(plans.ids), strip_centers(sizes, shard, step, strip)
    start = strip * sizes.strip * sizes.tile
    share_strip(
        problem,
        sizes,
        n,
        strip,
        centers,
        plans,
        buffer,
        rate,
        address(buffer.inputs) + 4 * start * sizes.vectors * LANES,
        buffer.input_curvature[start:],
        scratch,
    )

"""The gradients of a training step of CBOW with the hierarchical softmax.

Each center word has an input row, the sum or mean of the vectors of its context words. The input
row predicts the center word, by the inner nodes on the center word's path in the Huffman tree. A
score is the dot product of an input row and a node's vector. The center words of a step are sorted
by their paths and divided into tiles, groups of words that are scored together. The words of a tile
then have similar paths, and therefore few different nodes.

The context words of a center word, however, are next to it in the text. The text of the step is
therefore divided into strips, too. The gradients of a step are computed in three phases (see
``loop.py``):

1. `read_strip` computes the input rows of the center words of each strip.
2. `compute_sorted` computes the gradients of the input rows and nodes of each tile.
3. `share_sorted` computes the gradients of the context words of each strip from the gradients of
   its input rows.
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

    This is for CBOW with the hierarchical softmax, and the first of three phases of a training step
    (one update of the model). The text of the step is divided into strips; each call is for one.
    The result for a center word is its input row, from which the center word is predicted.
    `compute_sorted` computes the gradients of the input rows in the second phase.

    The rows are stored in ``buffer.inputs``. For each of them, ``buffer.input_curvature`` is set to
    zero. `compute_sorted` replaces this zero by a bound on the second derivative of the loss with
    respect to the input row, unless the center word has no context words. ``step`` is the number of
    the step in the shard (part of the text), and ``strip`` that of the strip in the step.
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
    `read_strip` has computed the input row of each center word: the sum or mean of the vectors of
    its context words. The center words of the step are sorted by their paths in the Huffman tree
    and divided into tiles, which have words with similar paths. Each call is for some consecutive
    tiles, which are a job.

    For each tile, this function computes the scores, and then the gradients of the nodes, which
    `write_node_tile` adds to the gradient buffer or the model. The negative gradient of each input
    row replaces the row in ``buffer.inputs``; in the third phase, `share_sorted` passes it on to
    the context words. The number of predicted words and their summed loss are stored in
    ``shard.tallies``.

    Parameters
    ----------
    problem, sizes
        The model with its settings, and the sizes of steps, strips and tiles.
    step
        The number of the step in the shard, a part of the text.
    job
        The number of the job in the step. A job has `SORTED_TILES` tiles, or fewer if it is the
        last one. Their words come from anywhere in the text of the step.
    plans
        The sorted center words of the step, and the nodes of each tile.
    buffer, shard
        The input rows and gradients of the step, and the losses. All threads share these arrays.
    rate
        The learning rate.
    scratch
        The working memory of the calling thread.
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

    In CBOW, a center word is predicted from its input row: the sum or mean of the vectors of its
    context words. A context word is in several windows. Its gradient is a weighted sum of the
    gradients of the input rows of these windows. This is for the hierarchical softmax, and the last
    of three phases of a training step (one update of the model). The text of the step is divided
    into strips; each call is for one. In the phase before, `compute_sorted` has processed the
    center words, sorted by their paths in the Huffman tree, and has stored the negative gradients
    of their input rows in ``buffer.inputs``.

    The negative gradients of the context words are written to ``buffer.center``, to be added up for
    each word later. (The array has its name from skip-gram, where it is for center words.)
    Exception: without subwords, a gradient that is the only one of its word in the step updates the
    model at once (`rows.choose_targets`). ``step`` is the number of the step in the shard (part of
    the text), ``strip`` that of the strip in the step, and ``rate`` the learning rate.
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

"""Compute the gradients of a strip of the text, for the compiled loop in ``loop.py``.

A strip is a part of the text of a training step (one update of the model). It consists of tiles,
each of `Sizes.tile` consecutive center words, which are computed together. Only for CBOW with the
hierarchical softmax, the center words of a tile are not consecutive: they are sorted by their paths
in the Huffman tree (``cbow_hierarchical.py``).

`compute_strip` goes through the tiles of a strip. The other functions are called by it, by the
functions in ``cbow_hierarchical.py``, or by both. What differs between skip-gram and CBOW is in
``windows.py``, and what differs between losses in ``negative_sampling.py`` and ``hierarchical.py``;
this module calls the functions of all three.
"""

import numpy as np

from w2v.engines.compiled.cbow_negative_sampling import score_centers, write_centers
from w2v.engines.compiled.functions import inlined, inner
from w2v.engines.compiled.hierarchical import choose_node_targets, score_nodes, write_node_gradients
from w2v.engines.compiled.negative_sampling import (
    choose_weights,
    compute_gradients,
    compute_scores,
    sum_curvature,
)
from w2v.engines.compiled.plans import step_tiles
from w2v.engines.compiled.rows import choose_targets, gather_rows, prefetch_rows, put_gradients
from w2v.engines.compiled.simd import LANES, address, unsigned
from w2v.engines.compiled.structures import (
    F32,
    I32,
    MR,
    Band,
    Buffer,
    Plans,
    Problem,
    Scratch,
    Shard,
    Sizes,
    Tile,
)
from w2v.engines.compiled.windows import (
    AHEAD,
    locate_words,
    read_windows,
    share_gradients,
    write_shares,
)


@inlined
def strip_centers(sizes: Sizes, shard: Shard, step: int, strip: int) -> int:
    """Return the number of center words of a strip of text, rounded up to whole tiles.

    A strip is a part of the text of a training step, and a tile a group of its center words. The
    last strip of a step may be shorter than the others. ``step`` is the number of the step in the
    shard (a large part of the text), and ``strip`` that of the strip in the step.
    """
    tiles = step_tiles(sizes, shard, step)
    return int(min(sizes.strip, tiles - strip * sizes.strip) * sizes.tile)


@inlined
def prefetch_first_window(sizes: Sizes, matrix: F32, ids: I32) -> None:
    """For CBOW, prefetch the vectors of the first words of a strip, before its windows are summed.

    A strip is a part of the text. `windows.read_windows` later sums the vectors in each window, and
    prefetches the strip's other vectors. ``ids`` are the rows of ``matrix`` with the vectors, in
    the order of the text; -1 is skipped.
    """
    prefetch_rows(matrix, ids[: 2 * sizes.window + AHEAD], sizes.vectors * LANES)


@inner
def read_band(
    sizes: Sizes, matrix: F32, ids: I32, noise: I32, place: int, tile: Tile, own: Band
) -> None:
    """For negative sampling, collect the output vectors that a tile is scored with.

    A tile is 64 consecutive center words, which share noise words. A strip is a sequence of tiles.
    A center word predicts only words near it. In the matrix of the scores of center words and
    predicted words, only a band along the diagonal is therefore needed; hence the function's name.

    `compute_strip` calls this function before the scores of each tile. The vectors of words that
    the tile may predict are copied to ``tile.R``, except those that the previous tile of the strip
    has copied there. For CBOW, none is copied (see ``cbow_negative_sampling.py``). The vectors of
    noise words are copied to ``own.N``. The squared lengths of the copied vectors are written to
    ``tile.norms`` and ``own.noise_norms``.

    Parameters
    ----------
    sizes
        The sizes of training steps and of their parts.
    matrix
        The output vectors of all words.
    ids
        The words that the strip may predict: its center words and, for skip-gram, those up to
        ``sizes.reach`` words before and after them.
    noise
        The noise words of the tile.
    place
        The position of the tile's first center word in the strip.
    tile
        The thread's working memory for a tile; gets the vectors of words that may be predicted.
    own
        The thread's working memory for negative sampling; gets the vectors of noise words.
    """
    if not sizes.windows:
        end = place + sizes.contexts
        known = 0 if place == 0 else end - sizes.tile
        gather_rows(matrix, ids[known:end], tile.R[known:], tile.norms[known:])
    gather_rows(matrix, noise[: sizes.noise], own.N, own.noise_norms)


@inner
def choose_band_targets(
    sizes: Sizes,
    matrix: F32,
    ids: I32,
    noise: I32,
    places: I32,
    curvature: F32,
    rate: np.float32,
    place: int,
    number: int,
    last: bool,
    gradients: int,
    row: int,
    tile: Tile,
    own: Band,
) -> None:
    """For negative sampling, decide where the gradient of each output vector of a tile is written.

    A tile is 64 consecutive center words, which share noise words. A strip is a sequence of tiles.
    The output vectors of a tile are those of its context words, the words that it may predict, and
    of its noise words. `compute_strip` calls this function when the tile's scores are known. The
    decisions are stored in ``tile``, with the step sizes. `compute_gradients` then follows them;
    for CBOW, `write_centers` follows those for context words.

    In the gradient buffer, a row is reserved for each context word and each noise word of the
    strip. A context word that adjacent tiles share has one row for all of them. For example, with a
    reach of 5, tile 0 may predict words -5 to 68 of the strip, and tile 1 words 59 to 132. Words 59
    to 68 belong to both. Tile 0 writes its gradient of word 60 to the word's row, and tile 1 adds
    its own. Then the gradient of word 60 is complete. A complete gradient goes to one of three
    places (`rows.choose_targets`):

    - To the model, if no other row of the training step is reserved for the same word of the
      vocabulary (`places` has `ALONE`).
    - To another row, if `Sizes.halves` is true and the word has an earlier row in the same half of
      the step (`places` has that row's number).
    - To its own row, in all other cases.

    A gradient is not complete if the next tile shares the word; it then goes to its own row.

    Parameters
    ----------
    sizes
        The sizes of training steps and of their parts.
    matrix
        The output vectors of all words in the model.
    ids
        The words that the strip may predict: its center words and, for skip-gram, those up to
        ``sizes.reach`` words before and after them.
    noise
        The noise words of the tile.
    places
        For each row of the buffer that is reserved for an output vector: the number of the row to
        which the complete gradient is written or added; `ALONE` if no other row of the step is
        reserved for the same word (``Lists.places``).
    curvature
        For each of these rows, a bound on the curvature (second derivative) of the loss with
        respect to the output vector, which limits the step size. Updated here with the tile's
        bounds, from ``own.sums``: the bound of a context word is added to the element of the word's
        row; that of a noise word replaces the element.
    rate
        The learning rate.
    place
        The position of the tile's first center word in the strip.
    number
        The number of the tile in the strip.
    last
        Whether the tile is the last one of the strip, so that all its gradients are complete.
    gradients, row
        The address of the buffer's rows for output vectors, and the number of the first of them
        that belongs to the strip.
    tile
        The thread's working memory for the tile, in which the decisions are stored.
    own
        The thread's working memory with the tile's curvature bounds (``own.sums``) and the output
        vectors of its noise words; only read here.
    """
    contexts, size = sizes.contexts, 4 * sizes.vectors * LANES
    k = row + sizes.slots - (sizes.strip - number) * sizes.noise
    a, b, c, d = own.sums[0], own.sums[1], own.sums[2], own.sums[3]
    own_rows, noise_rows = curvature[row + place :], curvature[k:]
    for j in range(unsigned(contexts)):
        own_rows[j] += (a[j] + b[j]) + (c[j] + d[j])
    for j in range(unsigned(sizes.noise)):
        i = unsigned(contexts) + j
        noise_rows[j] = (a[i] + b[i]) + (c[i] + d[i])
    choose_targets(
        matrix,
        ids[place : place + (contexts if last else sizes.tile)],
        places,
        curvature,
        rate,
        0 if sizes.windows else address(tile.R) + place * size,
        gradients,
        row + place,
        tile,
        sizes.tile,
    )
    if not last:  # the next tile adds to the gradients of the last rows
        for j in range(sizes.tile, contexts):
            i = unsigned(sizes.tile + j)
            tile.out[i] = gradients + (row + place + j) * size
            tile.old[i], tile.steps[i] = address(tile.zeros), 1
    choose_targets(
        matrix,
        noise[: sizes.noise],
        places,
        curvature,
        rate,
        address(own.N),
        gradients,
        k,
        tile,
        sizes.tile + contexts,
    )


@inner
def score_node_tile(
    problem: Problem,
    sizes: Sizes,
    n: int,
    number: int,
    documents: I32,
    plans: Plans,
    buffer: Buffer,
    of_centers: F32,
    scratch: Scratch,
    ahead: I32,
) -> tuple[float, float]:
    """For the hierarchical softmax, score a tile with its tree nodes, and differentiate the loss.

    A tile is a group of center words. Each has an input row, the vector that predicts words: the
    center word's vector or, for CBOW, the sum or mean of the vectors around it. A score is the dot
    product of an input row and the vector of a tree node. The input rows are read from
    ``scratch.tile.C``. The negative derivative of the loss with respect to each score is written to
    ``scratch.tile.scores``; `write_node_tile` later computes gradients from it. For each node, a
    bound on the curvature (second derivative) of the loss with respect to the node's vector is
    written to ``buffer.outside_curvature``. It limits the step size.

    Parameters
    ----------
    problem, sizes
        The model with its settings, and the sizes of training steps and of their parts.
    n, number
        The number of the step in ``plans``, and of the tile in the step.
    documents
        For skip-gram, the document numbers of the words, beginning ``sizes.reach`` positions before
        the tile. Not used for CBOW.
    plans
        The prepared steps, with the tree nodes of each tile.
    buffer
        The memory for the gradients of the step, and for their bounds.
    of_centers
        Output: for each input row, a bound on the curvature of the loss with respect to the row.
    scratch
        The working memory of the calling thread.
    ahead
        The rows of ``buffer.inputs`` that the thread needs for the next tile, if any. They are
        prefetched.

    Returns
    -------
    The summed weight of the tile's pairs, and its loss. For CBOW, the weight is returned as 0: each
    predicted center word is one pair of weight 1, and `compute_sorted` counts them.
    """
    tile = scratch.tile
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    gather_rows(problem.outside, plans.nodes[n, begin:end], tile.R, tile.norms)
    listed = number * (sizes.tile // MR if sizes.sorted else sizes.contexts)
    return score_nodes(
        problem.pairs.weights,
        sizes,
        plans.keys[n],
        plans.key_starts[n, listed:],
        documents,
        tile,
        scratch.nodes,
        of_centers,
        buffer.outside_curvature[begin:end],
        buffer.inputs,
        ahead,
    )


@inner
def write_node_tile(
    problem: Problem,
    sizes: Sizes,
    n: int,
    number: int,
    plans: Plans,
    buffer: Buffer,
    rate: np.float32,
    scratch: Scratch,
    ahead: I32,
) -> None:
    """Compute the gradients of a tile of the hierarchical softmax; store them or apply them.

    A tile is a group of center words, and the tree nodes that they are scored with.
    `score_node_tile` has computed the scores and the derivatives of the loss before. The negative
    gradients of the tile's input rows (the vectors that predict) are written to the addresses in
    ``scratch.tile.out`` (`rows.Targets`). If no other tile of the step is scored with a node, the
    node's vector in the model is updated; otherwise, the node's gradient goes to ``buffer`` and is
    applied at the end of the step. For skip-gram, ``buffer`` has a row for each node of each tile.
    For CBOW, consecutive tiles that one thread computes are called a job; the gradients that a node
    gets from the tiles of a job are added up in one row (`choose_node_targets`).

    Parameters
    ----------
    problem, sizes
        The model with its settings, and the sizes of training steps and of their parts.
    n, number
        The number of the step in ``plans``, and of the tile in the step.
    plans
        The tree nodes of each tile, and where their gradients are kept.
    buffer
        The memory for the gradients of the step.
    rate
        The learning rate.
    scratch
        The working memory of the calling thread.
    ahead
        The nodes whose vectors the thread needs for the next tile, if any. The vectors are
        prefetched.
    """
    begin, end = plans.node_starts[n, number], plans.node_starts[n, number + 1]
    width, ids, places = sizes.vectors * LANES, plans.nodes[n, begin:end], plans.outside.places[n]
    gradients, curvature = address(buffer.outside), buffer.outside_curvature
    tile, own = scratch.tile, scratch.nodes
    if sizes.sorted:
        choose_node_targets(
            problem.outside, ids, places, curvature, rate, gradients, begin, width, tile, own
        )
        write_node_gradients(sizes, tile, own, address(own.factors), problem.outside, ahead)
        return
    # For skip-gram, most nodes are in several tiles.
    buffer.outside[begin:end] = 0
    gradients += 4 * begin * width
    for j in range(len(ids)):
        own.out[j] = gradients + 4 * j * width
    write_node_gradients(sizes, tile, own, address(tile.scores), problem.outside, ahead)
    put_gradients(
        problem.outside,
        ids,
        places[begin:],
        curvature[begin:],
        rate,
        address(tile.R),
        gradients,
        width,
    )


@inner
def share_strip(
    problem: Problem,
    sizes: Sizes,
    n: int,
    strip: int,
    centers: int,
    plans: Plans,
    buffer: Buffer,
    rate: np.float32,
    gradients: int,
    of_windows: F32,
    scratch: Scratch,
) -> None:
    """For CBOW, compute the gradients of the words of a strip from the gradients of its windows.

    A strip is a part of the text. The gradient of a window is that of its input row, which is the
    sum or mean of the vectors of its words without the center word. These gradients have been
    computed for all windows of the strip before. Each place in the text is in several windows, and
    gives its word a gradient: a weighted sum of the gradients of these windows. If the word occurs
    only once in the training step, this gradient is applied to the model at once. Otherwise, and
    always with subwords, it is written to ``buffer`` (`rows.choose_targets`).

    Parameters
    ----------
    problem, sizes
        The model with its settings, and the sizes of training steps and of their parts.
    n, strip
        The number of the step in ``plans``, and of the strip in the step.
    centers
        The number of center words of the strip.
    plans
        The words and windows of the step, and where its gradients are kept.
    buffer
        The memory for the gradients of the step.
    rate
        The learning rate.
    gradients
        The address of the negative gradients of the windows, one for each center word.
    of_windows
        For each window, a bound on the curvature (second derivative) of the loss with respect to
        its input row, which limits the step size. The array is not changed.
    scratch
        The working memory of the calling thread.
    """
    start, row = strip * sizes.strip * sizes.tile, strip * sizes.input_slots
    curvature, windows = buffer.center_curvature[row:], scratch.windows
    lows, highs = plans.lows[n, start : start + centers], plans.highs[n, start : start + centers]
    mean, exact, weights = problem.mean, problem.exact, plans.weights[n, start:]
    zeros = address(scratch.tile.zeros)
    share_gradients(
        mean,
        exact,
        sizes,
        lows,
        highs,
        weights,
        start,
        of_windows,
        gradients,
        zeros,
        windows,
        curvature,
    )
    choose_targets(
        problem.center,
        plans.ids[n, start : start + centers + 2 * sizes.window],
        plans.center.places[n],
        buffer.center_curvature,
        rate,
        0,
        address(buffer.center),
        row,
        scratch.tile,
        0,
    )
    write_shares(sizes, centers, scratch.tile, windows)


@inner
def compute_strip(
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
    """Compute the loss and the gradients of one strip, a part of the text of a training step.

    A step is one update of the model, and the strips of a step may be computed by different
    threads. A strip is divided into tiles, groups of center words. For each tile, this function
    reads the vectors, computes the scores and the loss, and then the gradients. For CBOW, the
    gradients of the words in the windows are computed after the last tile of the strip.

    A gradient is applied to the model at once if it is the only one of its word, or tree node, in
    the training step; otherwise it is written to ``buffer`` (`rows.choose_targets`), and
    `updates.move` applies it at the end of the step. With subwords, all gradients of input vectors
    are written to ``buffer``. The summed weight of the strip's pairs, and their loss, are stored in
    ``shard.tallies``. CBOW with the hierarchical softmax does not use this function
    (``cbow_hierarchical.py``).

    Parameters
    ----------
    problem, sizes
        The model with its settings, and the sizes of training steps and of their parts.
    step, strip
        The number of the step in the shard, which is a part of the text, and of the strip in the
        step.
    plans
        The words of the step, and where its gradients are kept.
    buffer
        The memory for the gradients of the step. All threads share it.
    shard
        The arrays of the shard that all threads share, such as the losses (`Shard`).
    rate
        The learning rate.
    scratch
        The working memory of the calling thread.
    """
    n, width, tile = step % len(plans.ids), sizes.vectors * LANES, scratch.tile
    windows, band, size = scratch.windows, scratch.band, 4 * width
    tiles = step_tiles(sizes, shard, step)
    first, last = strip * sizes.strip, min((strip + 1) * sizes.strip, tiles)
    start = first * sizes.tile
    # The words of the strip's input rows, and where their vectors are: rows `ids` of `matrix`.
    words = plans.ids[n, start if sizes.windows else start + sizes.window :]
    matrix, ids = problem.center, words
    if sizes.parts:
        matrix = buffer.words
        ids = plans.numbers[n, start if sizes.windows else start + sizes.window :]
    # The words that the input rows predict, and the words around them.
    skipped = start + sizes.window - sizes.reach
    around, documents = plans.ids[n, skipped:], plans.documents[n, skipped:]
    input_row = strip * sizes.input_slots
    input_curvature = buffer.center_curvature[input_row:]
    lows, highs = plans.lows[n, start:], plans.highs[n, start:]
    window_weights = plans.weights[n, start:]
    if sizes.windows:
        count = (last - first) * sizes.tile + 2 * sizes.window
        locate_words(matrix, ids[:count], address(tile.zeros), windows.rows)
    row = strip * sizes.slots
    dR = address(buffer.outside) + row * size
    if not sizes.nodes:
        buffer.outside_curvature[row : row + sizes.slots - sizes.strip * sizes.noise] = 0
    pairs = loss = np.float64(0)
    # Prefetching loads more rows at the same time than copying them one after the other.
    if sizes.windows:
        prefetch_first_window(sizes, matrix, ids)
    else:
        prefetch_rows(matrix, ids[: sizes.tile], width)
        if sizes.nodes:
            begin, end = plans.node_starts[n, first], plans.node_starts[n, first + 1]
            prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
        else:
            noise = plans.noise[n, first * sizes.noise : (first + 1) * sizes.noise]
            prefetch_rows(problem.outside, around[: sizes.contexts], width)
            prefetch_rows(problem.outside, noise, width)
    for number in range(last - first):
        place, ends = number * sizes.tile, first + number + 1 == last
        if not ends and not sizes.windows:
            # The rows of the next tile are loaded into the cache while this tile is computed.
            k = place + sizes.tile
            prefetch_rows(matrix, ids[k : k + sizes.tile], width)
            k = first + number + 1
            if sizes.nodes:
                begin, end = plans.node_starts[n, k], plans.node_starts[n, k + 1]
                prefetch_rows(problem.outside, plans.nodes[n, begin:end], width)
            else:
                noise = plans.noise[n, k * sizes.noise : (k + 1) * sizes.noise]
                k = place + sizes.contexts
                prefetch_rows(problem.outside, around[k : k + sizes.tile], width)
                prefetch_rows(problem.outside, noise, width)
        if sizes.windows:
            out, zeros, until = address(tile.C), address(tile.zeros), place + sizes.tile
            rows = windows.outside
            k = first + number
            noise = plans.noise[n, k * sizes.noise : (k + 1) * sizes.noise]
            locate_words(problem.outside, around[place:until], zeros, rows)
            locate_words(problem.outside, noise, zeros, rows[sizes.tile :])
            read_windows(
                sizes, lows, highs, window_weights, start, place, until, out, tile, windows
            )
        else:
            gather_rows(matrix, ids[place : place + sizes.tile], tile.C, tile.center_norms)
        of_centers = windows.curvature[place:] if sizes.windows else input_curvature[place:]
        if sizes.nodes:
            tile_pairs, tile_loss = score_node_tile(
                problem,
                sizes,
                n,
                first + number,
                documents[place:],
                plans,
                buffer,
                of_centers,
                scratch,
                ids[:0],
            )
        else:
            noise = plans.noise[n, (first + number) * sizes.noise :]
            weights, tile_pairs = choose_weights(
                problem.pairs, sizes, documents[place:], lows[place:], highs[place:], tile, band
            )
            read_band(sizes, problem.outside, around, noise, place, tile, band)
            if sizes.windows:
                score_centers(sizes, windows.outside, address(tile.norms) + 4 * place, tile)
            tile_loss = compute_scores(sizes, tile, band, weights, address(tile.R) + place * size)
            sum_curvature(sizes, tile, band, address(tile.norms) + 4 * place, of_centers)
            choose_band_targets(
                sizes,
                problem.outside,
                around,
                noise,
                plans.outside.places[n],
                buffer.outside_curvature,
                rate,
                place,
                number,
                ends,
                address(buffer.outside),
                row,
                tile,
                band,
            )
        pairs += tile_pairs
        loss += tile_loss
        if not sizes.windows:
            choose_targets(
                problem.center,
                words[place : place + sizes.tile],
                plans.center.places[n],
                buffer.center_curvature,
                rate,
                address(tile.C),
                address(buffer.center),
                input_row + place,
                tile,
                0,
            )
        if sizes.nodes:
            k = first + number
            write_node_tile(problem, sizes, n, k, plans, buffer, rate, scratch, ids[:0])
        else:
            if sizes.windows:
                out = address(windows.gradients) + place * size
                write_centers(sizes, windows.outside, out, tile, band)
            rows = address(tile.R) + place * size
            compute_gradients(sizes, tile, band, rows, dR + place * size, number > 0)
    if sizes.windows:
        share_strip(
            problem,
            sizes,
            n,
            strip,
            (last - first) * sizes.tile,
            plans,
            buffer,
            rate,
            address(windows.gradients),
            windows.curvature,
            scratch,
        )
    row = step * (sizes.step // sizes.tile) + first
    shard.tallies[row, 0], shard.tallies[row, 1] = pairs, loss

"""The data structures of the compiled kernels of ``engine=numba``: model, text, plans, buffers.

A training step is one update of the model, by up to some thousands of center words. Its text is
divided into strips, and a strip into tiles: consecutive center words whose scores are computed
together. (With CBOW and the hierarchical softmax, a tile has center words from the whole step, with
similar tree paths.) A score is the dot product of an input row and an output row:

- The input row of a center word is the vector that predicts. For skip-gram, it is the vector of the
  center word; for CBOW, the sum or mean of the vectors of the other words in its window.
- Output rows are the output vectors of predicted words and of noise words or, for the hierarchical
  softmax, the vectors of tree nodes.

`Plans` has what is prepared for a step, `Buffer` the gradients of a step, and `Scratch` the working
memory of one thread.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines.compiled.jobs import make_jobs
from w2v.engines.compiled.simd import LANES
from w2v.engines.step import window_block
from w2v.engines.tiles import CENTERS, SHARED

F32 = NDArray[np.float32]
F64 = NDArray[np.float64]
I32 = NDArray[np.int32]
I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

MR = 4
"""The number of center words whose scores, and gradients of input rows, are computed together. For
negative sampling, gradients of output vectors are also computed for this many vectors together. The
code is written out for this number, and does not work with another."""

LINE = 16
"""The number of float32 values in a cache line."""

BLOCK = 4096
"""The number of tokens in a block. Sub-sampling is done by jobs, one for each block of the text."""

STRIP = 64
"""The least number of center words in a strip, which is a part of the text of a training step; the
last strip of a step may have fewer. (For CBOW, a strip instead has the number of center words for
which one window size is drawn, `window_block`.) With shorter strips, threads would write more to
memory: a strip also has buffer rows for the m words before and the m words after it, where m is the
window size."""

SORTED_TILES = 4
"""The number of tiles of a job, for CBOW with the hierarchical softmax. A tile is a group of center
words with similar tree paths, which are scored together. A job is the work that one thread takes at
a time. The tiles of a job add their gradients of the same tree node to one row of the gradient
buffer. The rows of different jobs must be added up later, so longer jobs would save work. But there
would then be fewer jobs than some machines have cores."""

NODE_TILE = 128
"""The maximum number of center words in a tile, for skip-gram with the hierarchical softmax. A tile
is a run of consecutive center words whose scores are computed together. Its length is a multiple of
`CENTERS` = 32: the largest one that is at most `NODE_TILE` and divides the number of center words
of a training step. If the window size exceeds `NODE_TILE`, a tile has 32 words. In longer tiles,
center words share more tree nodes, but the nodes on the paths of all words in the windows of a tile
should fit into the cache."""

RADIX_BITS = 11
"""The number of bits by which each pass of a radix sort sorts. For CBOW with the hierarchical
softmax, it sorts the center words of a step by the positions of their leaves in the Huffman tree.
"""


class Parts(NamedTuple):
    """With subwords: for each word, the rows of the input matrix whose weighted sum is its vector.

    The rows of a word are its own row and those of its n-grams. In the comments on the attributes,
    V is the number of words, and E the sum of their numbers of rows. Without subwords, `starts` is
    [0], and the other arrays are empty.
    """

    # int32 (V + 1,): the rows of word w are the elements ``starts[w]`` to ``starts[w + 1] - 1`` of
    # `rows`, `weights` and `shares`.
    starts: I32

    # int32 (E,): for one word after the other, the numbers of its rows in the input matrix.
    rows: I32

    # float32 (E,): the weight of each row in the sum that is the vector of the word: 1 / n for a
    # word with n rows, or 1 if `Problem.by_rows` is true.
    weights: F32

    # float32 (E,): the factor by which the gradient of the word is multiplied to get that of the
    # row. For a word with n rows: 1 / n with ``subword_gradient="exact"``, 1 with ``"fasttext"``; n
    # times this if `Problem.by_rows` and `Problem.exact` are true.
    shares: F32

    # float32 (V,): for each word, the sum of the weights of its rows in their mean, which is 1 up
    # to rounding. It is a factor of the curvature bound that limits the step size of these rows.
    totals: F32


class Paths(NamedTuple):
    """The path of each word in the Huffman tree, for the hierarchical softmax.

    A path leads from the root to the leaf of the word, with one binary decision at each inner node.
    Without the hierarchical softmax, `starts` is [0], and the other arrays are empty.

    Attributes
    ----------
    starts : int32 (V + 1,)
        The path of word w is ``branches[starts[w] : starts[w + 1]]``. V is the size of the
        vocabulary.
    branches : int32
        For each inner node on a path: 2 * node + code, where code, 0 or 1, is the branch that the
        path takes.
    leaves : int32 (V,)
        For CBOW: the position of each word's leaf among all leaves (`HuffmanTree.leaf_positions`).
        For skip-gram: empty.
    """

    starts: I32
    # `LANES` more elements at the end, because whole SIMD vectors are read.
    branches: I32
    leaves: I32


class Pairs(NamedTuple):
    """The weights of (center word, predicted word) pairs in the loss, by their distance.

    Attributes
    ----------
    weights : float32 (2 * reach + 1,)
        The weight of a pair by the position of the predicted word relative to the center word, from
        -reach to reach (`Sizes.reach`).
    sums : float32 (2 * reach + 2,)
        The cumulative sums of `weights`, beginning with 0. The summed weight of a center word's
        pairs is the difference of two elements.
    negatives
        The number of noise words per pair in negative sampling; 0 for other losses.
    """

    weights: F32
    sums: F32
    negatives: np.float32


class Problem(NamedTuple):
    """The vectors of the model and the settings of their training, which all threads share.

    In the comments on the attributes, V is the size of the vocabulary.
    """

    # float32: the input matrix, updated in place. Its rows are the input vectors of the words; with
    # subwords, weighted sums of rows are the input vectors. Each row starts on a cache line and is
    # padded with zeros.
    center: F32

    # float32: the output vectors of words or, for the hierarchical softmax, the vectors of tree
    # nodes, one in each row; updated in place. Each row starts on a cache line and is padded with
    # zeros.
    outside: F32

    # uint32 (V,): the sub-sampling threshold of each word, from `w2v.sampling.keep_thresholds`.
    keep: U32

    # uint32 (V,): the last integer of each word's interval in the noise distribution
    # (`w2v.sampling.NoiseDistribution`). A random 32-bit integer yields the noise word in whose
    # interval it is.
    last: U32

    # int32 (V,): the words at which the search for a noise word may begin. A random 32-bit integer
    # x yields the word ``start[x * V >> 32]`` or a later one (`w2v.sampling.NoiseDistribution`).
    start: I32

    # For CBOW: whether window sizes are random.
    draws_windows: bool

    # For CBOW: whether the vectors of the words in a window are averaged, not summed.
    mean: bool

    # For CBOW with `mean` and subwords, where a word has several rows: true if the mean over a
    # window is over all rows of its words; false if it is over the words' vectors.
    by_rows: bool

    # For CBOW with `mean`, let g be the gradient of the loss with respect to the mean. True: each
    # word in the window gets g / n, where n is the number of words or, with `by_rows`, of rows that
    # are averaged. False: each word gets g, as in word2vec's code.
    exact: bool

    # The weights of pairs of words in the loss.
    pairs: Pairs

    # The path of each word in the Huffman tree, for the hierarchical softmax.
    paths: Paths

    # With subwords: for each word, the rows of the input matrix whose weighted sum is its vector.
    parts: Parts


class Source(NamedTuple):
    """The text of a shard (a part of the training text) before sub-sampling, for compiled code.

    A position in the shard is the index of a token if the documents of the shard are joined in
    order.

    Attributes
    ----------
    tokens : int32 (n,)
        The type of each token of the whole training text, as a number. (Equal tokens have the same
        type.) Read-only.
    ids : int32 (types,)
        The vocabulary id of each type; -1 if it is not in the vocabulary. Read-only.
    starts : int64 (documents,)
        For each document of the shard, what is added to a position in it to get the index in
        `tokens`.
    ends : int64 (documents,)
        For each document of the shard, the position just after its last token.
    """

    tokens: I32
    ids: I32
    starts: I64
    ends: I64


class Sizes(NamedTuple):
    """The sizes of training steps and of their parts, strips and tiles.

    A step is one update of the model, by up to some thousands of center words. Its text is divided
    into strips, and a strip into tiles, whose center words are scored together. `make_sizes`
    computes the sizes.
    """

    # The largest distance between a center word and a word that is predicted from its input vector:
    # the window size for skip-gram, 0 for CBOW, which predicts the center word itself.
    reach: int

    # For negative sampling: how many elements of the array of scores each center word has for the
    # words that it may predict. 1 for CBOW; for skip-gram, 2 * `reach` + 1 for the window, and `MR`
    # - 1 of padding.
    band: int

    # For negative sampling: the number of elements that each center word has in the array of
    # scores, `band` for words to predict and `noise` for noise words.
    row: int

    # The number of noise words that the center words of a tile share, a multiple of `MR`; 0 for the
    # hierarchical softmax.
    noise: int

    # The number of words that a tile (center words that are scored together) may predict: `tile` +
    # 2 * `reach`, rounded up to a multiple of `MR`.
    contexts: int

    # The number of SIMD vectors, of `LANES` float32 values each, that one word vector takes with
    # its padding.
    vectors: int

    # The number of center words in a tile, which are scored together.
    tile: int

    # The window size.
    window: int

    # The number of center words in a training step (one update of the model).
    step: int

    # The number of tiles (groups of center words that are scored together) in a strip, a part of a
    # training step.
    strip: int

    # The number of strips, the parts into which the text of a training step is divided.
    strips: int

    # The number of rows that ``Buffer.outside`` has for each strip (a part of the training step):
    # one for each place whose word the strip may predict (rounded up to a multiple of `MR`), and
    # for each of its noise words. For the hierarchical softmax: `columns` for each tile of the
    # strip.
    slots: int

    # The number of rows that ``Buffer.center`` has for each strip, one for each place in the text
    # whose input vector the strip reads. For CBOW, it is rounded up to a multiple of `MR`.
    input_slots: int

    # For the hierarchical softmax: the largest possible number of tree nodes that a tile (center
    # words that are scored together) needs, rounded up to a multiple of `MR`; else 0.
    columns: int

    # For the hierarchical softmax: the length of the longest path in the Huffman tree; else 0.
    depth: int

    # With subwords: the largest possible number of distinct words whose input vectors are read in a
    # training step (one update of the model); else 0.
    words: int

    # With subwords, where a word's vector is a weighted sum of rows: the largest possible number of
    # summands in the vectors of all distinct input words of a training step; else 0.
    entries: int

    # True for CBOW, where the sum or mean of the vectors in a window predicts; False for skip-gram,
    # where the vector of a single word predicts.
    windows: bool

    # Whether the loss is the hierarchical softmax, where tree nodes take the place of output words.
    nodes: bool

    # True for CBOW with the hierarchical softmax, where the center words of a step are sorted by
    # their tree paths before they are divided into tiles.
    sorted: bool

    # Whether word vectors are weighted sums of rows (subwords).
    parts: bool

    # Whether one thread computes a whole half of a training step (true with one or two threads).
    # The thread then adds all gradients of a word in its half to one buffer row, so that less
    # memory is written.
    # `halves` does not change the result, because gradients are always added up in the same order.
    # Gradients of tree nodes are not affected.
    halves: bool


class Lists(NamedTuple):
    """Linked lists of the gradients that are added up to update a vector in a training step.

    A vector may get several gradients in a step (one update of the model), such as one from each
    place where its word occurs. Each gradient is written to a row of the gradient buffer, or added
    to the row of an earlier gradient of the same vector (`places`). The rows with gradients of a
    vector form a list, and their sum updates the vector at the end of the step. A single gradient
    updates its vector directly, without a list, except for input vectors with subwords.

    In the comments on the attributes, ``rows`` is the number of rows of the buffer, and ``steps``
    the number of steps whose lists are in memory at the same time. The lists of step number s have
    the first index s modulo ``steps`` in each array, where they replace those of an older step.
    """

    # int32 (steps, rows): the word, or tree node, of each list. Elements that are not in use
    # (``Shard.several``) have no meaning.
    words: I32

    # int32 (steps, rows): the first row of each list, a row of the gradient buffer. Elements that
    # are not in use (``Shard.several``) have no meaning.
    heads: I32

    # int32 (steps, rows): for each row in a list, the next row, or -1 for the last row. The next
    # row r is stored as ``~r`` where the list passes to the second half of the step, which is
    # summed separately.
    # ``~r`` is at most -3, because rows 0 and 1 are always in the first half. While lists are made,
    # `rows.ALONE` = -2 marks the only row of a vector so far.
    next: I32

    # int32 (steps, rows): for each row, the row to which its gradient is written or added: itself,
    # or an earlier row of the same vector. `rows.ALONE` if the gradient updates the vector
    # directly; -1 for a row without a word or node.
    places: I32


class Plans(NamedTuple):
    """What is prepared for n training steps before their gradients are computed.

    The plan of a step has its words and windows, its noise words or tree nodes, and lists of the
    rows of the gradient buffer that will be added up for each vector. It does not depend on the
    model's vectors. In the comments on the attributes, m is the window size, and ``tiles`` the
    number of tiles (center words scored together) in a step; other sizes are attributes of `Sizes`.
    The first index of each array is s modulo n for step s of a shard (a part of the text).
    """

    # int32 (n, step + tile + 2 * m): the words of each of n training steps, from m positions before
    # the first center word on, where m is the window size; -1 where there is no word.
    # The last window of a full step ends at element step + 2 * m - 1. Elements after it may be
    # read, because output vectors are processed `MR` at a time.
    ids: I32

    # int32, of the shape of `ids`: the document number of each word; -1 where there is no word.
    documents: I32

    # int32 (n, tiles * noise): for negative sampling, the noise words of each of n training steps,
    # tile by tile. The center words of a tile share noise words.
    noise: I32

    # Which rows of ``Buffer.center`` are added up to update each input vector. A word with a single
    # gradient in the step has no list, except with subwords.
    center: Lists

    # Which rows of ``Buffer.outside`` are added up to update each output vector of a word or tree
    # node. A vector with a single gradient in the step has no list.
    outside: Lists

    # int32 (n, step): for CBOW, the start of each center word's window, as an index in `ids`.
    lows: I32

    # int32 (n, step): for CBOW, the end (excluded) of each center word's window, as an index in
    # `ids`.
    highs: I32

    # float32 (n, step): for CBOW, for each center word, the weight of each other word of its window
    # in the sum or mean of their vectors.
    weights: F32

    # int32 (n, strips * slots + LANES): for the hierarchical softmax, the tree node of each row of
    # ``Buffer.outside``. The nodes of each tile (center words that are scored together) are padded
    # with -1 to a multiple of `MR`.
    # Here and in `keys`, the last `LANES` elements take what whole SIMD vectors write beyond the
    # others.
    nodes: I32

    # int32 (n, tiles + 1): for the hierarchical softmax, the index in `nodes` at which each tile
    # (center words that are scored together) begins.
    node_starts: I32

    # int32 (n, tiles * contexts * depth + LANES): for the hierarchical softmax, encoded tree paths:
    # for skip-gram, of each word that a tile may predict; for CBOW, of each group of `MR` center
    # words together (`tree_nodes.list_levels` has the formula).
    # For skip-gram, a node on a path is 2 * its index among the nodes of the tile + the code, 0 or
    # 1, of the branch that the path takes.
    keys: I32

    # int32 (n, tiles * contexts + 1): for the hierarchical softmax, the index in `keys` at which
    # each path begins or, for CBOW, each group of `MR` center words.
    key_starts: I32

    # int32 (n, step): for CBOW with the hierarchical softmax, the predicted center words in the
    # order of their leaves in the tree, then -1. The number i stands for element m + i of `ids`,
    # where m is the window size.
    order: I32

    # int32, of the shape of `ids`: with subwords, the number of each word among the distinct input
    # words of the step, which are in ``center.words``; -1 for other words, and where there is no
    # word.
    numbers: I32

    # int32 (n, entries): with subwords, the distinct rows of the input matrix that are summands of
    # a step's input vectors. Elements that are not in use (``Shard.several``) have no meaning.
    part_rows: I32

    # int32 (n, entries + 1): with subwords, element j of a step is the end (excluded) of the
    # elements of `part_words` and `part_shares` that belong to row number j of `part_rows`. They
    # begin at element j - 1, or at 0 for the first row.
    part_ends: I32

    # int32 (n, entries): with subwords, for each row of `part_rows`, the words that have the row as
    # a summand of their vector, as indices in ``center.words``. `part_ends` separates the rows.
    part_words: I32

    # float32 (n, entries): with subwords, for each element of `part_words`, the factor by which the
    # gradient of the word is multiplied before it is added to the gradient of the row.
    part_shares: F32


class Buffer(NamedTuple):
    """The gradients of a training step, which are added up for each vector at the end of the step.

    A vector may get several gradients in a step (one update of the model): a word's vector gets one
    from each place where the word occurs, a tree node's vector one from each tile (center words
    that are scored together) that has the node. Each gradient has its own row, so that the order of
    the sum does not depend on the threads. The row is left out of the sum if the gradient updates
    the model directly, or is added to the row of an earlier gradient (``Lists.places``).

    In the comments on the attributes, ``width`` is the dimension of the vectors, rounded up to a
    multiple of `LANES`. The other sizes are attributes of `Sizes`.
    """

    # float32 (strips * input_slots, width): negative gradients of the loss with respect to input
    # vectors. Each strip (a part of the step) has a row for each place in the text whose input
    # vector it reads.
    center: F32

    # float32 (strips * slots, width): negative gradients with respect to output vectors. Each strip
    # (a part of the step) has a row for each place whose word it may predict, and for each noise
    # word. For the hierarchical softmax, row r is for element r of the step's ``Plans.nodes``.
    outside: F32

    # float32: for each row of `center`, what it contributes to the bound on the second derivative
    # of the loss, which limits the step size (``w2v/README.md``, "Kept stable").
    center_curvature: F32

    # float32: for each row of `outside`, what it contributes to the bound on the second derivative
    # of the loss, which limits the step size (``w2v/README.md``, "Kept stable").
    outside_curvature: F32

    # float32 (words, width): with subwords, the vectors of the step's distinct input words, later
    # overwritten by their summed negative gradients.
    words: F32

    # float32 (words,): with subwords, for each row of `words`, an upper bound on the second
    # derivative of the loss with respect to the vector, times the word's element of
    # ``Parts.totals``, which is 1 up to rounding.
    word_curvature: F32

    # float32 (step, width): for CBOW with the hierarchical softmax, the input row of each center
    # word, the sum or mean of the vectors of the other words in its window. Later overwritten by
    # the row's negative gradient.
    inputs: F32

    # float32 (step,): for CBOW with the hierarchical softmax, an upper bound on the second
    # derivative of the loss with respect to each row of `inputs`.
    input_curvature: F32


class Shard(NamedTuple):
    """What threads share while they train on a shard, a part of the text: words, counters, losses.

    First, the threads sub-sample the text of the shard, block by block, and store the words that
    are kept. Then they compute the training steps of the shard, one after the other.
    """

    # int64 (phases, 16): counters by which threads share the jobs of each phase of the work
    # (``jobs.py``). Column 0 counts the jobs taken, column 8 those finished. The other columns are
    # padding: each counter has its own cache line.
    jobs: I64

    # int32 (n,): the words kept by sub-sampling. Those of block b, which is `BLOCK` tokens of the
    # text, begin at index b * `BLOCK`; the elements after them are unused.
    ids: I32

    # int32 (n,): the document number of each word in `ids`.
    documents: I32

    # int64 (blocks,): the number of words of the vocabulary in each block of `BLOCK` tokens before
    # sub-sampling.
    words: I64

    # int64 (blocks,): the number of words in each block of `BLOCK` tokens after sub-sampling.
    kept: I64

    # int64 (blocks + 1,): the cumulative sums of `kept`, beginning with 0.
    starts: I64

    # int64 (steps, 3): for each training step, how many elements of ``center.words``,
    # ``outside.words`` and ``part_rows`` of its plan (`Plans`) are in use.
    several: I64

    # float64 (steps * tiles, 2): the summed weight of pairs, and their summed loss, of each strip
    # (a sequence of tiles) in a training step. They are in the row of its first tile; the other
    # rows are zero.
    # For CBOW with the hierarchical softmax, `SORTED_TILES` tiles take the place of a strip.
    tallies: F64


class Planning(NamedTuple):
    """The memory in which a thread prepares training steps before their gradients are computed.

    To prepare a step means to draw its random numbers, and to list which gradients belong to each
    vector (``plans.py``). In the comments on the attributes, V is the size of the vocabulary;
    ``step``, ``entries`` and ``depth`` are attributes of `Sizes`.
    """

    # uint32 (BLOCK,): random numbers for the sub-sampling of a block of `BLOCK` tokens.
    bits: U32

    # uint32 (BLOCK,): further random numbers, drawn together with `bits` but not used.
    more_bits: U32

    # int32 (V,): while lists of gradients (`Lists`) are made, the last row in the list of each word
    # or tree node so far; -1 if it has no list. With subwords, `list_parts` also stores numbers of
    # words here.
    heads: I32

    # int32 (V - 1,): for skip-gram with the hierarchical softmax, the index in ``Plans.nodes`` at
    # which each inner node of the tree was last listed in this step, or -1.
    seen: I32

    # int32: with subwords, for each row of the input matrix, its index in ``Plans.part_rows``, the
    # list of distinct rows that the step uses; -1 if it is not listed so far.
    parts: I32

    # int32 (entries,): with subwords, for each summand in the vector of each distinct input word of
    # the step, the index of its row in ``Plans.part_rows``.
    part_places: I32

    # int64 (2, step): for CBOW with the hierarchical softmax, the center words before and after a
    # pass of the radix sort by leaf. A word is 2^32 * the position of its leaf + its position in
    # the step.
    leaves: I64

    # int32 (2 ** RADIX_BITS,): for each value of the bits by which a pass of the radix sort (see
    # `leaves`) sorts: the number of center words with this value, then the place of the next of
    # them in the sorted array.
    digits: I32

    # int32 (depth + LANES,): for CBOW with the hierarchical softmax, the numbers 0, 1, 2 and so on:
    # the level of each node on a tree path.
    # `levels` and `columns` have `LANES` more elements than a path, because whole SIMD vectors are
    # used.
    levels: I32

    # int32 (depth + LANES,): for CBOW with the hierarchical softmax, for each node on the path of
    # one center word, from the root on, its index among the nodes of the tile (center words that
    # are scored together).
    columns: I32

    # int64 (MR, 3): for CBOW with the hierarchical softmax, the path of each center word of a
    # group: its start in ``Paths.branches``, the number of nodes shared with the path before it (0
    # for the first of a tile), and its length.
    lanes: I64


class Tile(NamedTuple):
    """The working memory of a thread for one tile: center words that are scored together.

    It has copies of input and output vectors, scores (their dot products), and the addresses to
    which gradients are written. In the comments, ``tile`` is the number of center words, ``width``
    the dimension of the vectors, rounded up to a multiple of `LANES`, and ``rows`` the number of
    rows of `R`, in which successive tiles may share copies of output vectors.
    """

    # int32 (tile,): the start of the range of words that each center word predicts, as an offset
    # from the word `Sizes.reach` positions before the center word. Not used for CBOW with the
    # hierarchical softmax.
    lows: I32

    # int32 (tile,): the end (excluded) of the range of words that each center word predicts, as an
    # offset from the word `Sizes.reach` positions before the center word. Not used for CBOW with
    # the hierarchical softmax.
    highs: I32

    # float32 (tile, width): the input vectors of the center words; for CBOW, each is the sum or
    # mean of the vectors of the other words in the window.
    C: F32

    # float32 (tile,): the squared lengths of the rows of `C`.
    center_norms: F32

    # float32 (rows, width): copies of output vectors: for skip-gram with negative sampling, of the
    # words in and around all tiles of the strip so far; for the hierarchical softmax, of the tile's
    # tree nodes. Not used for CBOW with negative sampling.
    R: F32

    # float32 (rows + LANES,): the squared lengths of the rows of `R`; for CBOW with negative
    # sampling, those of the output vectors of center words.
    # `LANES` more elements than rows, because whole SIMD vectors are read.
    norms: F32

    # float32: the scores (dot products of input and output vectors), later overwritten by the
    # negative derivatives of the loss with respect to them. ``negative_sampling.py`` describes the
    # layout; for the hierarchical softmax, see `Nodes`.
    # For negative sampling, elements for words beyond the window may never be written, and then
    # stay 0. For the hierarchical softmax, the scores are an array of shape (n, MR), with a row for
    # each element of `Nodes.entries`.
    scores: F32

    # float32: a bound on the second derivative of the loss with respect to each score, in the
    # layout of `scores`.
    curvature: F32

    # int64: for each gradient, the address to which a sum is written: the row at the address in
    # `old` plus the number in `steps` times the negative gradient (`rows.Targets`).
    # `MR` more elements than gradients, which are only read for prefetching.
    out: I64

    # int64: for each gradient, the address of a row, to which the number in `steps` times the
    # negative gradient is added. The sum is written to the address in `out`.
    old: I64

    # float32: for each gradient, the factor of the negative gradient: the step size if it updates a
    # vector of the model, 1 if it goes to the gradient buffer.
    steps: F32

    # float32 (width,): a row of zeros.
    zeros: F32


class Band(NamedTuple):
    """The working memory of a thread for negative sampling on one tile, in addition to `Tile`.

    A tile is a group of consecutive center words that share noise words. The input vector of each
    center word is scored with the output vectors of its context words (the words that it may
    predict) and of the noise words. `Tile` has the scores, `Band` their weights in the loss. In the
    comments, ``tile``, ``row``, ``contexts`` and ``noise`` are attributes of `Sizes`.
    """

    # float32 (2, tile * row): the weight of each score in the loss, negative for noise words. Row 1
    # is for tiles that miss no pair; they all have the same weights. Row 0 is computed for each
    # tile that misses some, as at the end of a document.
    weights: F32

    # float64 (1,): the summed weight of the pairs of a tile that uses row 1 of `weights`, the same
    # for all such tiles; 0 until it is computed.
    inside_pairs: F64

    # float32 (noise, width): the output vectors of the noise words, padded with zeros to a multiple
    # of `LANES` values.
    N: F32

    # float32: the squared lengths of the output vectors of the noise words, padded with 0 to a
    # multiple of `LANES`.
    noise_norms: F32

    # float32: factors of 1 or 0 by which the curvature bounds of the scores of a center word are
    # multiplied before they are added up. Whole SIMD vectors of bounds are read; the zeros cancel
    # the bounds of other scores.
    # For noise words: `Sizes.noise` ones, padded with zeros to a multiple of `LANES`. Then, for
    # context words: 2 * `Sizes.reach` + 1 ones, padded in the same way.
    mask: F32

    # float32 (MR, contexts + noise + LANES): bounds on the second derivative of the loss with
    # respect to output vectors: a column for each context word, then for each noise word. The `MR`
    # elements of a column add up to the bound.
    # Row p has what center words p, p + MR, p + 2 MR and so on of the tile contribute. The last
    # `LANES` columns take what whole SIMD vectors write beyond the others.
    sums: F32


class Windows(NamedTuple):
    """The working memory of a thread for the windows of CBOW in a strip, a part of the text.

    The input row of a center word is the sum or mean of the vectors of the other words in its
    window. After the scores are computed, the gradient of each input row is passed on to these
    words. In the comments on the attributes, n is the number of center words, m the window size.
    """

    # int64: an address for each word from m positions before the strip to m after it. Before the
    # scores are computed, that of its input vector. Afterwards, that of the negative gradient of
    # its input row or, for words outside the strip, of a row of zeros.
    rows: I64

    # float32, of the shape of `rows`: before the scores are computed, 1. Afterwards, the factor of
    # the gradient of a center word's input row in the gradient of each word in its window; 0 for
    # words outside the strip.
    factors: F32

    # int32, of the shape of `rows`: for each word, the number of the first window of the strip that
    # contains it. Window i is that of center word i. The word's own window is counted, too, and
    # must be left out of sums.
    firsts: I32

    # int32, of the shape of `rows`: for each word, the number of the last window of the strip that
    # contains it, plus 1.
    lasts: I32

    # int64 (tile + noise,): for negative sampling, the addresses of the output vectors of the
    # center words of a tile, then of its noise words. (The center words of a tile share noise
    # words.)
    outside: I64

    # int64: `rows` and `outside` one after the other; both are views of this array.
    addresses: I64

    # float32 (n, width): for negative sampling, the negative gradient of the loss with respect to
    # each input row of the strip.
    gradients: F32

    # float32 (n,): an upper bound on the second derivative of the loss with respect to each input
    # row of the strip. For the hierarchical softmax, only those of one tile, at the beginning.
    curvature: F32

    # float64 (n + 1,): cumulative sums, beginning with 0, of a term for each window of the strip:
    # its part of an upper bound on the second derivative of the loss with respect to the vector of
    # a word in the window.
    # A term is the bound for the window's input row times the window's element of `factors`. If
    # input rows are sums, not means, it is also multiplied by the number of summed words.
    bounds: F64


class Nodes(NamedTuple):
    """The working memory of a thread for a tile of the hierarchical softmax.

    A tile (center words that are scored together) is divided into groups of `MR` = 4 center words.
    The input vector of each center word is scored with all nodes on the tree paths of the words
    that the group predicts: a center word predicts the words around it in skip-gram, itself in
    CBOW. So the scores form a sparse matrix of groups and nodes (``hierarchical.py``). It has n
    elements, each with `MR` scores. In the comments on the attributes, ``columns`` is the largest
    possible number of nodes of a tile.
    """

    # int32 (groups + 1,): the elements ``starts[g]`` to ``starts[g + 1] - 1`` of `entries` belong
    # to group g of `MR` center words.
    # Example: a tile of CBOW has one group and two nodes. Node 0 is on the paths of all four center
    # words; only that of center word 2 takes branch 1 there. Node 1 is only on the path of center
    # word 2, which takes branch 0. Then ``starts`` is (0, 2), ``entries`` (0, 1), ``factors`` (1,
    # 1, 1, 1, 0, 0, 1, 0) and ``negatives`` (0, 0, 1, 0, 0, 0, 0, 0).
    starts: I32

    # int32 (n,): the tree nodes with which each group of `MR` center words is scored, group by
    # group, as indices among the nodes of the tile.
    entries: I32

    # float32 (MR * n,): for each element of `entries` and each center word of its group, the summed
    # weight of the words that it predicts and whose paths have the node. For CBOW, later
    # overwritten by the negative derivative of the loss with respect to the score, times the node's
    # element of `steps`.
    factors: F32

    # float32 (MR * n,): for each element of `entries` and each center word of its group, the summed
    # weight of the words that it predicts and whose paths take branch 1 at the node.
    negatives: F32

    # int32 (columns,): for skip-gram, for each node of the tile, 1 + the number of the last group
    # for which it has been listed; 0 if there is none yet.
    marks: I32

    # float32 (2 * reach + MR, MR): for skip-gram, the weight of the pair of each word (row) and
    # each center word of a group (column). The words are those from `Sizes.reach` positions before
    # the group to `Sizes.reach` after it.
    lanes: F32

    # float32 (2 * columns, MR): for skip-gram, row 2 * c + b has, for each center word of a group,
    # the summed weight of the predicted words whose paths take branch b, 0 or 1, at node c of the
    # tile.
    sums: F32

    # float32 (columns, MR): for each node of the tile, `MR` summands of an upper bound on the
    # second derivative of the loss with respect to its vector, one for each position in a group of
    # center words.
    curvature: F32

    # int64 (columns,): for each node of the tile, the address to which its gradient is added: a row
    # of the gradient buffer or, for CBOW if no other tile of the step has the node, its vector in
    # the model.
    out: I64

    # float32 (columns,): for CBOW, for each node of the tile, the factor of its gradient: the step
    # size if the gradient is added to the vector in the model, 1 if it is added to the gradient
    # buffer.
    steps: F32

    # float32 (16, MR): for CBOW, a table to decode ``Plans.keys``. Row i has the `MR` = 4 bits of
    # the number i, the lowest bit first, as 0.0 or 1.0.
    bits: F32


class Scratch(NamedTuple):
    """The working memory of one thread, which it uses again for each training step.

    `planning` is for preparing steps: random numbers, and lists of the gradients of each word. The
    other attributes are for computing gradients. See the class of each attribute.
    """

    planning: Planning
    tile: Tile
    band: Band
    windows: Windows
    nodes: Nodes


def round_up(n: int, step: int) -> int:
    """Return the smallest multiple of ``step`` that is at least ``n``."""
    return -(-n // step) * step


def aligned_zeros(rows: int, columns: int, *, touched: bool = True) -> F32:
    """Return an array of zeros, float32 (rows, columns), that starts on a cache line.

    By default, zeros are written to all rows here, so that the operating system allocates their
    memory at once. With ``touched=False``, nothing is written, and memory is allocated when a row
    is first written.
    """
    size = rows * columns + LINE
    if touched:
        raw = np.empty(size, np.float32)
        raw.fill(0)
    else:
        raw = np.zeros(size, np.float32)
    first = (-raw.ctypes.data // raw.itemsize) % LINE
    return raw[first : first + rows * columns].reshape(rows, columns)


def make_sizes(
    dim: int,
    window: int,
    step: int,
    reach: int | None = None,
    noise: int = 0,
    depth: int = 0,
    nodes: int = 0,
) -> Sizes:
    """Compute the sizes of a training step and of its parts, for training without subwords.

    A step is one update of the model. Its text is divided into strips, and a strip into tiles,
    whose center words are scored together.

    Parameters
    ----------
    dim, window
        The dimension of the vectors, and the window size.
    step
        The number of center words in a step. For CBOW, ValueError is raised unless it is a multiple
        or divisor of ``window_block(window)``, the number of center words that share a window size.
    reach
        The distance of the farthest predicted word from the center word: 0 for CBOW, which predicts
        the center word; None for skip-gram, where it is ``window``. No other value is allowed.
    noise
        For negative sampling: the number of noise words that `SHARED` center words share.
    depth, nodes
        For the hierarchical softmax: the length of the longest path in the Huffman tree, and the
        number of its inner nodes. 0 for negative sampling.
    """
    windows, tile = reach is not None, CENTERS if nodes else SHARED
    if nodes and not windows and window <= NODE_TILE:
        # More centers share a node, but a step must have whole tiles.
        tile = next(n for n in range(NODE_TILE, 0, -CENTERS) if step % n == 0)
    distance = window if reach is None else reach
    # With CBOW, only one score in four of a block of center words and their vectors would count.
    band = 1 if windows else 2 * distance + MR
    contexts = round_up(tile + 2 * distance, MR)
    if windows:  # all windows of a strip have the same size
        block = window_block(window)
        strip = block // tile
        if step % block and block % step:
            raise ValueError(f"step={step}: must be a multiple or a divisor of {block}")
    else:  # a strip has at least as many center words as other words around it
        strip = min(-(-max(STRIP, 2 * window) // tile), -(-step // tile))
    columns = round_up(min(nodes, (tile + 2 * distance) * depth), MR)
    slots = strip * columns if nodes else (strip - 1) * tile + contexts + strip * noise
    inputs = round_up(tile + 2 * window, MR) if windows else tile
    return Sizes(
        tile=tile,
        reach=distance,
        band=band,
        row=band + noise,
        noise=noise,
        contexts=contexts,
        vectors=-(-dim // LANES),
        window=window,
        step=step,
        strip=strip,
        strips=-(-step // (strip * tile)),
        slots=slots,
        input_slots=(strip - 1) * tile + inputs,
        columns=columns,
        depth=depth,
        words=0,
        entries=0,
        windows=windows,
        nodes=nodes > 0,
        sorted=nodes > 0 and windows,
        parts=False,
        halves=False,
    )


def with_parts(sizes: Sizes, parts: Parts) -> Sizes:
    """Return a copy of ``sizes`` with the sizes that subwords need.

    With subwords, the vector of each word is a weighted sum of rows of the input matrix. ``parts``
    lists these rows for each word of the vocabulary. In the copy, three attributes have new values:

    - `Sizes.parts` is True.
    - `Sizes.words` is the largest possible number of distinct input words of a training step.
    - `Sizes.entries` is the largest possible number of rows of all these words together. A row that
      several words have is counted for each of them.
    """
    lengths = np.sort(np.diff(parts.starts))[::-1]
    words = min(len(lengths), sizes.strips * sizes.input_slots)
    return sizes._replace(words=words, entries=int(lengths[:words].sum()), parts=True)


def make_plans(sizes: Sizes, steps: int) -> Plans:
    """Allocate memory for the prepared data (`Plans`) of ``steps`` training steps.

    ``sizes`` are the sizes of a step and of its parts. The memory is filled by `plan`, and used
    again for later steps.
    """
    length = sizes.step + sizes.tile + 2 * sizes.window
    tiles = sizes.step // sizes.tile
    inputs, outputs = sizes.strips * sizes.input_slots, sizes.strips * sizes.slots
    widths = dict.fromkeys(("ids", "documents"), length)
    widths |= {"noise": tiles * sizes.noise}
    widths |= {"order": sizes.step * sizes.sorted}
    widths |= dict.fromkeys(("lows", "highs"), sizes.step * sizes.windows)
    # Nodes and keys are written in whole vectors.
    widths |= {"nodes": (outputs + LANES) * sizes.nodes, "node_starts": (tiles + 1) * sizes.nodes}
    contexts = tiles * sizes.contexts * sizes.nodes
    widths |= {"keys": contexts * sizes.depth + LANES, "key_starts": contexts + 1}
    widths |= {"numbers": length * sizes.parts}
    widths |= {"part_rows": sizes.entries, "part_ends": (sizes.entries + 1) * sizes.parts}
    widths |= {"part_words": sizes.entries}
    arrays = {name: np.zeros((steps, width), np.int32) for name, width in widths.items()}
    return Plans(
        **arrays,
        center=Lists(*(np.zeros((steps, inputs), np.int32) for _ in Lists._fields)),
        outside=Lists(*(np.zeros((steps, outputs), np.int32) for _ in Lists._fields)),
        weights=np.zeros((steps, sizes.step * sizes.windows), np.float32),
        part_shares=np.zeros((steps, sizes.entries), np.float32),
    )


def make_buffer(sizes: Sizes) -> Buffer:
    """Allocate the buffer for the gradients of a training step, which all threads share.

    ``sizes`` are the sizes of a step and of its parts. The buffer is used again for each step.
    """
    inputs, outputs = sizes.strips * sizes.input_slots, sizes.strips * sizes.slots
    width = sizes.vectors * LANES
    return Buffer(
        aligned_zeros(inputs, width),
        aligned_zeros(outputs, width, touched=not sizes.nodes),
        np.zeros(inputs, np.float32),
        np.zeros(outputs, np.float32),
        aligned_zeros(sizes.words, width),
        np.zeros(sizes.words, np.float32),
        aligned_zeros(sizes.step * sizes.sorted, width),
        np.zeros(sizes.step * sizes.sorted, np.float32),
    )


def make_shard(sizes: Sizes, tokens: int, plans: int) -> Shard:
    """Allocate what threads share while they train on a shard, a part of the text.

    This is memory for the words of the shard after sub-sampling, for the losses of its training
    steps, and for the counters by which threads share the work (`Shard`).

    Parameters
    ----------
    sizes
        The sizes of training steps and of their parts.
    tokens
        The number of tokens of the shard.
    plans
        The number of training steps in a group. The steps of a group are prepared together.
    """
    blocks, steps = -(-tokens // BLOCK), -(-tokens // sizes.step)
    return Shard(
        make_jobs(3 + -(-steps // plans) + (2 + 2 * sizes.parts + 2 * sizes.sorted) * steps),
        np.empty(tokens, np.int32),
        np.empty(tokens, np.int32),
        np.zeros(blocks, np.int64),
        np.zeros(blocks, np.int64),
        np.zeros(blocks + 1, np.int64),
        np.zeros((steps, 3), np.int64),
        np.zeros((steps * (sizes.step // sizes.tile), 2)),
    )


def make_scratch(sizes: Sizes, problem: Problem) -> Scratch:
    """Allocate the working memory of one thread.

    It is needed for preparing and for computing training steps. ``sizes`` are the sizes of a step
    and of its parts, and ``problem`` has the matrices of the model and the settings.
    """
    words, nodes = len(problem.keep), len(problem.outside) * sizes.nodes
    width, pairs = sizes.vectors * LANES, 2 * sizes.reach + 1
    contexts = (sizes.strip - 1) * sizes.tile + sizes.contexts
    rows = max(sizes.tile + sizes.contexts + sizes.noise, sizes.input_slots)
    centers, windowed = sizes.strip * sizes.tile, sizes.input_slots * sizes.windows
    groups = sizes.tile // MR
    elements = groups * min((2 * sizes.reach + MR) * sizes.depth, sizes.columns)
    # Room for the last scores, which are computed for several nodes and in whole vectors.
    most = max(sizes.tile * sizes.row, MR * elements)
    scores, curvature = aligned_zeros(2, round_up(most, LINE) + LANES)
    outputs = (sizes.tile + sizes.noise) * (sizes.windows and not sizes.nodes)
    addresses = np.zeros(windowed + outputs, np.int64)
    lanes = round_up(sizes.noise, LANES)
    mask = np.zeros(lanes + round_up(pairs, LANES), np.float32)
    mask[: sizes.noise] = mask[lanes : lanes + pairs] = 1
    return Scratch(
        planning=Planning(
            bits=np.zeros(BLOCK, np.uint32),
            more_bits=np.zeros(BLOCK, np.uint32),
            heads=np.full(words, -1, np.int32),
            seen=np.full(nodes, -1, np.int32),
            parts=np.full(len(problem.center) * sizes.parts, -1, np.int32),
            part_places=np.zeros(sizes.entries, np.int32),
            leaves=np.zeros((2, sizes.step * sizes.sorted), np.int64),
            digits=np.zeros(2**RADIX_BITS, np.int32),
            levels=np.arange(sizes.depth + LANES, dtype=np.int32),
            columns=np.zeros(sizes.depth + LANES, np.int32),
            lanes=np.zeros((MR, 3), np.int64),
        ),
        tile=Tile(
            lows=np.zeros(sizes.tile, np.int32),
            highs=np.zeros(sizes.tile, np.int32),
            C=aligned_zeros(sizes.tile, width),
            R=aligned_zeros(max(contexts, sizes.columns), width),
            center_norms=np.zeros(sizes.tile, np.float32),
            norms=np.zeros(max(contexts, sizes.columns) + LANES, np.float32),
            scores=scores,
            curvature=curvature,
            out=np.zeros(rows + MR, np.int64),
            old=np.zeros(rows, np.int64),
            steps=np.zeros(rows, np.float32),
            zeros=np.zeros(width, np.float32),
        ),
        band=Band(
            weights=aligned_zeros(2, sizes.tile * sizes.row),
            inside_pairs=np.zeros(1),
            N=aligned_zeros(sizes.noise, width),
            noise_norms=np.zeros(lanes, np.float32),
            mask=mask,
            sums=aligned_zeros(MR, sizes.contexts + sizes.noise + LANES),
        ),
        windows=Windows(
            rows=addresses[:windowed],
            gradients=aligned_zeros(centers * sizes.windows, width),
            curvature=np.zeros(centers * sizes.windows, np.float32),
            factors=np.zeros(windowed, np.float32),
            firsts=np.zeros(windowed, np.int32),
            lasts=np.zeros(windowed, np.int32),
            outside=addresses[windowed:],
            addresses=addresses,
            bounds=np.zeros(centers * sizes.windows + 1, np.float64),
        ),
        nodes=Nodes(
            starts=np.zeros(groups + 1, np.int32),
            entries=np.zeros(elements + MR, np.int32),
            factors=np.zeros(MR * elements + LANES, np.float32),
            negatives=np.zeros(MR * elements + LANES, np.float32),
            marks=np.zeros(sizes.columns, np.int32),
            lanes=aligned_zeros(2 * sizes.reach + MR, MR),
            sums=aligned_zeros(2 * sizes.columns, MR),
            curvature=aligned_zeros(sizes.columns, MR),
            out=np.zeros(sizes.columns, np.int64),
            steps=np.zeros(sizes.columns, np.float32),
            bits=np.unpackbits(
                np.arange(2**MR, dtype=np.uint8)[:, None], axis=1, count=MR, bitorder="little"
            ).astype(np.float32),
        ),
    )

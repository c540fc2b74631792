"""The data structures of the compiled kernels of ``engine=numba``: model, text, plans and buffers.

A training step is one update of the model, by up to some thousands of words of text. Its plan
(`Plans`) has all that does not depend on the model, such as its words and noise words. The text of
a step is divided into strips, and a strip into tiles of consecutive center words. (For CBOW with
the hierarchical softmax, a tile has center words with similar tree paths, from anywhere in the
step; see ``loop.py``.) A tile is computed at once: the dot products of its input rows and output
rows are the scores, on which the loss depends. Gradients of the same vector are added up in a
buffer (`Buffer`) before they update it.

- Input rows, for skip-gram: the vectors of the center words. For CBOW (``Sizes.windows``): for each
  center word, the sum or mean of the vectors of the other words in its window. With CBOW and a
  window size of m, a strip therefore also needs the vectors of the m words before it and of the m
  words after it.
- Output rows, for negative sampling: the output vectors of the words that may be predicted (for
  skip-gram, those in and around the tile; for CBOW, its center words) and of noise words. For the
  hierarchical softmax (``Sizes.nodes``): the vectors of the inner nodes on the tree paths of the
  words that the tile predicts.

With subwords (``Sizes.parts``), the vector of each word is itself a sum of rows of the input
matrix.
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

    The summands of a word are its own row and the rows of its n-grams, each times a weight. The
    vectors of a step's words are computed before the gradients. Afterwards, the gradient of each
    word is passed on to its rows. The sums of all V words have E summands in total. Without
    subwords, all arrays are empty but `starts`, which is one 0.

    Attributes
    ----------
    starts : int32 (V + 1,)
        The summands of word w are the elements ``starts[w]`` to ``starts[w + 1] - 1`` of `rows`,
        `weights` and `shares`.
    rows : int32 (E,)
        The row of the input matrix for each summand.
    weights : float32 (E,)
        The weight of each summand: 1 / n for a word with n summands, whose vector is their mean. If
        `Problem.by_rows` is true (CBOW takes the mean of all rows in a window), the vector is their
        sum, and all weights are 1.
    shares : float32 (E,)
        The factor by which the gradient of the word is multiplied to get that of the summand's row.
        For a word with n summands, it depends on the setting ``subword_gradient`` and on whether
        both `Problem.by_rows` and `Problem.exact` (the setting ``context_gradient="exact"``) are
        true:

        - ``subword_gradient="exact"``: 1 if both are true, else 1 / n.
        - ``subword_gradient="fasttext"``: n if both are true, else 1.
    totals : float32 (V,)
        For each word, a factor of the curvature bound that limits the step size of the word's rows.
        The bound for the rows of a weighted sum contains the sum of the weights. For a mean, this
        sum is 1 up to rounding, and so is the factor. If `Problem.by_rows` is false, the mean is
        the word's vector. If `Problem.by_rows` is true, it is the mean of all rows of all words in
        a window. Its weights are then not those in `weights`, which are all 1.
    """

    starts: I32
    rows: I32
    weights: F32
    shares: F32
    totals: F32


class Paths(NamedTuple):
    """The path of each word in the Huffman tree, for the hierarchical softmax.

    A word is predicted by a sequence of binary decisions, one at each inner node on the path from
    the root to the word's leaf. V is the size of the vocabulary. Without the hierarchical softmax,
    `starts` has the single element 0, and the other arrays are empty.

    Attributes
    ----------
    starts : int32 (V + 1,)
        The path of word w is ``branches[starts[w] : starts[w + 1]]``.
    branches : int32
        For each inner node on the path, from the root on: 2 * node + code, where code, 0 or 1, is
        the branch that the path takes. There are `LANES` more elements at the end, because paths
        are read in whole SIMD vectors.
    leaves : int32 (V,)
        For CBOW: the position of each word's leaf in the tree (`HuffmanTree.leaf_positions`). The
        center words of a step are sorted by it. For skip-gram, the array is empty.
    """

    starts: I32
    branches: I32
    leaves: I32


class Pairs(NamedTuple):
    """The weights of (center word, predicted word) pairs in the loss, by their distance.

    Attributes
    ----------
    weights : float32 (2 reach + 1,)
        The weight of a pair by the position of the predicted word relative to the center word, from
        -reach to reach, where reach is `Sizes.reach`.
    sums : float32 (2 reach + 2,)
        The cumulative sums of these weights, beginning with 0. The summed weight of a center word's
        pairs is the difference of two of them; the weight of its noise words is proportional to it.
    negatives
        K, the number of noise words per pair of negative sampling; 0 for other losses.
    """

    weights: F32
    sums: F32
    negatives: np.float32


class Problem(NamedTuple):
    """The vectors of the model and the settings of their training, which all threads share.

    V is the size of the vocabulary.

    Attributes
    ----------
    center, outside : float32
        The matrices of input and of output vectors, updated in place. With subwords, each input
        vector is a weighted sum of rows of `center`. For the hierarchical softmax, `outside` has
        the vectors of tree nodes. Each row starts on a cache line and is padded with zeros.
    keep : uint32 (V,)
        The sub-sampling threshold of each word, from `w2v.sampling.keep_thresholds`.
    last, start : uint32 (V,), int32 (V,)
        The noise distribution, as in `w2v.sampling.NoiseDistribution`: a table by which a random
        number is converted to a noise word.
    draws_windows
        For CBOW: whether window sizes are random.
    mean
        For CBOW: whether the words of a window are averaged instead of summed.
    by_rows
        For CBOW with `mean` and subwords: how the input row is computed from the rows of the
        window's words. (A word has a row of its own and one for each n-gram.) If true, it is the
        mean of all these rows. If false, it is the mean of the words' vectors, each of which is the
        mean of the word's rows.
    exact
        For CBOW with `mean`: the gradient that each word of a window gets. Let g be the gradient of
        the loss with respect to the mean. If true, a word gets the exact gradient, w g, where w is
        the factor of the word's vector in the mean: 1 / (the number of words), or with `by_rows`
        1 / (the number of rows). If false, each word gets g, as in word2vec's code. This is the
        setting ``context_gradient``.
    pairs, paths, parts
        The weights of pairs of words in the loss, the Huffman tree, and the subwords. With
        `by_rows`, ``parts.weights`` are 1, so that a word's vector is the sum of its rows.
    """

    center: F32
    outside: F32
    keep: U32
    last: U32
    start: I32
    draws_windows: bool
    mean: bool
    by_rows: bool
    exact: bool
    pairs: Pairs
    paths: Paths
    parts: Parts


class Source(NamedTuple):
    """The text of a shard, before sub-sampling, as arrays for compiled code.

    Threads sub-sample it before they train on it. A shard is a part of the text. A position in the
    shard is the index of a token if the shard's documents are joined in order.

    Attributes
    ----------
    tokens : int32 (n,)
        The whole text: for each token, the number of its type (equal tokens have the same type).
        Read-only.
    ids : int32 (types,)
        For each type, by its number, the vocabulary id; -1 if it is not in the vocabulary.
        Read-only.
    starts : int64 (documents,)
        For each document of the shard, what to add to a position in the shard to get the index in
        ``tokens``. In document d, the word at position p is ``ids[tokens[p + starts[d]]]``.
    ends : int64 (documents,)
        For each document of the shard, the position in the shard just after its last token.
    """

    tokens: I32
    ids: I32
    starts: I64
    ends: I64


class Sizes(NamedTuple):
    """The sizes of training steps and of their parts, strips and tiles.

    `make_sizes` makes them, and `NumbaEngine` sets `halves`.

    A step is one update of the model, by up to some thousands of center words. Its text is divided
    into strips, and a strip into tiles. The center words of a tile are scored together; with
    negative sampling, they share noise words. Each center word has an input row, the vector from
    which words are predicted. Context words are those that may be predicted from the input rows of
    a tile: for skip-gram the words in and around the tile, for CBOW its center words themselves.

    Attributes
    ----------
    reach
        The largest distance between a center word and a word that is predicted from its input row:
        the window size for skip-gram, 0 for CBOW.
    band
        For negative sampling: the number of context words for which each center word has an element
        in the array of scores. For skip-gram, it is 2 * `reach` + `MR`: the scores of `MR`
        consecutive center words are computed together, and this is the number of words in and
        around them that they may predict. For CBOW, it is 1, for the center word itself.
    row
        For negative sampling: the number of elements for a center word in the array of scores,
        `band` + `noise`.
    noise
        The number of noise words that the center words of a tile share; 0 for the hierarchical
        softmax. It is a multiple of `MR`.
    contexts
        The number of context words of a tile, rounded up to a multiple of `MR`.
    vectors
        The number of SIMD vectors in a row of the gradient buffer.
    tile
        The number of center words in a tile.
    window
        m, the window size.
    step
        The number of center words in a step.
    strip, strips
        The number of tiles in a strip, and of strips in a step.
    slots
        The number of rows that a strip has in ``Buffer.outside``, for the gradients of its output
        vectors: those of its context words, then those of its noise words. For the hierarchical
        softmax: `columns` times the number of tiles in a strip.
    input_slots
        The number of rows that a strip has in ``Buffer.center``, for the gradients of its input
        vectors.
    columns
        For the hierarchical softmax: the largest possible number of nodes of a tile; else 0.
    depth
        For the hierarchical softmax: the length of the longest path; else 0.
    words
        With subwords: the largest possible number of distinct words whose vectors are read for the
        input rows of a step; else 0.
    entries
        With subwords, a word's vector is a weighted sum of rows. This attribute is the largest
        possible number of these summands, over all distinct input words of a step together. Without
        subwords, it is 0.
    windows
        True for CBOW, where an input row is the sum or mean of the vectors of the words in a
        window; False for skip-gram, where it is the vector of one word.
    nodes
        Whether output rows are tree nodes (the hierarchical softmax).
    sorted
        True for CBOW with the hierarchical softmax, where a tile has center words with similar tree
        paths, from anywhere in the step, instead of consecutive ones (see ``hierarchical.py``).
    parts
        Whether word vectors are sums of rows (subwords).
    halves
        Whether one thread computes all of a half of a step (the first half of its strips, or the
        rest). The thread then adds up the gradients of a word in this half as it computes them, in
        the order of the text. So fewer rows of the buffer are used, which stay in the cache. With
        `halves` false, each strip may be computed by another thread, and all gradients are kept in
        the buffer until the end of the step. The sums have the same order in both cases, and thus
        the same bits. `halves` is true with one or two threads. It does not concern the gradients
        of tree nodes.
    """

    reach: int
    band: int
    row: int
    noise: int
    contexts: int
    vectors: int
    tile: int
    window: int
    step: int
    strip: int
    strips: int
    slots: int
    input_slots: int
    columns: int
    depth: int
    words: int
    entries: int
    windows: bool
    nodes: bool
    sorted: bool
    parts: bool
    halves: bool


class Lists(NamedTuple):
    """For each word in a training step, a list of its gradients, which are added up to update it.

    A word may get several gradients in a step, one from each place where it occurs. Each has a row
    of the gradient buffer (`Buffer`). A word with several rows has a linked list of them, and at
    the end of the step, `move` updates its vector by their sum. A word with a single row needs no
    list: its gradient updates the model directly. (With subwords, an input word with a single row
    has a list, too.) For the hierarchical softmax, tree nodes take the place of output words.

    If `Sizes.halves` is true, each half of the step's text is computed by one thread. The list of a
    word then has only the word's first row in each half. The gradients of its other rows in this
    half are added to this row as they are computed.

    The list of a tree node has all its rows; for CBOW, only the first one in each job, a sequence
    of tiles that one thread computes (`SORTED_TILES`). The gradients of its other rows in the job
    are added to this row.

    Several steps are prepared together; the first index of an array is the number of the step among
    these. How many lists a step has is stored in ``Shard.several``; the elements of `words` and
    `heads` after them have no meaning.

    Attributes
    ----------
    words, heads : int32 (steps, rows)
        The words that have a list, and the first row of each list.
    next : int32 (steps, rows)
        For each row in a list, the number of the next row of the list; -1 for the last row. If the
        next row, r, is the first one that the list has in the second half of the step, the element
        is ``~r`` = -r - 1 instead of r. This is at most -3, because rows 0 and 1 are always in the
        first half. (-2, `rows.ALONE`, marks a word's only row while the lists are being made.)
    places : int32 (steps, rows)
        For each row, the row to which its gradient is written or added. If the row is in a list,
        this is the row itself. If the row's word has a list without this row, it is the word's
        first row in the same half of the step, or the node's first row in the same job. The element
        is `rows.ALONE` = -2 if the row's word has no list, and -1 for an unused row without a word.
    """

    words: I32
    heads: I32
    next: I32
    places: I32


class Plans(NamedTuple):
    """All that is prepared for several training steps before their gradients are computed.

    The plan of a step has its words, windows, noise words or tree nodes, and lists of gradient
    rows. It does not depend on the model. The first index of each array is the number of the step
    among the n that are prepared. The text of a step is divided into strips, and a strip into
    tiles, groups of center words whose scores are computed together. (For CBOW with the
    hierarchical softmax, a tile has center words from anywhere in the step.) The gradient buffer
    has rows for the words of each strip, or the tree nodes of each tile (see `Buffer`). The last
    `LANES` elements of ``nodes`` and ``keys`` take what whole SIMD vectors write beyond the others.

    The shapes below have these sizes, most of them attributes of `Sizes`:

    - m: the window size.
    - ``step``, ``tile``: the number of center words in a step (the last one may have fewer), and in
      a tile.
    - ``tiles``, ``strips``: the number of tiles in a step, ``step`` / ``tile``, and of strips.
    - ``input_slots``, ``slots``: the number of buffer rows of a strip for the gradients of input
      vectors, and for those of output vectors.
    - ``contexts``: the number of words that a tile may predict, rounded up to a multiple of `MR`,
      because `MR` output vectors are processed together.
    - ``depth``: the number of nodes on the longest tree path.
    - ``entries``: 0 without subwords. With subwords, a word's vector is a weighted sum of rows.
      ``entries`` is the largest possible number of these summands, over all distinct input words of
      a step together.

    How many elements of `part_rows` a step uses is stored in ``Shard.several``; the elements after
    them have no meaning.

    Attributes
    ----------
    ids, documents : int32 (n, step + tile + 2 m)
        The words of the text, beginning m positions before the step's first center word, and the
        numbers of their documents; -1 where there is no word. The last window of a full step ends
        at element step + 2 m - 1. Some of the ``tile`` elements after it may be read, too, because
        output vectors are processed `MR` at a time.
    noise : int32 (n, tiles * Sizes.noise)
        For negative sampling: the noise words of each tile.
    center, outside
        `Lists` of the rows of the gradient buffer that are added up to update a vector. The lists
        in `center` are for the input vectors of words; their rows are some of the
        strips * input_slots rows of ``Buffer.center``. Those in `outside` are for the output
        vectors of words or tree nodes, with some of the strips * slots rows of ``Buffer.outside``.
        A vector has a list if it has several gradients in the step. With subwords, the input
        vectors of all words of the step have lists, even those with a single gradient.
    lows, highs : int32 (n, step)
        For CBOW: the start and the end (excluded) of each center word's window, as indices in
        ``ids``.
    weights : float32 (n, step)
        For CBOW: the weight of each word vector in the sum or mean over the window.
    nodes : int32 (n, strips * slots + LANES)
        For the hierarchical softmax: the node of each row of ``Buffer.outside``, tile after tile.
        The nodes of a tile are padded to a multiple of `MR` with -1.
    node_starts : int32 (n, tiles + 1)
        For the hierarchical softmax: the index in ``nodes`` at which each tile begins.
    keys : int32 (n, tiles * contexts * depth + LANES)
        For skip-gram with the hierarchical softmax: the tree path of each word that a tile may
        predict. Each node on the path is given as 2 * its index among the nodes of the tile + the
        code, 0 or 1, of the branch that the path takes. For CBOW with the hierarchical softmax: the
        nodes on the paths of each group of `MR` center words. Each node is given as one number. It
        encodes the index of the node among the nodes of the tile and, for each of the `MR` paths,
        whether the path has the node and which branch it takes there (`list_levels` in
        ``tree_nodes.py`` has the formula).
    key_starts : int32 (n, tiles * contexts + 1)
        For the hierarchical softmax: the index at which each path, or for CBOW each group, begins
        in ``keys``.
    order : int32 (n, step)
        For CBOW with the hierarchical softmax: the numbers of the center words that are predicted,
        sorted by their leaves in the tree. The remaining elements are -1. Center word number i is
        element m + i of ``ids``.
    numbers : int32 (n, step + tile + 2 m)
        With subwords: the index in ``center.words`` of each word of ``ids``; -1 for a word that is
        not in ``center.words``, and where there is no word.
    part_rows, part_ends : int32 (n, entries), int32 (n, entries + 1)
        With subwords: the distinct rows of the input matrix that are summands of the step's words,
        and for each of them the end of its list in `part_words` and `part_shares`. In the plan of a
        step, the list of row number j is the elements ``part_ends[j - 1]`` (0 for the first row) to
        ``part_ends[j] - 1``, one for each time that the row is a summand of a word.
    part_words, part_shares : int32 (n, entries), float32 (n, entries)
        With subwords, for each element of the lists of rows: the word that has the row as a
        summand, as an index in ``center.words``; and the factor by which the gradient of the word
        is multiplied before it is added to the gradient of the row.
    """

    ids: I32
    documents: I32
    noise: I32
    center: Lists
    outside: Lists
    lows: I32
    highs: I32
    weights: F32
    nodes: I32
    node_starts: I32
    keys: I32
    key_starts: I32
    order: I32
    numbers: I32
    part_rows: I32
    part_ends: I32
    part_words: I32
    part_shares: F32


class Buffer(NamedTuple):
    """The gradients of a training step, which are added up for each word at the end of the step.

    A vector may get several gradients in a step, one from each place where its word occurs. The
    gradients are kept here, each in a row, so that they can be added up in an order that does not
    depend on the threads. The text of a step is divided into strips, and the center words of a
    strip into tiles, groups whose scores are computed together (for CBOW with the hierarchical
    softmax, a tile has center words from the whole step). A word has a row in `center` or `outside`
    for each of its gradients: if it occurs twice in a strip, it has two rows. A tree node has a row
    for each tile that is scored with it. At the end of the step, the rows of a word or node are
    added up, and the sum updates its vector. There are three exceptions:

    - If `Sizes.halves` is true, each half of the step (the first half of its strips, or the rest)
      is computed by one thread. The thread adds all gradients of a word in this half to one row,
      the word's first row in the half, as soon as it computes them. So fewer rows are written, and
      they stay in the cache. The word's other rows in this half are not used.
    - For CBOW with the hierarchical softmax, `SORTED_TILES` successive tiles are a job, which one
      thread computes. The thread adds all gradients of a tree node in a job to one row.
    - A word or tree node with a single row in the step needs no sum. Its gradient updates the
      vector directly. With subwords, this is so for output vectors only.

    ``width`` is the dimension of the vectors, rounded up to a multiple of `LANES`; see `Sizes` for
    the other sizes.

    Attributes
    ----------
    center : float32 (strips * input_slots, width)
        Negative gradients of the loss with respect to input vectors. Each strip has a row for each
        occurrence of a word whose input vector it reads.
    outside : float32 (strips * slots, width)
        Negative gradients of the loss with respect to output vectors. For negative sampling, each
        strip has a row for each occurrence of a word that it may predict, and for each of its noise
        words. For the hierarchical softmax, each tile has a row for each of its tree nodes. The
        rows of tile t begin at row ``Plans.node_starts[n, t]``, where n is the number of the step
        among those that are planned. Rows after those of the last tile are unused.
    center_curvature, outside_curvature : float32, one for each row of `center` and of `outside`
        What the gradients in the row contribute to h, the bound on the loss's curvature that limits
        the step size (``w2v/README.md``, "Kept stable").
    words : float32 (words, width)
        With subwords: the vectors of the step's distinct input words; later their summed negative
        gradients.
    word_curvature : float32 (words,)
        With subwords, for each of these words: an upper bound on the curvature (second derivative)
        of the loss with respect to the word's vector, times the word's element of ``Parts.totals``,
        which is 1 up to rounding.
    inputs : float32 (step, width)
        For CBOW with the hierarchical softmax: the input row of each center word, which is the sum
        or mean of the vectors of its context words; later its negative gradient.
    input_curvature : float32 (step,)
        An upper bound on the curvature (second derivative) of the loss with respect to each row of
        `inputs`.
    """

    center: F32
    outside: F32
    center_curvature: F32
    outside_curvature: F32
    words: F32
    word_curvature: F32
    inputs: F32
    input_curvature: F32


class Shard(NamedTuple):
    """What threads share while they train on a shard, a part of the text: words, counters, losses.

    All threads write to these arrays. First, they sub-sample the text of the shard and store the
    words that are kept. Then they compute the training steps of the shard, one after the other. The
    work is divided into jobs, which are grouped in phases (``jobs.py``). The jobs of a phase begin
    when all jobs of the phase before are finished. Jobs that prepare later steps are an exception:
    a thread does them when it would otherwise have to wait for other threads.

    Attributes
    ----------
    jobs : int64 (phases, 16)
        The counters by which threads share the jobs of each phase (``jobs.py``). Column 0 counts
        the jobs taken, column 8 the jobs finished. The other columns are padding, so that each
        counter has a cache line of its own.
    ids, documents : int32 (n,)
        The words kept by sub-sampling, and the numbers of their documents. The words kept from
        block b of the text begin at index b * `BLOCK`; the elements after them are unused.
    words, kept : int64 (blocks,)
        The number of words of the vocabulary in each block before and after sub-sampling.
    starts : int64 (blocks + 1,)
        The cumulative sums of ``kept``, beginning with 0.
    several : int64 (steps, 3)
        For each step: how many elements of ``center.words``, ``outside.words`` and ``part_rows`` of
        `Plans` are in use.
    tallies : float64 (steps * tiles, 2)
        The summed weight of pairs, and their summed loss. A tile is a group of center words that
        are computed together, and a strip is a sequence of tiles. A step has up to ``tiles`` tiles,
        with a row for each. The sums over a strip are in the row of its first tile; the other rows
        are zero. For CBOW with the hierarchical softmax, jobs take the place of strips. A job is
        `SORTED_TILES` successive tiles, and the sums over it are in the row of its first tile.
    """

    jobs: I64
    ids: I32
    documents: I32
    words: I64
    kept: I64
    starts: I64
    several: I64
    tallies: F64


class Planning(NamedTuple):
    """The memory in which a thread prepares training steps before their gradients are computed.

    Preparing a step means to draw its random numbers, and to list which gradients belong to each
    word (``plans.py``). V is the size of the vocabulary. ``step``, ``entries`` and ``depth`` are
    attributes of `Sizes`. A tile is a number of center words that are computed together. For CBOW
    with the hierarchical softmax, the center words of a step are sorted by their leaves in the
    Huffman tree, so that the words of a tile have similar paths. This is a radix sort: each pass
    sorts by `RADIX_BITS` bits of the position of the leaf.

    Attributes
    ----------
    bits, more_bits : uint32 (BLOCK,)
        Random numbers for sub-sampling.
    heads : int32 (V,)
        For each word, or tree node, the last row of the gradient buffer that has been added to its
        list so far (`Lists`); -1 if there is none. With subwords, `list_parts` also uses the array,
        for the number of each word among the distinct words of the step.
    seen : int32 (V - 1,)
        For skip-gram with the hierarchical softmax: the index in ``nodes`` of `Plans` at which each
        inner node of the tree was last listed in this step, or -1.
    parts : int32 (rows of the input matrix,)
        With subwords, where a word's vector is a weighted sum of rows of the input matrix: the
        index of each row in ``part_rows`` of `Plans`, which lists the distinct rows that are
        summands of the step's words; -1 for a row that is not listed so far.
    part_places : int32 (entries,)
        With subwords: for each summand of each distinct word of the step, the index of its row in
        ``part_rows``. ``entries`` is the largest possible number of these summands.
    leaves : int64 (2, step)
        For CBOW with the hierarchical softmax: the center words before and after a pass of the
        radix sort. A word is 2^32 * the position of its leaf + the word's position in the step.
    digits : int32 (2 ** RADIX_BITS,)
        For CBOW with the hierarchical softmax, for each value of the bits by which a pass of the
        radix sort sorts: first the histogram, which is how many center words have the value; then a
        running offset, which is the place in the sorted array for the next center word with it.
    levels, columns : int32 (depth + LANES,)
        For CBOW with the hierarchical softmax, for the nodes on the path of one center word, from
        the root on. `levels` has their levels in the tree: 0, 1, 2 and so on. `columns` has their
        indices among the nodes of the word's tile. A path has at most ``depth`` nodes; there is
        room for `LANES` more, because whole SIMD vectors are read and written.
    lanes : int64 (MR, 3)
        For CBOW with the hierarchical softmax, whose tiles are divided into groups of `MR` center
        words. For each word of one group: the index in ``Paths.branches`` at which its path begins;
        how many nodes this path shares with the path of the word before (0 for the first word of a
        tile); and the number of nodes of this path.
    """

    bits: U32
    more_bits: U32
    heads: I32
    seen: I32
    parts: I32
    part_places: I32
    leaves: I64
    digits: I32
    levels: I32
    columns: I32
    lanes: I64


class Tile(NamedTuple):
    """The working memory of a thread for one tile: center words that are computed together.

    It has copies of vectors, the scores (the dot products of input and output vectors), and where
    the gradients go. ``tile`` is the number of center words. ``width`` is the dimension of the
    vectors, rounded up to a multiple of `LANES`. A strip is a sequence of tiles. ``rows`` is large
    enough for the words that any strip may predict, and for the tree nodes of any tile. ``size`` is
    large enough for the scores of any tile. What `R`, `norms`, `lows` and `highs` have depends on
    the model and the loss:

    - Skip-gram with negative sampling: `R` has the output vectors of the words in and around all
      tiles of the strip; a tile copies only those that earlier tiles of the strip have not copied.
      `lows` and `highs` have each center word's window, as far as its document goes.
    - CBOW with negative sampling: `R` is not used, because the output vectors of center words are
      read directly from the model. `norms` has their squared lengths, for all tiles of the strip.
      `lows` and `highs` have the center word itself, or an empty range if its window has no other
      word.
    - The hierarchical softmax: `R` has the vectors of the tile's tree nodes. `lows` and `highs` are
      as above for skip-gram, and not used for CBOW.

    With negative sampling, the output vectors of noise words are in ``Band.N``.

    Attributes
    ----------
    lows, highs : int32 (tile,)
        For each center word, the start and the end (excluded) of the range of words that its input
        vector predicts. Offset `Sizes.reach` is the center word itself, and offset 0 the word
        `Sizes.reach` positions before it.
    C : float32 (tile, width)
        The input vectors of the tile.
    R : float32 (rows, width)
        Copies of output vectors, or of the vectors of tree nodes, as described above.
    center_norms, norms : float32 (tile,), float32 (rows + LANES,)
        The squared lengths of the rows of `C`, and of the output vectors. `norms` has `LANES` more
        elements, because whole SIMD vectors are read.
    scores : float32 (size,)
        The scores; then the negative derivative of the loss with respect to each.

        - Negative sampling: `Sizes.row` elements for each center word (the layout is in
          ``negative_sampling.py``). Elements for words beyond the window may never be written, and
          then stay 0.
        - The hierarchical softmax: the first n * `MR` elements are an array of shape (n, MR). The
          tile is divided into groups of `MR` center words. A row of the array is for a group and a
          tree node that it is scored with; it has the node's score with each of the `MR` center
          words. `Nodes` lists the n pairs of a group and a node.
    curvature : float32 (size,)
        A bound on the second derivative of the loss with respect to each score, in the same layout.
    out, old, steps : int64, int64 and float32, one element for each gradient that is written
        Where each gradient goes (`rows.Targets`): the row at its address in `out` is set to the row
        at its address in `old` plus its number in `steps` times the negative gradient. `out` has
        `MR` more elements, which are only read for prefetching.
    zeros : float32 (width,)
        A row of zeros.
    """

    lows: I32
    highs: I32
    C: F32
    center_norms: F32
    R: F32
    norms: F32
    scores: F32
    curvature: F32
    out: I64
    old: I64
    steps: F32
    zeros: F32


class Band(NamedTuple):
    """The working memory of a thread for negative sampling on one tile: weights and noise words.

    A tile is a group of ``tile`` consecutive center words that share noise words. Each center word
    has ``row`` scores, the dot products of its input vector with output vectors of context words
    and of noise words. The scores themselves are in `Tile`; `Band` has what negative sampling needs
    in addition. ``tile``, ``row`` and ``contexts`` are attributes of `Sizes`.

    Attributes
    ----------
    weights : float32 (2, tile * row)
        The weight of each score in the loss, negative for noise words (``negative_sampling.py`` has
        the layout). The second row is for tiles whose windows lie within one document (for CBOW,
        tiles whose windows all have a word besides the center word); these tiles all have the same
        weights. The first row is for the other tiles, and is filled in for each of them.
    inside_pairs : float64 (1,)
        The summed weight of the pairs of a tile that uses the second row of `weights`, the same for
        all such tiles; 0 until it is computed.
    N : float32 (Sizes.noise, width)
        The output vectors of the noise words. ``width`` is the dimension rounded up to a multiple
        of `LANES`.
    noise_norms : float32 (Sizes.noise rounded up to a multiple of LANES,)
        Their squared lengths, padded with 0.
    mask : float32 (a + b,)
        Factors of 1 or 0, by which the curvature bounds of scores are multiplied before they are
        added up. The first a elements are for a center word's scores with noise words: ones, as
        many as `Sizes.noise`, padded with zeros to a multiple of `LANES`. The next b elements are
        for its scores with context words: 2 * `Sizes.reach` + 1 ones, padded in the same way.
        Scores are read as whole SIMD vectors, so the last vector may extend into other scores. The
        zeros cancel these.
    sums : float32 (MR, contexts + Sizes.noise + LANES)
        Bounds on the curvature (second derivative) of the loss with respect to output vectors, each
        in `MR` = 4 summands. There is a column for the output vector of each context word, then of
        each noise word; its `MR` numbers add up to the bound. Row p has what center words p,
        p + MR, p + 2 MR and so on of the tile contribute (`negative_sampling.sum_curvature`). The
        last `LANES` columns take what whole SIMD vectors write beyond the others.
    """

    weights: F32
    inside_pairs: F64
    N: F32
    noise_norms: F32
    mask: F32
    sums: F32


class Windows(NamedTuple):
    """The working memory of a thread for the windows of CBOW in a strip, a part of the text.

    The input row of a center word, from which the word is predicted, is the sum or mean of the
    vectors of the other words in its window. After the scores are computed, the gradient of each
    input row is passed on to these words. The strip has n center words. They are divided into
    tiles, each of ``tile`` center words; with negative sampling, the words of a tile share
    `Sizes.noise` noise words. m is the window size. A curvature bound of a vector is an upper bound
    on the second derivative of the loss with respect to the vector, in any direction; it limits the
    step size.

    Attributes
    ----------
    rows : int64 (n + 2 m rounded up to a multiple of MR,)
        Before the scores: the addresses of the input vectors of words, in the order of the text: of
        the m words before the strip, of the n words of the strip, and of the m words after it.
        After the scores: for each of these n words, the address of the gradient of its input row,
        and for the others that of a row of zeros.
    factors : float32, as many as `rows`
        Before the scores, 1. After the scores: for the n words of the strip, the factor by which
        the gradient of the input row is multiplied when it is added to the gradient of a word in
        the window; for the others 0.
    firsts, lasts : int32, as many as `rows`
        For each word, the range of windows of the strip that contain it: the index of the first,
        and the index after the last. Window i is that of the strip's center word i. If the word is
        such a center word, its own window is in the range, too, and must be left out of sums.
    outside : int64 (tile + Sizes.noise,)
        For negative sampling: the address of the output vector of each center word of a tile, and
        then of each noise word of the tile.
    addresses : int64
        `rows` and `outside` one after the other, which are parts of this array.
    gradients : float32 (n, dimension rounded up to a multiple of LANES)
        For negative sampling: the negative gradient of the loss with respect to each input row.
    curvature : float32 (n,)
        For negative sampling: the curvature bound of each input row of the strip. For the
        hierarchical softmax: the first ``tile`` elements are the bounds of the input rows of one
        tile.
    bounds : float64 (n + 1,)
        Cumulative sums over the windows: element i is the sum over those before number i. The term
        of a window is the curvature bound of its input row times its factor in `factors`. If input
        rows are sums, not means, the term is also multiplied by the number of summed words.
    """

    rows: I64
    factors: F32
    firsts: I32
    lasts: I32
    outside: I64
    addresses: I64
    gradients: F32
    curvature: F32
    bounds: F64


class Nodes(NamedTuple):
    """The working memory of a thread for a tile of the hierarchical softmax.

    A tile is a number of center words that are computed together. Each has an input row, the vector
    that predicts words. With skip-gram, this is the vector of the center word, and predicts the
    words around it. With CBOW, it is the sum or mean of the vectors of the other words in the
    window, and predicts the center word. The center words are divided into groups of `MR` = 4. The
    input rows of a group are scored with all nodes on the tree paths of the words that they
    predict: a score is the dot product of an input row and a node's vector. So the scores are a
    sparse matrix, with a row for each group and a column for each node of the tile (see
    ``hierarchical.py``). It has n elements, each with `MR` scores. `marks`, `lanes` and `sums` are
    for skip-gram only, `steps` and `bits` for CBOW only.

    Attributes
    ----------
    starts : int32 (groups + 1,)
        Row g of the matrix has the elements ``starts[g]`` to ``starts[g + 1] - 1``.
    entries : int32 (n,)
        The column of each element.
    factors, negatives : float32 (MR * n,)
        The weights of scores: `MR` numbers for each element, one for each center word of its group.
        In `factors`, the number is the summed weight of those words that are predicted from the
        center word's input row and whose paths have the node. In `negatives`, it is the part of
        this sum for words whose paths take branch 1 at the node. For CBOW, `choose_node_targets`
        later overwrites `factors` with the negative derivatives of the loss with respect to the
        scores, times the number in `steps` for the node.
    marks : int32 (columns,)
        For skip-gram: for each node, 1 + the number of the last group that has it; 0 if no group
        has it yet.
    lanes : float32 (2 reach + MR, MR)
        For skip-gram: the weight of the pair of each word and each center word of a group. The
        words are those from `Sizes.reach` positions before the group to `Sizes.reach` after it.
    sums : float32 (2 * columns, MR)
        For skip-gram, for each branch of each node and each center word of a group: the summed
        weight of the center word's pairs with words whose tree paths take this branch. Row
        2 * c + b is for branch b (0 or 1) of the node that has column c in the matrix of scores.
    curvature : float32 (columns, MR)
        For each node, `MR` summands, one for each position in a group of center words. Their sum is
        a bound on the curvature (second derivative) of the loss with respect to the node's vector.
    out : int64 (columns,)
        For each node, the address of the row to which its gradient is added: its row in the
        gradient buffer or, for CBOW if no other tile of the step has the node, its vector in the
        model.
    steps : float32 (columns,)
        For CBOW: for each node, the factor by which the derivatives in `factors` have been
        multiplied: the step size if `out` is a vector in the model, 1 if it is a row of the buffer.
    bits : float32 (16, MR)
        For CBOW: a table whose row i has the `MR` bits of the number i, the lowest bit first, as
        0.0 or 1.0. It decodes an element of ``Plans.keys``, which has two such numbers for a node
        and a group of `MR` center words. Bit k of the first number says whether the path of center
        word k has the node, and bit k of the second whether this path takes branch 1 there.

    Example: a tile of CBOW has one group and two nodes. Then ``starts`` is (0, 2), and ``entries``
    (0, 1). Node 0 is on the paths of all four center words; only that of center word 2 takes
    branch 1 there. Node 1 is on the path of center word 2 only, which takes branch 0. Then
    ``factors`` is (1, 1, 1, 1, 0, 0, 1, 0), and ``negatives`` (0, 0, 1, 0, 0, 0, 0, 0). The numbers
    that `bits` decodes are 15 and 4 for node 0, and 4 and 0 for node 1.
    """

    starts: I32
    entries: I32
    factors: F32
    negatives: F32
    marks: I32
    lanes: F32
    sums: F32
    curvature: F32
    out: I64
    steps: F32
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
    """Compute the sizes of a training step and of its parts: strips of the text, and tiles.

    A step is one update of the model. A tile is a group of center words that are scored together,
    and a strip is a sequence of tiles. The result is for training without subwords; `with_parts`
    adds the sizes for subwords. The shapes of most arrays on which the compiled functions work
    depend on these sizes.

    Parameters
    ----------
    dim
        The dimension of the vectors.
    window
        The window size.
    step
        The number of center words in a step. For CBOW, ValueError is raised if it is neither a
        multiple nor a divisor of ``window_block(window)``, the number of consecutive center words
        for which one window size is drawn.
    reach
        0 for CBOW, whose input vectors predict only the center word; None for skip-gram, whose
        input vectors predict words up to the window size away.
    noise
        For negative sampling: the number of noise words that `SHARED` center words share.
    depth
        The length of the longest path in the Huffman tree; 0 for negative sampling.
    nodes
        The number of inner nodes of the tree; 0 for negative sampling.
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

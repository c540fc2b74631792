"""NumPy training step for losses that are sums of logistic terms, by batched matrix products.

The center words of a batch are processed in tiles of `CENTERS` consecutive words. For the input
vectors C of a tile and the output vectors R that a loss chooses for it, the scores are S = C Rᵀ.
The loss J is a weighted sum of -log σ(s) over positive pairs and -log σ(-s) over negative pairs.
With G = ∂J/∂S, the gradients are ∂J/∂C = G R and ∂J/∂R = Gᵀ C (see ``w2v/README.md``). Negative
sampling and the hierarchical softmax differ only in the output vectors and weights.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.inputs import InputTable, descend, make_inputs, take_rows
from w2v.engines.step import Buffers
from w2v.objectives import Objective
from w2v.sampling import Key, keep_probabilities
from w2v.sums import F32, I32, Sums
from w2v.text.tokens import Batch

CENTERS = 32
"""The number of consecutive center words in a tile. The first tile begins at the start of the shard
(part of the text)."""

SHARED = 64
"""The number of consecutive center words that share noise words. In the NumPy
and JAX engines, they are several tiles, which are groups of `CENTERS` center words that are
computed together."""

NOISE, CBOW_NOISE, SUBWORD_NOISE = 20, 12, 40
"""The number of noise words for each group of `SHARED` center words: in skip-gram, in CBOW, and in
skip-gram with subwords. With fewer noise words, vectors are worse; with more, training is slower.
CBOW has fewer, because noise words would take a larger part of its time: besides them, an input
vector is scored with one word in CBOW, but with up to 2 m words in skip-gram (m is the window
size). Subwords need more: if several center words of a group contain an n-gram, the same noise
words change it several times, and their random errors do not average out."""

STEP_NUMBERS, MAX_STEP_WORDS = 1 << 18, 4096
"""Default limits of a training step. All its center vectors together (center words times dimension)
have at most `STEP_NUMBERS` numbers, so that the gradients stay in a processor's cache; twice as
many for CBOW with the hierarchical softmax, and half as many for skip-gram with subwords and
negative sampling. And there are at most `MAX_STEP_WORDS` center words. Even with long vectors, a
step has at least `MIN_STEP_WORDS`."""

STEP_MULTIPLE = 4 * SHARED
"""`step_words` returns a multiple of this number, so that two or four threads have equal shares of
a step."""

MIN_STEP_WORDS, STEPS_PER_EPOCH = 512, 200
"""On short texts, training steps get fewer center words, so that an epoch has `STEPS_PER_EPOCH`
steps. But a step never has fewer than `MIN_STEP_WORDS` center words, because threads wait for each
other after each step."""


def noise_words(objective: Objective) -> int:
    """Return how many noise words are drawn for each group of `SHARED` = 64 center words."""
    if objective.name == "cbow":
        return CBOW_NOISE
    return SUBWORD_NOISE if objective.subwords else NOISE


def step_words(task: Task, most: int | None = None) -> int:
    """Return the number of center words per training step.

    An epoch should have about `STEPS_PER_EPOCH` steps. But a step has at most `most` words, and at
    least `MIN_STEP_WORDS` even if `most` is smaller. The number is rounded down to a multiple of
    `STEP_MULTIPLE`. It does not depend on the processor or the number of threads.

    Parameters
    ----------
    task
        The training task.
    most
        The largest number wanted. The default suits a processor's cache; a GPU needs more.
    """
    if most is None:
        objective, numbers = task.objective, STEP_NUMBERS
        if objective.loss.output_vectors != "words":
            # For CBOW with the hierarchical softmax, the compiled engine sorts center words by
            # their tree paths. In a longer step, neighbors in this order share more nodes.
            numbers *= 2 if objective.name == "cbow" else 1
        elif objective.subwords and objective.name == "skipgram":
            # Common n-grams are in many words of a step, so their bounded steps are too short.
            numbers //= 2
        most = min(MAX_STEP_WORDS, numbers // objective.dim)
    keep = keep_probabilities(task.counts, task.objective.subsample)
    kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
    words = max(MIN_STEP_WORDS, min(most, kept / STEPS_PER_EPOCH))
    return int(words / STEP_MULTIPLE) * STEP_MULTIPLE


class Columns(NamedTuple):
    """The output vectors of a batch, and the weight of each score in the loss.

    A batch has B tiles, each of `CENTERS` consecutive center words that share R output vectors. A
    score s is the dot product of an input vector and an output vector of a tile.

    Attributes
    ----------
    rows : int32 (B, R)
        The output vectors of each tile, as row indices in their matrix.
    weights : float32 (B, CENTERS, R)
        The weight of each score; 0 if the two vectors form no pair.
    positives
        The first `positives` output vectors of a tile are positive examples, with the loss -log
        σ(s). The others are negative examples, with the loss -log σ(-s).
    """

    rows: I32
    weights: F32
    positives: int


class Draw(NamedTuple):
    """A batch after all random choices: which vectors are multiplied to get its scores.

    A score is the dot product of an input vector, one for each center word, and an output vector.
    The center words of a tile, a group of `CENTERS`, share their output vectors.

    Attributes
    ----------
    inputs
        For each center word, the words whose vectors are added up to get its input vector, with
        their weights in the sum: the center word itself for skip-gram, the words around it for
        CBOW. Padded to whole tiles.
    columns
        The output vectors of each tile, and the weight of each score in the loss.
    pairs
        The summed weight of the (center, outside) pairs for skip-gram, or the number of predicted
        words for CBOW.
    """

    inputs: Sums
    columns: Columns
    pairs: float


class LogisticStep(ABC):
    """Base class of the training steps for losses that are sums of logistic terms.

    A step is one update of the model by one batch, by stochastic gradient descent. The center words
    of a batch are processed in tiles of `CENTERS`. A subclass implements the method `columns`,
    which chooses the output vectors that the input vectors of each tile are multiplied with, and
    the weight of each of these products in the loss.

    Parameters
    ----------
    task
        The training task.
    words
        The number of center words per batch, a multiple of `CENTERS`. The default is the number
        that `step_words` returns.
    """

    def __init__(self, task: Task, words: int | None = None) -> None:
        self.model = task.model
        self.window, self.dim = task.objective.window, task.objective.dim
        self.batch_words = words or step_words(task)
        self.inputs = make_inputs(task.objective, task.subwords)
        self.table = InputTable(task)
        self.reach = reach = len(self.inputs.targets) - 1
        self.pairs = CENTERS + 2 * reach
        distance = np.abs(np.arange(self.pairs) - reach - np.arange(CENTERS)[:, None])
        by_distance = np.append(self.inputs.targets, np.float32(0))
        self.band = by_distance[np.minimum(distance, reach + 1)]
        self.buffers = Buffers()

    @abstractmethod
    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:
        """Choose the output vectors of each tile of a batch, and the weights of its scores.

        The scores of a tile (`CENTERS` consecutive center words) are the dot products of its input
        vectors with the same output vectors: for negative sampling, those of the words in and
        around the tile and of noise words; for the hierarchical softmax, those of tree nodes.

        Parameters
        ----------
        words : int32 (B, W)
            The W words in and around each of the B tiles.
        weights : float32 (B, CENTERS, W)
            The weight of the pair of each center word and each of these words; 0 for no pair.
        key
            The key of the shard (part of the text) from which random numbers are computed.
        first
            The position in the shard of the batch's first center word. Only words that sub-sampling
            has kept are counted.
        """

    def batch_size(self, words: int) -> int:  # noqa: ARG002
        """Return the number of center words per batch. `words` is not used."""
        return self.batch_words

    def draw(self, batch: Batch, key: Key, first: int) -> Draw:
        """Choose the input and output vectors of a batch, and the weights of their scores.

        A score is the dot product of an input and an output vector. All random choices of the batch
        are made here. The next call overwrites the weights in the result (`Columns.weights`).

        Parameters
        ----------
        batch
            The center words, with the m words before and after them; m is the window size.
        key
            The key of the shard (part of the text) from which random numbers are computed.
        first
            The position in the shard of the batch's first center word. Only words that sub-sampling
            has kept are counted.
        """
        m, reach = self.window, self.reach
        count = len(batch.ids) - 2 * m
        tiles = -(-count // CENTERS)
        inputs = self.inputs.sums(batch, key, first)
        ids = batch.ids[m - reach : len(batch.ids) - (m - reach)]
        documents = batch.documents[m - reach : len(batch.ids) - (m - reach)]
        windows = CENTERS * np.arange(tiles)[:, None] + np.arange(self.pairs)
        missing = CENTERS * tiles - count
        ids = np.pad(ids, (0, missing))
        documents = np.pad(documents, (0, missing), constant_values=-1)[windows]
        center_documents = documents[:, reach : reach + CENTERS, None]
        same = (center_documents == documents[:, None, :]) & (center_documents >= 0)
        weights = self.buffers.get("weights of words", tiles, CENTERS, self.pairs)
        np.multiply(same, self.band, out=weights)
        inputs = padded(inputs, missing)
        if inputs.starts is not None:
            weights *= inputs.used().reshape(tiles, CENTERS, 1)
        columns = self.columns(ids[windows], weights, key, first)
        return Draw(inputs, columns, float(weights.sum(dtype=np.float64)))

    def loss(self, draw: Draw) -> Tally:
        """Return the summed weight of the pairs of a batch, and the weighted sum of their losses.

        `draw` is the result of the method `draw`. The model is not changed. The field `words` of
        the result is 0, because the caller counts the words.

        After the call, ``self.buffers`` has four arrays for `update`: ``C``, the input vectors;
        ``R``, the output vectors; ``G``, the derivative of the loss with respect to each score (the
        dot product of an input and an output vector); and ``S``, an upper bound on the second
        derivative.
        """
        C, R, S, G, T = self._arrays(draw)[:5]
        columns = draw.columns
        self.table.read(draw.inputs, C.reshape(-1, C.shape[2]))
        take_rows(self.model.outside, columns.rows, R)
        np.matmul(C, R.transpose(0, 2, 1), out=S)
        # −log σ(s) = log(1 + exp(−s)), and −log σ(−s) = log(1 + exp(s)).
        S[:, :, : columns.positives] *= -1
        loss = logistic(S, columns.weights, G, T)
        G[:, :, : columns.positives] *= -1
        return Tally(0, draw.pairs, loss)

    def update(self, draw: Draw, rate: float) -> Tally:
        """Take one gradient step on the summed loss of a batch; update the model in place.

        `draw` is what the method `draw` returned for the batch: its input vectors, output vectors
        and weights. `rate` is the learning rate. Return the summed weight of the pairs of the
        batch, and the weighted sum of their losses before the step. The field `words` of the result
        is 0, because the caller counts the words.
        """
        tally = self.loss(draw)
        C, R, curvature, G, _, dC, dR = self._arrays(draw)
        np.matmul(G, R, out=dC)
        np.matmul(G.transpose(0, 2, 1), C, out=dR)
        center_curvature = curvature @ np.einsum("bid,bid->bi", R, R)[:, :, None]
        row_curvature = curvature.transpose(0, 2, 1) @ np.einsum("bid,bid->bi", C, C)[:, :, None]
        by_rows = self.table.spread(
            draw.inputs, dC.reshape(-1, dC.shape[2]), center_curvature.ravel()
        )
        descend(self.model.center, *by_rows, rate)
        outputs = Sums(draw.columns.rows.ravel())
        descend(self.model.outside, outputs, dR, row_curvature, rate)
        return tally

    def state(self) -> dict[str, NDArray[Any]]:
        """Return an empty dict, because the step has no state other than the model."""
        return {}

    def _arrays(self, draw: Draw) -> list[F32]:
        """Return seven reused buffers, each with one matrix per tile of a batch.

        They are, in this order, for the input vectors C, the output vectors R, the scores S = C Rᵀ,
        the gradient ∂J/∂S, a temporary matrix, and the gradients ∂J/∂C and ∂J/∂R. `draw`, the
        batch, only gives their sizes: nothing is written. The buffers have the contents of their
        last use, or arbitrary contents.
        """
        tiles, rows = draw.columns.rows.shape
        dim = self.dim
        shapes = {"C": (CENTERS, dim), "R": (rows, dim)}
        shapes |= dict.fromkeys(("S", "G", "T"), (CENTERS, rows))
        shapes |= {"dC": (CENTERS, dim), "dR": (rows, dim)}
        return [self.buffers.get(name, tiles, *shape) for name, shape in shapes.items()]


def padded(sums: Sums, missing: int) -> Sums:
    """Return the input vectors of a batch with `missing` dummy vectors added at the end.

    Each input vector is given as a sum of word vectors. The dummies fill the last tile of `CENTERS`
    center words. They have no influence, because the loss gives them weight 0.
    """
    if sums.starts is None:
        return Sums(np.pad(sums.ids, (0, missing)))
    starts = np.pad(sums.starts, (0, missing), mode="edge")
    return Sums(sums.ids, starts, sums.weights, sums.shares)


def logistic(x: F32, weights: F32, gradient: F32, scratch: F32) -> float:
    """Compute the weighted sum of log(1 + exp(x)), its gradient, and a bound on its curvature.

    Returns the weighted sum. All arrays are float32 and have the same shape.

    Parameters
    ----------
    x
        The argument. It is overwritten by weight / (2 max(2, |x|)), the curvature of a parabola
        that touches the function at x and lies above it elsewhere. (The smallest such curvature,
        weight · tanh(x / 2) / (2 x), takes longer to compute, and is at most a quarter smaller.
        Jaakkola and Jordan 2000.)
    weights
        The weights of the sum.
    gradient
        Output: weight · σ(x).
    scratch
        Temporary memory.
    """
    largest = 80.0  # exp stays finite in float32; beyond, log(1 + exp(x)) is x to the last bit
    p = np.minimum(x, largest, out=scratch)
    np.exp(p, out=p)
    p += 1
    np.reciprocal(p, out=p)  # σ(−x)
    np.log(p, out=gradient)
    loss = -float(np.vdot(weights, gradient))
    if x.max() > largest:
        loss += float(np.vdot(weights, np.maximum(x - largest, 0)))
    np.subtract(1, p, out=gradient)
    gradient *= weights
    np.abs(x, out=x)
    np.maximum(x, 2, out=x)
    np.divide(weights, x, out=x)
    x *= 0.5
    return loss

"""The NumPy step of losses that are sums of logistic terms: products of matrices over tiles.

A tile is `CENTERS` running center words. For their input rows C, and output rows R that a loss
chooses for the whole tile, with scores S = C Rᵀ, the loss is a sum of -log σ(±S) with weights. It
gives the matrix G = ∂J/∂S; then ∂J/∂C = G R and ∂J/∂R = Gᵀ C (see ``w2v/README.md``). A loss says
which rows, and with which weights, in `LogisticStep.columns`.
"""

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from w2v.engines import Tally, Task
from w2v.engines.inputs import InputTable, descend, make_inputs, take_rows
from w2v.engines.step import Buffers
from w2v.sampling import Key, keep_probabilities
from w2v.sums import F32, I32, Sums
from w2v.text.tokens import Batch

CENTERS = 32
"""Running center words of a tile. The first tile begins at the start of the shard."""

STEP_NUMBERS, MAX_STEP_WORDS = 1 << 18, 4096
"""The most numbers in the center rows of a step, so that its gradients stay in a processor's
cache, and the most center words."""

MIN_STEP_WORDS, STEPS_PER_EPOCH = 512, 200
"""On short texts, steps are made shorter to reach this many in an epoch, but not shorter than
`MIN_STEP_WORDS`: threads have to wait for each other after each."""


def step_words(task: Task, most: int | None = None) -> int:
    """Return the center words of a step: a multiple of `CENTERS`, the same for all processors.

    `most` takes the place of the limits that suit a processor's cache; a GPU needs longer steps.
    """
    most = most or min(MAX_STEP_WORDS, STEP_NUMBERS // task.objective.dim)
    keep = keep_probabilities(task.counts, task.objective.subsample)
    kept = task.words * float(keep @ task.counts) / float(task.counts.sum())
    words = max(MIN_STEP_WORDS, min(most, kept / STEPS_PER_EPOCH))
    return max(1, int(words / CENTERS)) * CENTERS


class Columns(NamedTuple):
    """The output rows of B tiles, and how much each score counts.

    Attributes
    ----------
    rows : int32 (B, R)
        Rows of the table of output vectors.
    weights : float32 (B, CENTERS, R)
        How much the score of each center and each output row counts.
    positives
        The terms of the first so many columns are -log σ(s), those of the others -log σ(-s).
    """

    rows: I32
    weights: F32
    positives: int


class Draw(NamedTuple):
    """What a step updates, in B tiles of `CENTERS` running center words.

    Attributes
    ----------
    inputs
        The input rows of B * CENTERS center words, as sums of words.
    columns
    pairs
        How many pairs there are, by weight: (center, outside) pairs for skip-gram, predicted
        words for CBOW.
    """

    inputs: Sums
    columns: Columns
    pairs: float


class LogisticStep(ABC):
    """One step of stochastic gradient descent on a batch. See `w2v.engines.step.Step`.

    Parameters
    ----------
    task
    words
        The center words of a batch, a multiple of `CENTERS`; `step_words` if None.
    """

    def __init__(self, task: Task, words: int | None = None) -> None:
        self.model = task.model
        self.window, self.dim = task.objective.window, task.objective.dim
        self.batch_words = words or step_words(task)
        self.inputs = make_inputs(task.objective)
        self.table = InputTable(task)
        self.reach = reach = len(self.inputs.targets) - 1
        self.pairs = CENTERS + 2 * reach
        distance = np.abs(np.arange(self.pairs) - reach - np.arange(CENTERS)[:, None])
        by_distance = np.append(self.inputs.targets, np.float32(0))
        self.band = by_distance[np.minimum(distance, reach + 1)]
        self.buffers = Buffers()

    @abstractmethod
    def columns(self, words: I32, weights: F32, key: Key, first: int) -> Columns:
        """Return the output rows of a batch's tiles.

        Parameters
        ----------
        words : int32 (B, W)
            The words that may be predicted in each tile.
        weights : float32 (B, CENTERS, W)
            How much each of them counts as what each input row predicts.
        key, first
            See `w2v.engines.step.Step.draw`.
        """

    def batch_size(self, words: int) -> int:  # noqa: ARG002
        """Return the one size of batches."""
        return self.batch_words

    def draw(self, batch: Batch, key: Key, first: int) -> Draw:
        """Arrange a batch in tiles, and choose the output rows of each.

        The weights of the result are a buffer that the next draw overwrites.
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
        """Return the tally of a batch. Leaves ∂J/∂S in ``G`` and the curvature in ``S``."""
        C, R, S, G, T = self._arrays(draw)[:5]
        columns = draw.columns
        self.table.read(draw.inputs, C.reshape(-1, C.shape[2]))
        take_rows(self.model.outside, columns.rows, R)
        np.matmul(C, R.transpose(0, 2, 1), out=S)
        # −log σ(s) and −log σ(−s) are one function, of −s and of s.
        S[:, :, : columns.positives] *= -1
        loss = logistic(S, columns.weights, G, T)
        G[:, :, : columns.positives] *= -1
        return Tally(0, draw.pairs, loss)

    def update(self, draw: Draw, rate: float) -> Tally:
        """Take one step along the summed gradient of a batch."""
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
        """Return nothing: a step depends on the model and the draw alone."""
        return {}

    def _arrays(self, draw: Draw) -> list[F32]:
        """Return C, R, S, G, T, ∂J/∂C and ∂J/∂R for the tiles of a draw."""
        tiles, rows = draw.columns.rows.shape
        dim = self.dim
        shapes = {"C": (CENTERS, dim), "R": (rows, dim)}
        shapes |= dict.fromkeys(("S", "G", "T"), (CENTERS, rows))
        shapes |= {"dC": (CENTERS, dim), "dR": (rows, dim)}
        return [self.buffers.get(name, tiles, *shape) for name, shape in shapes.items()]


def padded(sums: Sums, missing: int) -> Sums:
    """Return the sums and so many more, which count nowhere."""
    if sums.starts is None:
        return Sums(np.pad(sums.ids, (0, missing)))
    starts = np.pad(sums.starts, (0, missing), mode="edge")
    return Sums(sums.ids, starts, sums.weights, sums.shares)


def logistic(x: F32, weights: F32, gradient: F32, scratch: F32) -> float:
    """Compute the weighted sum of log(1 + exp(x)), its gradient and its curvature.

    Parameters
    ----------
    x : float32
        Replaced by weight / (2 max(2, |x|)), the curvature of a parabola that touches the
        function at x and lies above it everywhere. The smallest such curvature is
        tanh(x / 2) / (2 x) (Jaakkola and Jordan 2000); this one is cheaper and at most a third
        larger.
    weights : float32, of the shape of ``x``
    gradient : float32, of the shape of ``x``
        Filled with weight · σ(x).
    scratch : float32, of the shape of ``x``
        Overwritten.

    Returns
    -------
    float
        The sum.
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
